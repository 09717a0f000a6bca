"""Lag from librdkafka's statistics, with offsets as librdkafka reports them (negative: not known)."""

import json
from typing import Any

import pytest

from worker.telemetry import metrics
from worker.telemetry.statistics import lag_of, lags, observe_statistics

UNKNOWN = -1001


def partition(**known: Any) -> dict[str, Any]:
    offsets = dict.fromkeys(
        (
            "ls_offset",
            "hi_offset",
            "stored_offset",
            "committed_offset",
            "app_offset",
            "next_offset",
            "eof_offset",
        ),
        UNKNOWN,
    )
    return {"fetch_state": "active", "fetchq_cnt": 2, "fetchq_size": 300, **offsets, **known}


def consumer(**partitions: dict[str, Any]) -> str:
    numbered = {name.removeprefix("p"): details for name, details in partitions.items()}
    numbered["-1"] = partition(fetch_state="none", fetchq_cnt=0, fetchq_size=0)
    return json.dumps({"type": "consumer", "topics": {"reviews": {"partitions": numbered}}})


def exposed() -> dict[tuple[str, str], float]:
    return {
        (sample.labels["topic"], sample.labels["partition"]): sample.value
        for family in metrics.LAG_RECORDS.collect()
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("offsets", "lag"),
    [
        ({"ls_offset": 100, "hi_offset": 120, "stored_offset": 90, "app_offset": 99}, 10),
        ({"ls_offset": -1, "hi_offset": 120, "stored_offset": 90}, 30),
        ({"hi_offset": 100, "committed_offset": 40, "app_offset": 60}, 40),  # transactional: what was read
        (
            {"hi_offset": 100, "app_offset": 99, "eof_offset": 100, "fetchq_cnt": 0},
            0,
        ),  # a marker behind the last record
        ({"hi_offset": 100, "app_offset": 60, "eof_offset": 100, "fetchq_cnt": 39}, 40),
        ({"hi_offset": 100, "committed_offset": 40}, 60),
        ({"hi_offset": 100, "next_offset": 0}, 100),  # nothing read yet
        ({"hi_offset": 100}, None),
        ({"stored_offset": 5}, None),
        ({"hi_offset": 5, "stored_offset": 6}, 0),
    ],
)
def test_lag_is_what_is_between_finished_and_readable(offsets: dict[str, int], lag: int | None) -> None:
    assert lag_of(partition(**offsets)) == lag


def test_partitions_that_are_not_ours_have_no_lag() -> None:
    document = consumer(
        p0=partition(hi_offset=9, stored_offset=4),
        p1=partition(fetch_state="none", hi_offset=9, stored_offset=4),
    )
    assert lags(json.loads(document)) == {("reviews", "0"): 5}


def test_a_partition_that_was_given_away_disappears_from_the_metrics() -> None:
    observe_statistics(
        consumer(p0=partition(hi_offset=9, stored_offset=4), p1=partition(hi_offset=3, stored_offset=3))
    )
    assert exposed() == {("reviews", "0"): 5.0, ("reviews", "1"): 0.0}
    observe_statistics(consumer(p1=partition(hi_offset=4, stored_offset=3)))
    assert exposed() == {("reviews", "1"): 1.0}
    observe_statistics(consumer())
    assert exposed() == {}


def test_queues_inside_the_clients_are_shown() -> None:
    observe_statistics(consumer(p0=partition(), p1=partition()))
    observe_statistics(json.dumps({"type": "producer", "msg_cnt": 7, "msg_size": 900}))
    shown = {
        sample.labels["client"]: sample.value
        for family in metrics.CLIENT_QUEUE_MESSAGES.collect()
        for sample in family.samples
    }
    assert shown == {"consumer": 4.0, "producer": 7.0}


@pytest.mark.parametrize(
    "document", ["", "{", "[]", "null", "{}", '{"type":"consumer"}', '{"type":"consumer","topics":3}']
)
def test_a_document_of_another_shape_is_passed_over(document: str) -> None:
    observe_statistics(document)
