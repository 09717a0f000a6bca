"""The ledger remembers exactly the offsets that were dealt with, also through a commit."""

from hypothesis import given
from hypothesis import strategies as st

from worker.stream.ledger import Ledger

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=25)


@given(base=st.integers(0, 20), spans=SPANS)
def test_it_holds_what_was_added_and_nothing_else_and_survives_a_commit(
    base: int, spans: list[tuple[int, int]]
) -> None:
    ledger, model = Ledger(base), set(range(base))
    for start, length in spans:
        ledger.add(start, start + length)
        model |= set(range(start, start + length))
        restored = Ledger(ledger.base, ledger.metadata())
        for one in (ledger, restored):
            assert {offset for offset in range(100) if offset in one} == model
    first_left = next(offset for offset in range(100) if offset not in model)
    assert ledger.base == first_left


def test_dealt_with_in_order_it_is_a_plain_offset() -> None:
    ledger = Ledger(5)
    ledger.add(5, 9)
    assert (ledger.base, ledger.metadata()) == (9, "")


def test_what_was_left_out_shows_as_ranges_after_it() -> None:
    ledger = Ledger(1_000_000)
    ledger.add(1_000_001, 1_000_002)
    ledger.add(1_000_004, 1_000_009)
    assert (ledger.base, ledger.metadata()) == (1_000_000, "done:1,4-8")


def test_metadata_of_another_tool_counts_as_none() -> None:
    ledger = Ledger(7, "somebody else's note")
    assert ledger.base == 7
    assert 7 not in ledger
