"""The manifest gives the worker settings that it understands, time to drain, and a way to say how it is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.settings import load

PROJECT = Path(__file__).resolve().parents[2]
WORKLOAD, BUDGET = yaml.safe_load_all((PROJECT / "deploy" / "kubernetes.yaml").read_text("utf-8"))
POD: dict[str, Any] = WORKLOAD["spec"]["template"]["spec"]
(WORKER,) = POD["containers"]
DOCKERFILE = (PROJECT / "deploy" / "Dockerfile").read_text("utf-8")


def test_the_worker_is_given_settings_that_it_understands_and_time_to_drain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = {"kafka-password": "secret", "redis-url": "rediss://cache:6379/0"}
    for name, content in mounted.items():
        (tmp_path / name).write_text(content)
    for variable in WORKER["env"]:
        value = variable.get("value", "a-pod").replace("/etc/tagline", str(tmp_path))
        monkeypatch.setenv(variable["name"], value.replace("$(POD_NAME)", "a-pod"))
    settings = load()

    assert settings.kafka.transactional_id == "tagline-a-pod"
    assert settings.kafka.password is not None
    assert settings.telemetry.host == "0.0.0.0"  # noqa: S104 - inside a pod
    assert POD["terminationGracePeriodSeconds"] >= settings.limits.drain_timeout_s + 10
    assert WORKER["ports"][0]["containerPort"] == settings.telemetry.port


def test_it_asks_where_the_worker_answers() -> None:
    served = re.search(r'b"(/livez, /readyz, /metrics)', (PROJECT / "worker/telemetry/health.py").read_text())
    assert served is not None
    probes = {name: WORKER[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert [probe["path"] for probe in probes.values()] == ["/readyz", "/readyz", "/livez"]
    assert all(probe["port"] == WORKER["ports"][0]["name"] for probe in probes.values())


def test_it_runs_as_the_image_s_user_and_writes_only_where_something_is_mounted() -> None:
    user = re.search(r"USER (\d+):(\d+)", DOCKERFILE)
    assert user is not None
    assert user.groups() == tuple(str(POD["securityContext"][name]) for name in ("runAsUser", "runAsGroup"))
    assert WORKER["securityContext"]["readOnlyRootFilesystem"] is True
    mounted = {mount["mountPath"] for mount in WORKER["volumeMounts"]}
    journal = next(one["value"] for one in WORKER["env"] if one["name"] == "TAGLINE_LIMITS_CRASH_JOURNAL")
    assert str(Path(journal).parent) in mounted
    assert "/tmp" in mounted  # noqa: S108 - the image's HOME


def test_the_budget_and_the_selector_find_the_workers() -> None:
    labels = WORKLOAD["spec"]["template"]["metadata"]["labels"]
    assert WORKLOAD["spec"]["selector"]["matchLabels"] == labels
    assert BUDGET["spec"]["selector"]["matchLabels"] == labels
