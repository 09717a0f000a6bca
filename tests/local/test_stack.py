"""The stack for real: up, twice, status, addresses, down, and what can be in the way.

Tests of Kafka share one stack of this module's own. What is the same for both parts is tested on the cache, which starts
in milliseconds; Kafka is then played by a listening socket that the environment names.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.hurt import kill_broker, kill_cache, pause_broker, resume_broker
from worker.cli import main
from worker.errors import DependencyError, ExitCode
from worker.local import ports, process
from worker.local.stack import CACHE_VARIABLE, KAFKA_VARIABLE, Stack
from worker.local.state import StateFile

OF_THE_STACK = (KAFKA_VARIABLE, CACHE_VARIABLE, "TAGLINE_LOCAL_DIR")
PLAIN = {name: value for name, value in os.environ.items() if name not in OF_THE_STACK}
"""Our environment without what points at a stack."""


def ignore(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both parts, ours, up."""
    stack = Stack(tmp_path_factory.mktemp("whole"), PLAIN)
    stack.up(ignore)
    yield stack
    stack.down(ignore)


@pytest.fixture
def listening() -> Iterator[str]:
    """Something that listens, as far as we may look at a broker of the user's."""
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        yield f"{ports.LOOPBACK}:{server.getsockname()[1]}"


@pytest.fixture
def light(tmp_path: Path, listening: str) -> Iterator[Stack]:
    """A stack whose Kafka is the user's; not up yet."""
    stack = Stack(tmp_path / "light", PLAIN | {KAFKA_VARIABLE: listening})
    yield stack
    stack.down(ignore)


def pids(stack: Stack) -> list[int | None]:
    return [part.pid for part in stack.status()]


def remember(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})  # kept: its requests end with it
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def remembered(bootstrap: str, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(30)
        return None if message is None or message.error() else message.value()
    finally:
        consumer.close()


# Kafka and the cache


def test_both_answer_and_a_second_up_starts_nothing(whole: Stack) -> None:
    addresses, before, said = whole.addresses(), pids(whole), list[str]()
    assert all(part.running and part.owner == "ours" for part in whole.status())
    assert whole.up(said.append) == addresses
    assert pids(whole) == before
    assert [line for line in said if "already running" in line] == said

    with redis.Redis.from_url(addresses.redis_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    assert AdminClient({"bootstrap.servers": addresses.bootstrap_servers}).list_topics(timeout=10).brokers


def test_after_kill_9_kafka_returns_with_its_data_at_the_same_address(whole: Stack) -> None:
    bootstrap, topic = whole.addresses().bootstrap_servers, f"t{uuid.uuid4().hex}"
    remember(bootstrap, topic, b"still here")
    kill_broker(whole)
    with pytest.raises(DependencyError, match="Kafka not running"):
        whole.addresses()
    whole.up(ignore)
    assert whole.addresses().bootstrap_servers == bootstrap
    assert remembered(bootstrap, topic) == b"still here"


def test_when_its_port_was_taken_meanwhile_kafka_moves_with_its_data(whole: Stack) -> None:
    bootstrap, topic, said = whole.addresses().bootstrap_servers, f"t{uuid.uuid4().hex}", list[str]()
    remember(bootstrap, topic, b"moved")
    kill_broker(whole)
    with socket.create_server((ports.LOOPBACK, int(bootstrap.rpartition(":")[2]))):
        moved = whole.up(said.append).bootstrap_servers
    assert moved != bootstrap
    assert any("was taken by another program" in line for line in said)
    assert remembered(moved, topic) == b"moved"


def test_when_the_state_was_removed_kafka_returns_with_its_data(whole: Stack) -> None:
    topic, before = f"t{uuid.uuid4().hex}", whole.addresses()
    remember(before.bootstrap_servers, topic, b"kept")
    whole.down(ignore)
    (whole.folder / "state.json").unlink()
    assert remembered(whole.up(ignore).bootstrap_servers, topic) == b"kept"


def test_where_kafka_is_can_be_told_without_the_cache(whole: Stack) -> None:
    """As `local feed` needs it."""
    bootstrap = whole.addresses().bootstrap_servers
    kill_cache(whole)
    assert whole.bootstrap_servers() == bootstrap
    with pytest.raises(DependencyError, match="the cache not running"):
        whole.addresses()
    whole.up(ignore)


def test_a_paused_kafka_does_not_answer_and_a_resumed_one_does(whole: Stack) -> None:
    pause_broker(whole)
    assert [part.running for part in whole.status()] == [False, True]
    with pytest.raises(DependencyError, match="Kafka not running"):
        whole.bootstrap_servers()
    resume_broker(whole)
    whole.up(ignore)
    assert [part.running for part in whole.status()] == [True, True]


def test_the_commands_print_the_state_and_the_exports(
    whole: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in OF_THE_STACK:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TAGLINE_LOCAL_DIR", str(whole.folder))
    addresses = whole.addresses()

    assert main(["local", "env"]) == ExitCode.OK
    shell = subprocess.run(
        [
            "bash",
            "-c",
            f'eval "$1"; echo ${KAFKA_VARIABLE} ${CACHE_VARIABLE}',
            "bash",
            capsys.readouterr().out,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.split() == [addresses.bootstrap_servers, addresses.redis_url]

    assert main(["local", "status", "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert [part["address"] for part in shown["parts"]] == [addresses.bootstrap_servers, addresses.redis_url]


def test_the_exports_take_away_what_they_would_contradict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAGLINE_LOCAL_DIR", str(tmp_path))
    monkeypatch.setenv(KAFKA_VARIABLE, "kafka:9092")
    monkeypatch.setenv(CACHE_VARIABLE, "redis://cache")
    monkeypatch.delenv(f"{KAFKA_VARIABLE}_FILE", raising=False)
    monkeypatch.setenv(f"{CACHE_VARIABLE}_FILE", "/run/secrets/redis")

    assert main(["local", "env"]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        f"export {KAFKA_VARIABLE}=kafka:9092",
        f"unset {CACHE_VARIABLE}_FILE",
        f"export {CACHE_VARIABLE}=redis://cache",
    ]


def test_ours_named_by_the_environment_are_still_ours(whole: Stack) -> None:
    """As after `eval "$(tagline local env)"`: the same shell can still stop and start the stack."""
    again = Stack(whole.folder, PLAIN | whole.addresses().environment())
    assert [part.owner for part in again.status()] == ["ours", "ours"]
    assert again.up(ignore) == whole.addresses()


def test_a_start_that_fails_shows_the_last_words_and_a_hint(tmp_path: Path) -> None:
    stack = Stack(tmp_path, PLAIN)
    data = tmp_path / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=99\n")
    with pytest.raises(
        DependencyError, match=r"ended while starting. Its last words:[\s\S]*node.id"
    ) as raised:
        stack.up(ignore)
    assert "down --wipe" in str(raised.value.hint)


# What is the same for both parts


def test_down_ends_what_up_started_and_nothing_else(light: Stack, tmp_path: Path) -> None:
    light.up(ignore)
    neighbour = Stack(tmp_path / "neighbour", light._environment)
    neighbour.up(ignore)
    ours, theirs = pids(light)[1], pids(neighbour)[1]
    assert ours != theirs
    light.down(ignore)
    assert not psutil.pid_exists(ours or 0)
    assert neighbour.status()[1].running
    neighbour.down(ignore)
    assert not psutil.pid_exists(theirs or 0)


def test_down_twice_is_harmless_and_up_afterwards_keeps_the_address(light: Stack) -> None:
    before = light.up(ignore)
    said: list[str] = []
    light.down(said.append)
    light.down(said.append)
    assert said == ["stopping the cache", "nothing of ours was running"]
    assert light.up(ignore) == before


def test_wipe_deletes_what_was_kept_and_only_that(light: Stack) -> None:
    light.up(ignore)
    (light.folder / "mine.txt").write_text("not the stack's")
    light.down(ignore, wipe=True)
    assert not (light.folder / "cache").exists()
    assert (light.folder / "mine.txt").exists()


def test_several_ups_at_once_start_one(light: Stack) -> None:
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(Stack(light.folder, light._environment).up(ignore)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    running = [
        one for one in psutil.process_iter(["name", "cwd"]) if one.info["cwd"] == str(light.folder / "cache")
    ]
    assert [one.pid for one in running] == [pids(light)[1]]


def test_a_port_that_was_taken_meanwhile_is_left_to_who_has_it(light: Stack) -> None:
    before, said = light.up(ignore), list[str]()
    kill_cache(light)
    with socket.create_server((ports.LOOPBACK, int(before.redis_url.split(":")[2].partition("/")[0]))):
        after = light.up(said.append)
    assert after.redis_url != before.redis_url
    assert any("was taken by another program" in line for line in said)
    assert light.status()[1].running


def test_a_shell_that_knows_the_address_of_before_is_told_to_forget_it(light: Stack) -> None:
    before = light.up(ignore).redis_url
    kill_cache(light)
    shell, said = Stack(light.folder, {**light._environment, CACHE_VARIABLE: before}), list[str]()
    with socket.create_server((ports.LOOPBACK, int(before.split(":")[2].partition("/")[0]))):
        after = shell.up(said.append).redis_url
    assert after != before
    assert said[-1] == (
        f"{CACHE_VARIABLE} still names {before}, where it was before: `unset {CACHE_VARIABLE}` in this shell"
    )


def test_a_recorded_pid_that_now_belongs_to_another_is_left_alone(light: Stack, tmp_path: Path) -> None:
    bystander = process.start(
        [sys.executable, "-c", "import time; time.sleep(60)"], output=tmp_path / "out", environment=PLAIN
    )
    light.up(ignore)
    kill_cache(light)
    StateFile(light.folder).update(cache=process.Started(bystander.pid, bystander.after_boot_s - 1_000))
    assert not light.status()[1].running
    light.up(ignore)
    assert pids(light)[1] not in (None, bystander.pid)
    light.down(ignore)
    assert process.is_alive(bystander)
    process.kill(bystander)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("redis://me:secret@{}/0", "redis://***@{}/0 "),
        ("redis://{}/0?password=secret&db=1", "redis://{}/0?*** "),
        ("redis://me:sec@ret@{}/0?password=secret", "redis://***@{}/0?*** "),
    ],
)
def test_the_users_own_are_used_and_nothing_is_started(
    tmp_path: Path, listening: str, given: str, shown: str
) -> None:
    url = given.format(listening)
    stack, said = Stack(tmp_path, PLAIN | {KAFKA_VARIABLE: listening, CACHE_VARIABLE: url}), list[str]()
    addresses = stack.up(said.append)
    assert (addresses.bootstrap_servers, addresses.redis_url) == (listening, url)
    assert addresses == stack.addresses()
    assert all(
        f"using yours at {where}" in line
        for where, line in zip((listening, shown.format(listening)), said, strict=True)
    )
    assert "secret" not in "".join(said)
    assert stack.status()[1].address == shown.format(listening).strip()
    assert [(part.owner, part.running, part.pid) for part in stack.status()] == [("yours", True, None)] * 2
    stack.down(said.append)
    assert said[-1] == "nothing of ours was running"


def test_the_users_own_that_do_not_listen_are_an_error(tmp_path: Path) -> None:
    nobody = f"{ports.LOOPBACK}:{ports.find_free(frozenset())}"
    with pytest.raises(DependencyError, match=f"nothing listens at {nobody}, which {KAFKA_VARIABLE} names"):
        Stack(tmp_path, PLAIN | {KAFKA_VARIABLE: nobody}).up(ignore)


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        (KAFKA_VARIABLE, "[::1"),
        (KAFKA_VARIABLE, "broker:99999"),
        (CACHE_VARIABLE, "redis://[::1"),
        (CACHE_VARIABLE, f"unix:///{'long' * 30}"),
    ],
)
def test_nothing_listens_at_what_is_no_address(
    tmp_path: Path, listening: str, variable: str, address: str
) -> None:
    own = {KAFKA_VARIABLE: listening, CACHE_VARIABLE: f"redis://{listening}", variable: address}
    stack = Stack(tmp_path, PLAIN | own)
    assert {part.address: part.running for part in stack.status()}[address] is False
    with pytest.raises(DependencyError, match=f"which {variable} names"):
        stack.up(ignore)


def test_a_socket_of_the_machine_is_an_address(tmp_path: Path, listening: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "cache.sock"))
        server.listen()
        own = {KAFKA_VARIABLE: listening, CACHE_VARIABLE: f"unix://{tmp_path}/cache.sock"}
        assert Stack(tmp_path, PLAIN | own).status()[1].running


def test_an_address_without_a_port_means_the_clients_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    own = {KAFKA_VARIABLE: "broker", CACHE_VARIABLE: "redis://cache"}
    assert not any(part.running for part in Stack(tmp_path, PLAIN | own).status())
    assert asked == [("broker", 9092), ("cache", 6379)]


def test_a_folder_that_is_no_kafka_is_refused_as_kafka_home(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="holds no Kafka 4"):
        Stack(tmp_path, PLAIN | {"KAFKA_HOME": str(tmp_path)}).up(ignore)


def test_env_of_a_stack_that_is_not_up_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in OF_THE_STACK:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TAGLINE_LOCAL_DIR", str(tmp_path))
    assert main(["local", "env"]) == ExitCode.DEPENDENCY
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "tagline local up" in captured.err
    assert main(["local", "status"]) == ExitCode.DEPENDENCY
