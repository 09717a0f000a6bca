"""What must hold of everything that came out, whatever was done to the workers: I1 to I6 of `docs/guarantees.md`."""

from collections.abc import Collection

from tests.group_offsets import group_offsets
from tests.integration.arena import Arena, Output, Source
from worker.contracts.topics import INPUT_TOPICS

PUBLISH_TIME = "ce_time"
"""The one header in which duplicates may differ."""


def duplicates(arena: Arena) -> int:
    """Tagged events, dead letters and signals that came out more than once."""
    return len(arena.seen) - len({(output.topic, output.source) for output in arena.seen})


def judge(arena: Arena, *, allow_duplicates: bool = False, skipped: Collection[Source] = ()) -> None:
    """Nothing lost, nothing made up, duplicates only where they may be and the same, order per key kept."""
    fed, outcomes = set(arena.fed), arena.outcomes()
    assert fed, "nothing was fed"
    lost = fed - set(outcomes) - set(skipped)
    assert not lost, f"I1: {len(lost)} lost, such as {sorted(lost)[:5]}"
    phantoms = {output.source for output in arena.seen} - fed | set(outcomes) & set(skipped)
    assert not phantoms, f"I2: outputs of nothing that was fed: {sorted(phantoms)[:5]}"
    dead = {output.source for output in arena.seen if output.topic.endswith(".dlq.v1")}
    both = dead & {output.source for output in arena.seen if not output.topic.endswith(".dlq.v1")}
    assert not both, f"I2: tagged and dead-lettered: {sorted(both)[:5]}"
    first: dict[tuple[str, Source], Output] = {}
    for output in arena.seen:
        before = first.setdefault((output.topic, output.source), output)
        assert _timeless(before) == _timeless(output), f"I3: duplicates of {output.source} differ"
    if not allow_duplicates:
        assert duplicates(arena) == 0, f"I4: {duplicates(arena)} duplicates"
    order_is_kept(arena.seen)


def order_is_kept(seen: list[Output]) -> None:
    """I5: per key (records without one go anywhere), first occurrences leave each topic in the order of the inputs."""
    last: dict[tuple[str, bytes | None, str, int], int] = {}
    met: set[tuple[str, Source]] = set()
    for output in seen:
        if output.key is None or (output.topic, output.source) in met:
            continue
        met.add((output.topic, output.source))
        topic, partition, offset = output.source
        lane = (output.topic, output.key, topic, partition)
        assert last.get(lane, -1) < offset, (
            f"I5: {output.topic} has {output.source} after offset {last[lane]}"
        )
        last[lane] = offset


def committed_now(arena: Arena) -> dict[tuple[str, int], int]:
    """The group's offsets as they are, without waiting for open transactions."""
    return group_offsets(arena.bootstrap, arena.group, INPUT_TOPICS)


def offsets_are_not_ahead(arena: Arena) -> dict[tuple[str, int], int]:
    """I6: everything below the committed offsets has its outcome already. Returns the offsets."""
    committed = committed_now(arena)  # before the outputs are read: they can only be more by then
    arena.read(0.5)
    outcomes = arena.outcomes()
    ahead = [source for source in arena.fed if source[2] < committed[source[:2]] and source not in outcomes]
    assert not ahead, f"I6: committed without an outcome: {ahead[:5]}"
    return committed


def _timeless(output: Output) -> tuple[object, ...]:
    headers = {name: value for name, value in output.headers.items() if name != PUBLISH_TIME}
    return output.key, output.value, headers
