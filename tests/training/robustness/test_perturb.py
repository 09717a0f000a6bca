import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.robustness.perturb import BRANDS, PERTURBATIONS, brand_swap, emoji_flood, perturb_all, typo
from worker.classify.normalise import normalise

CHINESE = "这款华为手机质量很好，物流也快。一点不后悔"
ENGLISH = "The Sony camera broke after two weeks, not recommended. Terrible quality, poor service."


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_every_perturbation_changes_some_text_and_repeats_itself(name: str) -> None:
    once, again = (perturb_all([CHINESE, ENGLISH], name, seed=1) for _ in range(2))
    assert once == again
    assert once != [CHINESE, ENGLISH]


@pytest.mark.parametrize("name", PERTURBATIONS)
@given(text=st.text(max_size=60), seed=st.integers(0, 3))
def test_no_text_breaks_a_perturbation(name: str, text: str, seed: int) -> None:
    assert isinstance(PERTURBATIONS[name](text, random.Random(seed)), str)


@pytest.mark.parametrize("name", ["zero-width", "full-width", "traditional"])
def test_what_the_normaliser_removes_cannot_change_an_answer(name: str) -> None:
    for text, changed in zip([CHINESE, ENGLISH], perturb_all([CHINESE, ENGLISH], name, seed=2), strict=True):
        assert normalise(changed).text == normalise(text).text


def test_a_brand_becomes_another_of_its_trade_and_the_same_one_everywhere() -> None:
    swapped = brand_swap("Sony or Sony? Not Sonya.", random.Random(0))
    first, second = swapped.removesuffix("? Not Sonya.").split(" or ")
    assert first == second != "Sony"
    assert any({first, "Sony"} <= set(group) for group in BRANDS)


def test_a_text_without_brands_stays() -> None:
    assert brand_swap("a plain chair", random.Random(0)) == "a plain chair"


def test_typos_stay_small() -> None:
    changed = typo(ENGLISH, random.Random(4))
    assert abs(len(changed) - len(ENGLISH)) <= 3
    assert sum(left != right for left, right in zip(changed.split(), ENGLISH.split(), strict=True)) <= 3


def test_a_flood_is_longer_than_what_the_model_reads() -> None:
    assert len(emoji_flood("好", random.Random(0))) == 201
