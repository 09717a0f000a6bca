"""Folders whose names Kafka or Java would misread: refused before anything is started, fetched or written."""

import os
from pathlib import Path

import pytest

from worker.errors import UsageError
from worker.local.stack import Stack, kafka_class_path


def _silent(_line: str) -> None:
    pass


def test_a_folder_that_kafka_would_take_for_two_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mine, all mine"
    with pytest.raises(UsageError, match="a path with a comma") as refused:
        Stack(folder, {"PATH": os.environ["PATH"]}).up(_silent)
    assert "TAGLINE_LOCAL_DIR" in str(refused.value.hint)
    assert not (folder / "kafka").exists()


def test_a_comma_does_not_matter_to_a_kafka_of_the_user_s(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "a,b", {"TAGLINE_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"})
    assert stack.bootstrap_servers() == "kafka:9092"


@pytest.mark.parametrize("variable", ["TAGLINE_CACHE_DIR", "KAFKA_HOME"])
def test_a_folder_that_java_would_take_for_two_is_refused(tmp_path: Path, variable: str) -> None:
    folder = tmp_path / f"one{os.pathsep}two"
    (folder / "libs").mkdir(parents=True)
    (folder / "libs" / "kafka-server-4.3.1.jar").touch()
    with pytest.raises(UsageError, match="Java cannot run Kafka from") as refused:
        kafka_class_path({variable: str(folder)}, _silent)
    assert variable in str(refused.value.hint)
