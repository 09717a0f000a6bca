"""The worker's own metrics, read over HTTP as a monitoring system reads them."""

import urllib.error
import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 1.0
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks the worker itself. The standard opener would ask a proxy of the environment, for this machine's own address too."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the demo shows of the worker's inside. All zero while the worker does not answer."""

    lag: int = 0
    cache_hits: int = 0
    cache_requests: int = 0

    @property
    def hit_share(self) -> float:
        """Share of look-ups that some cache answered, 0 to 1."""
        return self.cache_hits / self.cache_requests if self.cache_requests else 0.0


def ready(address: str) -> bool:
    """Whether the worker says that it has its model, its broker and its partitions. Blocks for at most a second."""
    try:
        with _direct.open(f"http://{address}/readyz", timeout=TIMEOUT_S) as answer:  # http, ours
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def read(address: str) -> Gauges:
    """The worker's metrics now. Blocks for at most a second; zeros when it does not answer."""
    try:
        with _direct.open(f"http://{address}/metrics", timeout=TIMEOUT_S) as answer:  # http, ours
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return Gauges()
    lag = hits = requests = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "tagline_lag_records":
                lag += max(0.0, sample.value)
            elif sample.name == "tagline_cache_requests_total":
                requests += sample.value
                hits += sample.value if sample.labels.get("result") == "hit" else 0.0
    return Gauges(int(lag), int(hits), int(requests))
