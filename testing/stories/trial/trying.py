"""Trying a plan: the schedules that are kept, then the calm world, each single fault, each pair, and then seeds.

The rule: the first failure ends it, and is believed when it has happened twice in the same steps.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ...simulation.choices import Choices, Schedule
from ...simulation.search.attempt import Attempt, FoundFailure, NotRepeatable, failing_again, signature
from ...simulation.search.shrink import shrink
from ...simulation.search.sweep import Sweep, sweep
from ...simulation.wall import WorldTooLong
from .running import WorldRunner
from .session import SimulationSession
from .spread import spread

# The maximum number of worlds of a sweep: some stories have thousands of pairs.
SWEEP_WORLDS_MAX = 2_000
SHRINK_WORLDS_MAX = 400
SHRINK_S_MAX = 30.0
# The number of pairs that break something at which the sweep ends.
PAIRS_ENOUGH = 3
# The number of seeds between two worlds that are run twice, and have to take the same steps.
TWICE_EVERY = 100
# Kinds of faults with so many places, or so seldom the cause, that only seeds try them.
MOMENTS = frozenset({"host", "clock", "order", "world", "step", "timer", "thread", "process", "caller"})
NOT_SWEPT = frozenset(
    {
        *("kill.between", "kill.starting", "kill.reading", "kill.recovering", "kill.stopping"),
        *("store.open", "store.load", "store.inspect", "store.reminders", "deploy.now", "deploy.last"),
    }
)


def is_swept(stream: str) -> bool:
    """Whether a sweep tries each place of a stream."""
    return not stream.endswith(".slow") and stream not in NOT_SWEPT and stream.partition(".")[0] not in MOMENTS


@dataclass(slots=True)
class Tried:
    """The worlds that were tried."""

    kept: int = 0  # schedules that are kept
    unmet: list[str] = field(default_factory=list)  # choices of these that their worlds have not reached
    sweep: Sweep | None = None
    seeds: int = 0
    worlds: int = 0
    seconds: float = 0.0
    kills: int = 0
    lost: int = 0  # requests and answers
    deploys: int = 0
    replayed: int = 0  # histories that were run through their code
    met: Counter[str] = field(default_factory=Counter)

    def count(self, attempt: Attempt) -> None:
        """Count a world."""
        facts = attempt.facts
        self.worlds += 1
        self.kills += facts.kills
        self.lost += facts.lost
        self.deploys += facts.deploys
        self.replayed += facts.replayed
        self.met.update(facts.met)

    def __str__(self) -> str:
        parts = []
        if self.kept:
            unmet = f" (not met any more: {', '.join(self.unmet)})" if self.unmet else ""
            parts.append(f"{self.kept} kept{unmet}")
        if self.sweep is not None:
            complete = "complete" if self.sweep.complete else "cut short"
            parts.append(f"{self.sweep.places} places, {self.sweep.pairs} pairs, {complete}")
        parts += [f"{self.seeds} seeds", f"{self.worlds} worlds in {self.seconds:.1f} s"]
        deploys = f", {self.deploys} deploys" if self.deploys else ""
        return (
            f"{'; '.join(parts)}; {self.kills} kills, {self.lost} lost requests and answers{deploys}, "
            f"{self.replayed} histories replayed"
        )


class Finding(NamedTuple):
    """A failure, and how it was found.

    Args:
        how: By what, as "by seed 7".
        before: How many choices its schedule had before it was made smaller; None: it was not.
        others: Other schedules that break something too.
    """

    failure: FoundFailure
    how: str
    before: int | None
    others: tuple[Schedule, ...]


class Trial:
    """Tries a plan.

    Args:
        kept: The schedules that are tried first.
    """

    def __init__(self, runner: WorldRunner, session: SimulationSession, kept: Iterable[Schedule]) -> None:
        self.tried = Tried()
        self._runner = runner
        self._plan = runner.plan
        self._session = session
        self._kept = list(kept)
        self._began_s = time.perf_counter()

    def run(self) -> Finding | None:
        """Try the whole plan.

        Returns:
            The first failure, made small; None: there is none.

        Raises:
            NotRepeatable: A world did not do the same again.
        """
        try:
            return self._keep_to_schedules() or self._sweep() or self._explore()
        finally:
            self.tried.seconds = time.perf_counter() - self._began_s

    def run_seed(self, seed: int) -> Attempt:
        """Run the world of one seed."""
        return self._world(Choices(seed))

    def run_schedule(self, schedule: Schedule) -> Attempt:
        """Run the world of one schedule."""
        return self._world(Choices(schedule=schedule))

    def _world(self, choices: Choices) -> Attempt:
        attempt = self._runner.run(choices)
        self.tried.count(attempt)
        return attempt

    def _keep_to_schedules(self) -> Finding | None:
        for schedule in self._kept:
            self.tried.kept += 1
            failed = failing_again(self._keep_to, schedule)
            if failed is not None:
                assert failed.error is not None
                failure = FoundFailure(schedule, failed.error, failed.story, 1, failed)
                return Finding(failure, "by a schedule that is kept", None, ())
        return None

    def _keep_to(self, choices: Choices) -> Attempt:
        attempt = self._world(choices)
        if attempt.error is None:
            self.tried.unmet += (f"{stream}#{index}" for stream, index in attempt.choices.unmet)
        return attempt

    def _sweep(self) -> Finding | None:
        level = self._plan.sweep
        if level == 0:
            calm = self._world(Choices())
            if calm.error is None:
                return None
            failed = failing_again(self._world, {})
            assert failed is not None, "it has failed a moment ago"
            assert failed.error is not None
            failure = FoundFailure({}, failed.error, failed.story, 1, failed)
            return Finding(failure, "in the calm world, without any fault", None, ())
        swept = sweep(
            self._world,
            pairs=level == 2,
            pairs_of_failing=False,
            only=is_swept,
            runs_max=SWEEP_WORLDS_MAX,
            enough=SWEEP_WORLDS_MAX,
            enough_pairs=PAIRS_ENOUGH,
        )
        self.tried.sweep = swept
        if not swept.failures:
            return None
        first, *others = sorted(swept.failures, key=_how_plain)
        return Finding(first, _how(swept), None, tuple(other.schedule for other in others))

    def _explore(self) -> Finding | None:
        for seed in self._seeds():
            attempt = self._world(Choices(seed))
            self.tried.seeds += 1
            if attempt.error is not None:
                return self._found(seed, attempt)
            if seed % TWICE_EVERY == 0:
                again = self._world(Choices(seed))
                if again.digest != attempt.digest:
                    raise NotRepeatable(attempt, again)
        return None

    def _seeds(self) -> Iterator[int]:
        """The seeds, in their order; if several processes share them, only the first that has failed in one."""
        session = self._session
        number = session.seeds if session.seeds is not None else self._plan.seeds
        until_s = self._began_s + session.minutes * 60 if session.minutes is not None else None
        if session.jobs > 1:
            shared = spread(session.jobs, number, until_s, self._one_of_many)
            self.tried.seeds += shared.seeds
            self.tried.worlds += shared.worlds
            self.tried.kills += shared.kills
            self.tried.lost += shared.lost
            self.tried.deploys += shared.deploys
            self.tried.replayed += shared.replayed
            self.tried.met.update(shared.met)
            yield from shared.failed[:1]
            return
        seed = 0
        while seed < number or (until_s is not None and time.perf_counter() < until_s):
            yield seed
            seed += 1

    def _one_of_many(self, seed: int) -> Attempt:
        return self._runner.run(Choices(seed))

    def _found(self, seed: int, attempt: Attempt) -> Finding:
        schedule = dict(attempt.choices.taken)
        if isinstance(attempt.error, WorldTooLong):
            return Finding(
                FoundFailure(schedule, attempt.error, attempt.story, 1, attempt), f"by seed {seed}", None, ()
            )
        failed = failing_again(self._world, schedule)
        if failed is None or failed.error is None or _differs(attempt, failed):
            raise NotRepeatable(attempt, failed or self._world(Choices(schedule=schedule)))
        found = FoundFailure(schedule, failed.error, failed.story, 0, failed)
        small = shrink(self._world, found, runs_max=SHRINK_WORLDS_MAX, seconds=SHRINK_S_MAX)
        return Finding(small, f"by seed {seed}", len(schedule), ())


def _differs(one: Attempt, other: Attempt) -> bool:
    assert one.error is not None
    assert other.error is not None
    return signature(one.error) != signature(other.error)


def _how_plain(failure: FoundFailure) -> tuple[int, int]:
    """The sort key of failures: few faults before many, and first of all a host that dies after a call to a fake."""
    strange = sum(0 if is_of_a_deed(stream) else 1 for stream, _ in failure.schedule)
    return len(failure.schedule), strange


def is_of_a_deed(stream: str) -> bool:
    """Whether a stream kills a host before it gets the answer of a fake: `kill.bank.charge`."""
    return stream.startswith("kill.") and stream.count(".") == 2


def _how(swept: Sweep) -> str:
    first = swept.failures[0]
    if not first.schedule:
        return "in the calm world, without any fault"
    size = max(len(failure.schedule) for failure in swept.failures)
    if size > 1:
        pairs = f"{len(swept.failures)} of {'' if swept.complete else 'the first '}{swept.pairs} pairs do"
        return f"by the sweep: no single fault of {swept.places} breaks it, and {pairs}"
    return f"by the sweep: {len(swept.failures)} of {swept.places} single faults break it"
