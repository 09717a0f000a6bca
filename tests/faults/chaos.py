"""Feed events, hurt workers at random, heal, and judge what came out: `python -m tests.faults.chaos --help`.

It knows only the commands and the topics. The seed decides the events, the faults and their moments (not how the machine
schedules them). Ends with 1 on any violation; a fault of some kind that never happened while there was work is one too.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from tests.faults.checks import all_violations, readers_disagree
from tests.faults.events import MARKER, Event, events
from tests.faults.feed import WAYS, Feeder
from tests.faults.fleet import Fleet, Worker, grown
from tests.faults.history import History
from tests.faults.readers import Alongside, read_afterwards
from tests.faults.stack import INPUTS, OUTPUTS, Offsets, Stack

KINDS = ("kill", "terminate", "stop-short", "stop-long", "join")
SESSION_S = 6.0
READY_TIMEOUT_S = 90.0
HEAL_TIMEOUT_S = 180.0
EXTRA_ROUNDS = 15
"""Further rounds, if need be, until each kind of fault has met work."""
SURVIVOR = "survivor"
"""The slot that is only ever stopped, so that something lives long enough to show what it leaks."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do in one run."""

    seed: int
    events: int
    delivery: Literal["at_least_once", "exactly_once"] = "at_least_once"
    workers: int = 2
    broken: float = 0.05
    protocol: Literal["classic", "consumer"] = "classic"
    rounds: int = 30
    """Bursts of events, each with a fault while it is being worked on."""


@dataclass(slots=True)
class Verdict:
    """What happened and what was wrong."""

    violations: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    under_load: Counter[str] = field(default_factory=Counter)
    """Faults done while fed events were still uncommitted."""
    notes: dict[str, object] = field(default_factory=dict)

    def summary(self) -> str:
        """For a person."""
        lines = [f"{name:22} {value}" for name, value in self.notes.items()]
        lines += [
            f"{'fault ' + kind:22} {self.faults[kind]} ({self.under_load[kind]} under load)" for kind in KINDS
        ]
        by_invariant: dict[str, list[str]] = {}
        for violation in self.violations:
            by_invariant.setdefault(violation.partition(":")[0], []).append(violation)
        for same in by_invariant.values():
            lines += [f"VIOLATION {violation}" for violation in same[:5]]
            lines += [f"          ... and {len(same) - 5} more of these"] * (len(same) > 5)
        lines.append(f"{len(self.violations)} violations" if self.violations else "no violation")
        return "\n".join(lines)


class Chaos:
    """One run against a stack that is up."""

    def __init__(self, plan: Plan, stack: Stack, folder: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._stack = stack
        self._folder = folder
        self._say = say
        self._random = random.Random(plan.seed)
        self._group = f"chaos-{plan.seed}-{uuid.uuid4().hex[:6]}"
        self._session_s = SESSION_S if plan.protocol == "classic" else stack.consumer_session_s()
        environ = stack.environ | {
            "TAGLINE_KAFKA_GROUP_ID": self._group,
            "TAGLINE_KAFKA_GROUP_PROTOCOL": plan.protocol,
            "TAGLINE_KAFKA_SESSION_TIMEOUT_S": str(SESSION_S),
            "TAGLINE_KAFKA_TRANSACTION_TIMEOUT_S": "10",
            "TAGLINE_KAFKA_START_FROM": "error",
            "TAGLINE_DELIVERY": plan.delivery,
            "TAGLINE_MODEL_DEVICE": "cpu",
            "TAGLINE_MODEL_PRECISION": "float32",  # two precisions would differ in the last digits
            "TAGLINE_MODEL_THREADS": "1",
            "TAGLINE_WINDOW_MAX_RECORDS": "64",  # small, so that pauses and half-finished work are met often
            "TAGLINE_WINDOW_HIGH_RECORDS": "256",
            "TAGLINE_TELEMETRY_LOG_FORMAT": "json",
        }
        self._fleet = Fleet(environ, folder)
        self._feeder = Feeder(stack.bootstrap, random.Random(plan.seed))
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._verdict = Verdict()

    def run(self) -> Verdict:
        """Everything, in order. Blocks for minutes."""
        began = time.monotonic()
        starts = self._stack.ends(OUTPUTS)
        self._stack.begin_group(self._group, self._stack.ends(INPUTS))
        alongside = Alongside(self._stack.bootstrap, starts)
        alongside.start()
        try:
            for number in range(self._plan.workers):
                self._start(SURVIVOR if number == 0 else f"slot{number}")
            self._await(
                lambda: len(self._fleet.settled()) == self._plan.workers,
                READY_TIMEOUT_S,
                "the workers to be ready",
            )
            self._torment()
            self._heal()
        finally:
            self._fleet.end_all()
            settled = self._stack.await_no_open_transaction(OUTPUTS, 60)
            ends = self._stack.ends(OUTPUTS)
            seen_alongside = alongside.stop(ends)
            self._feeder.close()
        if not settled:
            self._verdict.violations.append("an open transaction hides records from read_committed readers")
        self._judge(starts, ends, seen_alongside)
        self._verdict.notes["seconds"] = round(time.monotonic() - began)
        return self._verdict

    # -- tormenting ---------------------------------------------------------------------------------------------------

    def _torment(self) -> None:
        plan = self._plan
        source = events(2 * plan.events, plan.broken, plan.seed)  # more than planned, for the extra rounds
        self._feeder.feed(list(islice(source, plan.events // 20)))
        self._await(lambda: self._lag() == 0, HEAL_TIMEOUT_S, "the first events to be worked off")
        for worker in self._fleet.alive():
            worker.at_rest = worker.resources()
        burst = -(-(plan.events - len(self._feeder.fed)) // plan.rounds)
        deck: list[str] = []
        for number in range(plan.rounds + EXTRA_ROUNDS):
            if number >= plan.rounds:
                deck = [kind for kind in KINDS if not self._verdict.under_load[kind]]
                if not deck:
                    break
            elif not deck:
                deck = self._random.sample(KINDS, len(KINDS))
            left = plan.events - len(self._feeder.fed)
            self._round(deck.pop(), list(islice(source, min(burst, left) if left > 0 else burst)))
            self._say(f"round {number + 1}: {len(self._feeder.fed)} fed, lag {self._lag()}")

    def _round(self, kind: str, burst: list[Event]) -> None:
        self._await(lambda: bool(self._targets(kind)), READY_TIMEOUT_S, f"a worker to {kind}")
        self._feeder.feed(burst)
        self._sleep(self._random.uniform(0, 0.25))
        self._say(f"{kind} at lag {self._hurt(kind, self._random.choice(self._targets(kind) or [None]))}")
        self._sleep(self._random.uniform(0.5, 2.5))

    def _targets(self, kind: str) -> list[Worker | None]:
        if kind == "join":
            return [None]
        ready = self._fleet.settled()
        if kind.startswith("stop"):
            return list(ready)
        return [worker for worker in ready if not worker.name.startswith(SURVIVOR)]

    def _hurt(self, kind: str, worker: Worker | None) -> int | None:
        """Do it; returns the lag at that moment, None when the worker is gone already."""
        random_ = self._random
        lag = self._lag()
        if kind == "join":
            extra = self._start("extra")
            self._later(random_.uniform(8, 14), lambda: self._leave(extra))
        elif worker is None or not worker.alive:
            return None
        elif kind in {"kill", "terminate"}:
            (self._fleet.kill if kind == "kill" else self._fleet.terminate)(worker)
            self._later(random_.uniform(0, 1.5), lambda: self._replace(worker))
        else:
            short = random_.uniform(0.3, 0.5) * self._session_s
            long = self._session_s + random_.uniform(2, 5)
            self._fleet.stop(worker)
            self._later(short if kind == "stop-short" else long, lambda: self._fleet.resume(worker))
        self._verdict.faults[kind] += 1
        self._verdict.under_load[kind] += lag > 0
        return lag

    def _start(self, slot: str) -> Worker:
        # Named slots keep their transactional id, as a pod keeps its name; the others take a random one.
        named = slot not in {SURVIVOR, "extra"} and self._plan.delivery == "exactly_once"
        return self._fleet.start(
            slot, {"TAGLINE_KAFKA_TRANSACTIONAL_ID": f"{self._group}-{slot}"} if named else None
        )

    def _leave(self, worker: Worker) -> None:
        if worker.settled():
            self._fleet.terminate(worker)
        elif worker.alive:  # still starting, or stopped: it leaves later
            self._later(2, lambda: self._leave(worker))

    def _replace(self, worker: Worker) -> None:
        """Start its successor; a named slot's only once the process is gone, as a platform does."""
        if worker.process.poll() is None:
            self._later(0.3, lambda: self._replace(worker))
        elif not worker.name.startswith("extra"):
            self._start(worker.name.rpartition("-")[0])

    # -- time ---------------------------------------------------------------------------------------------------------

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        self._due.append((time.monotonic() + seconds, action))

    def _sleep(self, seconds: float) -> None:
        """Sleep, doing what falls due."""
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            for one in [one for one in self._due if one[0] <= now]:
                self._due.remove(one)
                one[1]()
            if now >= until:
                return
            time.sleep(min(0.05, until - now))

    def _await(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                ends = "\n".join(self._fleet.wrong_ends())
                raise TimeoutError(f"waited {timeout_s:.0f} s for {what}; lag {self._unseen()}\n{ends}")
            self._sleep(0.3)

    def _lag(self) -> int:
        return self._stack.lag(self._group, self._feeder.ends())

    def _unseen(self) -> int:
        """The lag that monitoring sees: transactions' markers and what they rolled back count too."""
        return self._stack.lag(self._group, self._stack.ends(INPUTS))

    # -- healing and judging ------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        healed_at = time.monotonic()
        for worker in self._fleet.alive():
            if worker.stopped:
                self._fleet.resume(worker)
        try:
            self._await(
                lambda: self._unseen() == 0 and not self._due, HEAL_TIMEOUT_S, "lag to return to zero"
            )
        except TimeoutError as error:
            self._verdict.violations.append(f"I8 liveness: {error}")
        self._verdict.notes["healed after"] = f"{time.monotonic() - healed_at:.1f} s"
        self._sleep(3)  # sockets of the last rebalance close
        for worker in self._fleet.alive():
            if worker.at_rest is not None:
                after = worker.resources()
                self._verdict.notes[f"{worker.name} before"] = worker.at_rest
                self._verdict.notes[f"{worker.name} after"] = after
                self._verdict.violations += [
                    f"I10 {worker.name}: {what}" for what in grown(worker.at_rest, after)
                ]

    def _judge(self, starts: Offsets, ends: Offsets, seen_alongside: tuple[object, ...]) -> None:
        verdict, fed = self._verdict, self._feeder.fed
        seen = read_afterwards(self._stack.bootstrap, starts, ends)
        history = History.of(fed, seen)
        found = all_violations(history, exactly_once=self._plan.delivery == "exactly_once")
        found += list(readers_disagree(seen_alongside, seen))  # type: ignore[arg-type] # Seen, as the reader makes them
        verdict.violations += [
            f"{one.invariant}: {one.what} at {'/'.join(map(str, one.at))}" for one in found
        ]
        verdict.violations += [f"exit code: {one}" for one in self._fleet.wrong_ends()]
        verdict.violations += [
            f"user text in the log of {worker.name}"
            for worker in self._fleet.workers
            if MARKER.encode() in worker.log.read_bytes()
        ]
        verdict.violations += [
            f"fault {kind} never happened while there was work"
            for kind in KINDS
            if not verdict.under_load[kind]
        ]
        verdict.violations += [
            f"no portion of the events was fed {way}" for way in set(WAYS) - self._feeder.portions.keys()
        ]
        outputs = [one for one in seen if not one.dead]
        verdict.notes |= {
            "plan": self._plan,
            "fed": len(fed),
            "portions": dict(self._feeder.portions),
            "outputs": len(outputs),
            "outputs, distinct": len({(one.topic, one.id) for one in outputs}),
            "dead letters": len(seen) - len(outputs),
            "dead, distinct": len({one.source() for one in seen if one.dead}),
            "worker processes": len(self._fleet.workers),
        }


def torment(plan: Plan, folder: Path, say: Callable[[str], None]) -> Verdict:
    """Bring the stack up, run the plan, take it down."""
    with Stack(folder) as stack:
        return Chaos(plan, stack, folder, say).run()


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.chaos", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--delivery", choices=("at_least_once", "exactly_once"), default="at_least_once")
    parser.add_argument(
        "--workers", type=int, default=2, help="at least 2: one survives, the others are killed"
    )
    parser.add_argument("--broken", type=float, default=0.05, help="share of events that cannot be tagged")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic")
    parser.add_argument("--rounds", type=int, default=30, help="bursts of events with a fault each")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the workers' logs")
    plan = vars(parser.parse_args(arguments))
    keep = plan.pop("keep")
    folder = Path(tempfile.mkdtemp(prefix="tagline-chaos-"))
    try:
        verdict = torment(Plan(**plan), folder, lambda line: print(line, file=sys.stderr, flush=True))
        keep = keep or bool(verdict.violations)
        print(verdict.summary())
    except BaseException:
        keep = True
        raise
    finally:
        if keep:
            print(f"logs are in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
