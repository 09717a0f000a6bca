"""The texts that the bench measures with."""

from statistics import mean

from worker.bench.copying import MADE, messages_of_worker
from worker.bench.events import input_event, number_of
from worker.bench.texts import unique_texts
from worker.classify.normalise import normalise
from worker.contracts.envelope import Inbound, decode

COUNT = 3_000


def test_the_same_seed_makes_the_same_texts_and_another_makes_others() -> None:
    assert unique_texts(50, seed=1) == unique_texts(50, seed=1)
    assert unique_texts(80, seed=1)[:50] == unique_texts(50, seed=1)
    assert not {text.text for text in unique_texts(50, 1)} >= {text.text for text in unique_texts(50, 2)}


def test_no_two_texts_are_the_same_to_the_model() -> None:
    assert len({normalise(text.text).text for text in unique_texts(COUNT, seed=7)}) == COUNT


def test_seven_in_ten_are_chinese_and_eight_in_ten_are_reviews() -> None:
    texts = unique_texts(COUNT, seed=7)

    assert abs(mean(text.language == "zh" for text in texts) - 0.7) < 0.03
    assert abs(mean(text.kind == "review" for text in texts) - 0.8) < 0.03


def test_most_texts_are_short_and_a_few_are_long() -> None:
    lengths = sorted(len(text.text) for text in unique_texts(COUNT, seed=7) if text.language == "zh")

    assert lengths[len(lengths) // 2] < mean(lengths)
    assert lengths[-1] > 3 * mean(lengths)


def test_each_text_stands_in_an_event_that_the_worker_reads() -> None:
    for number, text in enumerate(unique_texts(200, seed=7)):
        event = input_event(text, number, number)

        decoded = decode(event.topic, event.key, event.value, event.headers)

        assert isinstance(decoded, Inbound)
        assert (decoded.kind, decoded.text, decoded.subject_key) == (text.kind, text.text, event.key)
        assert decoded.event_id is not None


def test_the_number_of_an_event_is_read_back_from_its_id() -> None:
    event = input_event(unique_texts(1, seed=1)[0], 12_345, 0)
    assert number_of(dict(event.headers)["ce_id"].decode()) == 12_345
    assert number_of("reviews.posted.v1:0:12") is None
    assert number_of("3f2b-000000000012") is None


def test_the_loop_of_made_messages_publishes_as_many_as_the_worker_would() -> None:
    made = messages_of_worker(seed=1)
    assert len(made) == MADE
    assert {messages[0].topic for messages in made} == {"listings.tagged.v1", "reviews.tagged.v1"}
    assert 2.2 < sum(map(len, made)) / MADE < 2.7
    assert all(len(message.headers) == 10 for messages in made for message in messages)
