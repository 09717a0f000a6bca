"""The promise: a text's probabilities are the same bits alone, in any batch, in any order, next to any neighbour."""

import random
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.classify.checkpoints import tiny_bert, write_bundle
from tests.classify.conftest import EngineMaker
from tests.classify.precisions import PRECISIONS
from worker.classify import pack, precision
from worker.classify.engine import ClassifyError, Engine, Probabilities, Text
from worker.classify.linear import Kernel

TOKEN = st.integers(3, 203)
BODY = st.one_of(st.lists(TOKEN, max_size=12), st.lists(TOKEN, min_size=100, max_size=126))
KIND = st.sampled_from(["review", "title"])
TEXTS = st.lists(st.tuples(KIND, BODY), min_size=1, max_size=24)
MANY = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def text(kind: str, body: list[int]) -> Text:
    return Text(kind, "", [0, *body, 2], truncated=False)


def alone(engine: Engine, texts: list[Text]) -> list[Probabilities | ClassifyError]:
    return [engine.classify([one])[0] for one in texts]


@MANY
@given(drawn=TEXTS, data=st.data())
def test_a_batch_gives_the_same_bits_as_each_text_alone(
    engine: Engine, drawn: list[tuple[str, list[int]]], data: st.DataObject
) -> None:
    texts = [text(kind, body) for kind, body in drawn]
    order = data.draw(st.permutations(range(len(texts))))
    repeated = [*order, *order[: data.draw(st.integers(0, len(order)))]]
    together = engine.classify([texts[index] for index in repeated])
    single = alone(engine, texts)
    assert together == [single[index] for index in repeated]


@MANY
@given(drawn=TEXTS, cut=st.integers(0, 24))
def test_any_partition_gives_the_same_bits(
    engine: Engine, drawn: list[tuple[str, list[int]]], cut: int
) -> None:
    texts = [text(kind, body) for kind, body in drawn]
    assert engine.classify(texts[:cut]) + engine.classify(texts[cut:]) == engine.classify(texts)


@pytest.mark.parametrize("tokens", [64, 200, 1024, 4096])
def test_the_token_budget_changes_no_bit(make_engine: EngineMaker, engine: Engine, tokens: int) -> None:
    random.seed(tokens)
    texts = [text("title", random.choices(range(3, 204), k=random.randrange(120))) for _ in range(70)]
    assert make_engine(engine.precision, tokens=tokens).classify(texts) == engine.classify(texts)


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize(
    "neighbour",
    [[], list(range(4, 130)), [3] * 40, [10, 11, 12, 13, 99], [10] * 126],
    ids=["shortest", "longest", "all unknown", "same prefix", "monotonous"],
)
def test_no_neighbour_changes_a_bit(engine: Engine, neighbour: list[int], place: str) -> None:
    target = text("review", [10, 11, 12, 13, 14])
    others = [text("review", neighbour)] * 6
    at = {"first": 0, "middle": 3, "last": 6}[place]
    answers = engine.classify([*others[:at], target, *others[at:]])
    assert answers[at] == alone(engine, [target])[0]


def test_a_new_engine_of_the_same_identity_gives_the_same_bits(
    make_engine: EngineMaker, engine: Engine
) -> None:
    texts = [text("title", list(range(3, 3 + length))) for length in range(60)]
    again = make_engine(engine.precision)
    assert again.identity == engine.identity
    assert again.classify(texts) == engine.classify(texts)


def test_answers_differ_from_text_to_text(engine: Engine) -> None:
    """Without it, everything above could hold for a model that always says the same."""
    answers = alone(engine, [text("review", [number]) for number in range(3, 203)])
    assert len(set(answers)) > 150


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_of_the_size_that_is_served_keeps_the_promise(
    make_engine: EngineMaker, tmp_path: Path, precision: str
) -> None:
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    model = tiny_bert(5, 7, **sizes, initializer_range=0.05)
    served = make_engine(precision, write_bundle(model, tmp_path))
    random.seed(11)
    lengths = [
        1,
        2,
        3,
        5,
        8,
        13,
        16,
        17,
        21,
        31,
        33,
        34,
        35,
        36,
        47,
        55,
        63,
        65,
        89,
        126,
        *random.choices(range(60), k=30),
    ]
    texts = [text("title", random.choices(range(3, 204), k=length)) for length in lengths]
    single = alone(served, texts)
    assert served.classify(texts) == single
    order = random.sample(range(len(texts)), len(texts))
    assert served.classify([texts[index] for index in order]) == [single[index] for index in order]


def test_heads_of_an_odd_width_keep_the_promise(make_engine: EngineMaker, tmp_path: Path) -> None:
    """Widths that are no multiple of 64 bytes are where MKL's float32 results depend on a matrix's address."""
    model = tiny_bert(5, 8, hidden_size=312, num_attention_heads=12, initializer_range=0.05)
    served = make_engine("float32", write_bundle(model, tmp_path))
    texts = [text("title", list(range(3, 3 + length))) for length in [*range(1, 60), *[17] * 7, *[23] * 5]]
    assert served.classify(texts) == alone(served, texts)


@pytest.mark.parametrize("floor", [pack.ROW_FLOOR, 1], ids=["with the floor", "without"])
def test_mkl_keeps_the_promise_because_of_the_floor(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch, floor: int
) -> None:
    """On some processors oneDNN keeps it whatever is done, and no test above could fail; MKL needs the floor."""
    if not torch.backends.mkl.is_available():
        pytest.skip("this torch has no MKL")
    monkeypatch.setattr(precision, "usable_kernel", lambda _: Kernel.BLAS)
    monkeypatch.setattr(pack, "ROW_FLOOR", floor)
    monkeypatch.setattr(pack, "ROW_STEP", floor)
    engine = make_engine("float32")
    random.seed(5)
    texts = [text("title", random.choices(range(3, 204), k=length)) for length in [*range(1, 40), 63, 126]]
    assert "packed-blas" in engine.identity
    assert (engine.classify(texts) == alone(engine, texts)) is (floor > 1)


@pytest.mark.parametrize("lanes", [1, 3])
def test_the_number_of_lanes_changes_no_bit(make_engine: EngineMaker, engine: Engine, lanes: int) -> None:
    random.seed(lanes)
    texts = [text("title", random.choices(range(3, 204), k=random.randrange(120))) for _ in range(70)]
    assert make_engine(engine.precision, lanes=lanes).classify(texts) == engine.classify(texts)
