"""Text to token ids."""

import threading

import pytest
from tokenizers import processors

from tests.classify.checkpoints import tokenizer
from tests.classify.conftest import EngineMaker
from worker.classify.tokenise import Tokeniser
from worker.errors import ModelError

DEFINITION = tokenizer().to_str().encode()


def test_special_tokens_stand_around_a_text() -> None:
    assert Tokeniser(DEFINITION, 16).encode(["w0 w1", ""]) == [([0, 4, 5, 2], False), ([0, 2], False)]


def test_a_long_text_keeps_its_head_and_its_tail_and_says_so() -> None:
    text = " ".join(f"w{number}" for number in range(20))
    ids, truncated = Tokeniser(DEFINITION, 8).encode([text])[0]
    assert truncated
    assert ids == [0, 4, 5, 6, 21, 22, 23, 2]


def test_head_truncation_keeps_the_closing_token() -> None:
    ids, truncated = Tokeniser(DEFINITION, 8, "head").encode(["w0 " * 20])[0]
    assert truncated
    assert ids == [0, 4, 4, 4, 4, 4, 4, 2]


def test_a_text_of_exactly_the_limit_is_whole() -> None:
    assert Tokeniser(DEFINITION, 8).encode(["w0 " * 6])[0] == ([0, *[4] * 6, 2], False)


def test_stored_padding_and_truncation_are_not_inherited() -> None:
    ids, truncated = Tokeniser(DEFINITION, 100).encode(["w0 " * 40])[0]
    assert (len(ids), truncated) == (42, False)


def test_special_tokens_inside_a_text_are_only_characters() -> None:
    ids, _ = Tokeniser(DEFINITION, 16).encode(["w0 </s> <s> w1"])[0]
    assert ids.count(0) == 1
    assert ids.count(2) == 1


def test_threads_have_tokenizers_of_their_own(make_engine: EngineMaker) -> None:
    engine = make_engine()
    triples = [("review", f"w{number} w1", False) for number in range(150)]
    expected = [text.ids for text in engine.prepare(triples)]
    found: list[bool] = []

    def work() -> None:
        found.extend([text.ids for text in engine.prepare(triples)] == expected for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


@pytest.mark.parametrize("definition", [b"", b"{}", b"not json", b"\xff\xfe"])
def test_a_definition_that_is_none_is_refused(definition: bytes) -> None:
    with pytest.raises(ModelError):
        Tokeniser(definition, 16)


@pytest.mark.parametrize("closes", [False, True])
def test_a_tokenizer_that_adds_no_leading_token_is_refused(closes: bool) -> None:
    bare = tokenizer()
    bare.post_processor = (
        processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)]) if closes else None
    )
    with pytest.raises(ModelError, match="no row to classify it by"):
        Tokeniser(bare.to_str().encode(), 16)
