"""What the demo counts: outcomes of its own events, each once."""

from collections.abc import Iterator

import orjson
import pytest

from worker.contracts.deadletter import Failure, dead_letter
from worker.contracts.outbound import Coordinates
from worker.contracts.reasons import Reason, Stage
from worker.contracts.topics import ADS_SIGNALS, LISTINGS_CREATED, LISTINGS_TAGGED
from worker.demo.watch import Tally, Watcher
from worker.settings import Settings
from worker.stream.record import Record

START = 10


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher(Settings(), Tally(), since={(LISTINGS_CREATED, 0): START})
    yield made
    made.stop()


def output(topic: str, offset: int, **fields: object) -> Record:
    source = {"topic": LISTINGS_CREATED, "partition": 0, "offset": offset}
    return Record(topic, 0, 0, 0, b"L1", orjson.dumps(fields | {"source": source}), [])


def tagged(offset: int) -> Record:
    sentiment = {"label": "positive", "confidence": 0.9}
    return output(LISTINGS_TAGGED, offset, listing_id="L1", sentiment=sentiment)


def letter(offset: int) -> Record:
    made = dead_letter(
        Coordinates(LISTINGS_CREATED, 0, offset, None),
        Failure(Reason.NOT_JSON, Stage.PREPARE, "x"),
        key=None,
        value=b"{",
        headers=[],
        group="g",
        worker_version="1",
    )
    return Record(made.topic, 0, 0, 0, made.key, made.value, made.headers)


def test_outcomes_of_its_own_events_are_counted_once(watcher: Watcher) -> None:
    tally = watcher._tally
    watcher.remember("L1", "a scarf")
    for record in (
        tagged(START),
        tagged(START),
        output(ADS_SIGNALS, START),
        letter(START + 1),
        letter(START + 1),
    ):
        watcher._count(record)
    assert (tally.tagged, tally.accounted) == (1, 2)
    assert tally.dead_letters == {"not_json": 1}
    assert tally.signals == {"ads": 1}
    assert tally.recent[0].text == "a scarf"


def test_what_others_left_behind_is_not_counted(watcher: Watcher) -> None:
    for record in (tagged(START - 1), output(ADS_SIGNALS, START - 1), letter(START - 1)):
        watcher._count(record)
    assert watcher._tally.accounted == 0
    assert not watcher._tally.signals
