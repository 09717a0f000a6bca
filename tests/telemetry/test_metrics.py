"""The metrics registry: documented, bounded, and every metric set by something."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from worker.telemetry import metrics

ROOT = Path(__file__).parents[2]


def test_the_reference_page_is_what_the_registry_says() -> None:
    page = (ROOT / "docs/metrics.md").read_text("utf-8")
    assert page == metrics.metrics_docs(), "run `make docs`"


def test_every_metric_has_our_prefix_a_meaning_and_a_name_of_its_own() -> None:
    names = [entry.name for entry in metrics.ENTRIES]
    assert len(set(names)) == len(names) > 20
    assert all(re.fullmatch(r"tagline_[a-z_]+", name) for name in names)
    assert all(entry.meaning.endswith(".") for entry in metrics.ENTRIES)


def test_every_metric_is_set_by_the_code() -> None:
    """A metric that nobody sets is a promise in the documentation that the worker does not keep."""
    names = {name for name in vars(metrics) if name.isupper() and hasattr(vars(metrics)[name], "collect")} - {
        "REGISTRY"
    }
    assert len(names) == len(metrics.ENTRIES)
    source = "".join(path.read_text("utf-8") for path in (ROOT / "worker").rglob("*.py"))
    assert {name for name in names if f"metrics.{name}" not in source} == set()


def test_everything_renders_and_parses() -> None:
    metrics.CACHE_REQUESTS.labels("memory", "hit").inc(0)
    families = list(text_string_to_metric_families(metrics.render().decode()))
    assert {"tagline_records_consumed", "process_open_fds"} <= {family.name for family in families}
