"""Bundles and engines that several files of this folder use; each is made once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.classify.checkpoints import tiny_bert, write_bundle
from tests.classify.precisions import PRECISIONS
from worker.classify.engine import Engine
from worker.settings import ModelSettings

EngineMaker = Callable[..., Engine]


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tiny_bert(), tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def make_engine(tiny_bundle: Path) -> EngineMaker:
    """An engine over the tiny bundle, or another, in one precision."""

    def make(
        precision: str = "float32", bundle: Path = tiny_bundle, tokens: int = 0, lanes: int = 2
    ) -> Engine:
        asked = {"precision": precision, "device": "cpu", "threads": lanes, "tokens_per_forward": tokens}
        return Engine.load(ModelSettings.model_validate(asked), bundle=bundle)

    return make


@pytest.fixture(scope="session", params=PRECISIONS)
def engine(request: pytest.FixtureRequest, make_engine: EngineMaker) -> Engine:
    """The tiny engine, in each precision."""
    return make_engine(request.param)


@pytest.fixture
def fresh_engine(make_engine: EngineMaker) -> Engine:
    """One that the test may break."""
    return make_engine()
