"""The in-process tier: a least-recently-used cache that agrees with a model of one, and does not grow."""

import subprocess
import sys
import threading
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cache.key import Namer
from worker.cache.memory import WAYS, MemoryTier
from worker.cache.value import ANSWER_BYTES

NAMER = Namer("identity", b"")


def key(number: int) -> bytes:
    return NAMER.key("review", str(number))


def answer(number: int) -> bytes:
    return number.to_bytes(ANSWER_BYTES, "little")


def test_what_was_put_is_found_and_nothing_else() -> None:
    memory = MemoryTier(1000)
    memory.put_many([(key(1), answer(1)), (key(2), answer(2))])
    assert memory.get_many([key(1), key(3), key(2)]) == {key(1): answer(1), key(2): answer(2)}
    assert len(memory) == 2


@given(
    st.integers(1, WAYS),
    st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 100)), max_size=200),
)
def test_one_set_behaves_as_a_least_recently_used_cache(
    limit: int, steps: list[tuple[bool, int, int]]
) -> None:
    memory, model = MemoryTier(limit), OrderedDict[bytes, bytes]()
    for is_put, name, value in steps:
        if is_put:
            memory.put_many([(key(name), answer(value))])
            model[key(name)] = answer(value)
            model.move_to_end(key(name))
            while len(model) > limit:
                model.popitem(last=False)
        else:
            expected = {key(name): model[key(name)]} if key(name) in model else {}
            assert memory.get_many([key(name)]) == expected
            if expected:
                model.move_to_end(key(name))
        assert len(memory) == len(model)


def test_with_many_sets_a_found_answer_is_always_the_last_one_put() -> None:
    memory, last = MemoryTier(1_000), {}
    for number in range(20_000):
        last[key(number % 3_000)] = answer(number)
        memory.put_many([(key(number % 3_000), answer(number))])
    found = memory.get_many(list(last))
    assert 900 <= len(found) == len(memory) <= 1_008
    assert found.items() <= last.items()


def test_a_working_set_well_below_the_limit_is_held_almost_wholly() -> None:
    memory = MemoryTier(10_000)
    keys = [key(number) for number in range(8_000)]
    for _ in range(3):
        memory.put_many((one, answer(0)) for one in keys)
    assert len(memory.get_many(keys)) > 0.95 * len(keys)


def test_a_digest_found_across_two_entries_is_no_match() -> None:
    memory = MemoryTier(WAYS)
    first, second = key(1), key(2)
    memory.put_many([(first, answer(1)), (second, answer(2))])
    held = memory._sets[0]
    for at in range(1, len(held) - 16):
        if at % 29:
            assert memory.get_many([b"tl:0000" + held[at : at + 16]]) == {}


def test_keys_and_answers_of_other_sizes_are_not_held() -> None:
    memory = MemoryTier(WAYS)
    memory.put_many([(b"", answer(1)), (b"short", answer(1)), (key(1), b""), (key(2), answer(2))])
    assert memory.get_many([b"", b"short", key(1), key(2)]) == {key(2): answer(2)}


def test_zero_entries_hold_nothing() -> None:
    memory = MemoryTier(0)
    memory.put_many([(key(1), answer(1))])
    assert memory.get_many([key(1)]) == {}
    assert len(memory) == 0


def test_two_threads_never_see_a_torn_answer() -> None:
    memory = MemoryTier(64)
    wrong: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            for one, packed in memory.get_many([key(number) for number in range(50)]).items():
                if key(int.from_bytes(packed, "little") % 50) != one:
                    wrong.append((one, packed))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(50_000):
        memory.put_many([(key(number % 50), answer(number))])
    stop.set()
    thread.join()
    assert wrong == []
    assert len(memory) == len(memory.get_many([key(number) for number in range(50)]))


GROWTH = """
import psutil
from worker.cache.key import Namer
from worker.cache.memory import MemoryTier
name, memory, process = Namer("identity", b"").key, MemoryTier(20_000), psutil.Process()
def put(first, last):
    for start in range(first, last, 500):
        keys = [name("review", str(number)) for number in range(start, start + 500)]
        memory.get_many(keys)
        memory.put_many([(key, b"0123456789abc") for key in keys])
put(0, 20_000)
before = process.memory_info().rss
put(20_000, 200_000)
print((process.memory_info().rss - before) / 1e6)
"""


def test_ten_times_as_many_texts_do_not_take_more_memory() -> None:
    pytest.importorskip("psutil")
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True, timeout=120
    )
    assert float(done.stdout) < 1.0, "MB more than when the tier was full for the first time"
