"""The compose file obeys the specification, opens nothing to the network, and configures Kafka as the local stack does."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from worker.cli.commands import BUILT_IN
from worker.local import broker
from worker.settings import load

PROJECT = Path(__file__).resolve().parents[2]
STACK: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
ONE_SHOT = {"topics", "feed"}


def test_the_file_obeys_the_compose_specification() -> None:
    compose = PyCompose.from_yaml(yaml.safe_dump(STACK))  # YAML merges resolved, as Compose does first
    compose.validate()

    assert set(compose.service_names()) == {"kafka", "cache", "topics", "worker", "feed", "prometheus"}


def test_the_check_against_the_specification_can_fail() -> None:
    broken = {"services": {"worker": {"image": "x", "depnds_on": ["kafka"]}}}
    with pytest.raises(ValueError, match="depnds_on"):
        PyCompose.from_yaml(yaml.safe_dump(broken))


def test_every_port_is_open_on_loopback_only() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            address = port["host_ip"] if isinstance(port, dict) else port.rpartition(":")[0]
            assert address.startswith("127.0.0.1"), f"{name}: {port}"


def test_every_lasting_service_has_a_health_check_and_dependents_wait_for_it() -> None:
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) == (name not in ONE_SHOT), name
        for other, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == expected, f"{name} on {other}"


def test_every_image_is_named_with_a_version() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":(v?\d|local$)", service["image"]), name


def test_one_service_builds_our_image_and_all_that_share_it_wait_for_that_one() -> None:
    """Services are built at the same time, and two builds of one tag can end with `already exists`."""
    ours = {name for name, service in SERVICES.items() if service["image"] == "tagline:local"}
    assert [name for name, service in SERVICES.items() if "build" in service] == ["topics"]

    assert ours == {"topics", "worker", "feed"}
    for name in ours - {"topics"}:
        assert SERVICES[name]["pull_policy"] == "never", "no registry has it"
        assert "topics" in waited_for(name), "`compose run` of it alone builds the image too"


def waited_for(name: str) -> set[str]:
    """The services that one depends on, directly or not."""
    direct = set(SERVICES[name].get("depends_on", {}))
    return direct.union(*map(waited_for, direct))


def test_our_containers_run_commands_that_exist_without_root_or_a_writable_disk() -> None:
    commands = {source.name for source in BUILT_IN}
    for name in ("topics", "worker", "feed"):
        service = SERVICES[name]
        assert service["command"][0] in commands
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_the_worker_is_given_settings_that_it_understands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["worker"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(\w*)\}", r"\1", str(value)))
    settings = load()

    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert settings.telemetry.host == "0.0.0.0"  # noqa: S104 - inside a container, published on loopback
    grace_s = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace_s >= settings.limits.drain_timeout_s + 10


WHERE_IT_LISTENS = {
    "advertised.listeners",
    "controller.quorum.voters",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dirs",
}


def test_kafka_is_configured_as_the_local_stack_configures_it() -> None:
    environment = dict(SERVICES["kafka"]["environment"])
    assert len(environment.pop("CLUSTER_ID")) == 22
    properties = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in environment.items()
    }

    assert {name: properties.get(name) for name in broker.SETTINGS} == dict(broker.SETTINGS)
    assert set(properties) - set(broker.SETTINGS) == WHERE_IT_LISTENS


def test_every_listener_has_a_protocol_and_the_brokers_own_is_one_of_them() -> None:
    environment = SERVICES["kafka"]["environment"]
    names = {listener.partition("://")[0] for listener in environment["KAFKA_LISTENERS"].split(",")}
    mapped = {
        pair.partition(":")[0] for pair in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    }
    advertised = {
        listener.partition("://")[0] for listener in environment["KAFKA_ADVERTISED_LISTENERS"].split(",")
    }

    assert names == mapped
    assert advertised == names - {environment["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert environment["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised


def test_the_image_is_the_kafka_that_the_local_stack_runs() -> None:
    jars = (PROJECT / "worker/local/kafka-jars.txt").read_text("utf-8")
    (version,) = set(re.findall(r"^org\.apache\.kafka:kafka-clients:(\S+)", jars, re.MULTILINE))
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version}"


def test_the_cache_evicts_and_never_writes_to_disk() -> None:
    command = " ".join(SERVICES["cache"]["command"])
    assert "--save  --appendonly no" in command
    assert "--maxmemory-policy allkeys-lru" in command
