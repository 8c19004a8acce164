"""Series: an hour of figures in steps of ten seconds, kept in memory, so that a page has charts without a database.

The rule: a sample reads counters in memory, and neither reads nor writes the store. A counter becomes the count of a
step; any other figure is its value at the end of the step.

`daemon/daemon.py` runs it; `http/management/routes/overview.py` shows it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import anyio

from ....actors.clock import Clock
from ....actors.cluster.method import HostMethod
from ....actors.cluster.peers import AppPeers
from ....actors.hosting.host import Host
from ...errors import InvalidRequest
from ...workers.activity_figures import percentile
from .reports import HostReport

STEP_S = 10
STEPS = 360
# Counts of a step. Those of several hosts are added up.
COUNTED = {
    "started": "Instances that were started",
    "completed": "Instances that have completed",
    "failed": "Instances that have failed",
    "terminated": "Instances that were terminated",
    "turns": "Turns of actors",
    "commits": "Group commits",
}
# Values at the end of a step. Those of several hosts are added up, except the last, whose largest value counts.
MEASURED = {
    "activations": "Actors in memory",
    "activities_running": "Activities that run",
    "activities_waiting": "Activities that wait for room or for a worker",
    "workers": "Remote workers that are connected",
    "commit_p99_ms": "The time that 99 of 100 commits of the step took at most, in milliseconds",
}
NAMES = {**COUNTED, **MEASURED}
LARGEST = frozenset({"commit_p99_ms"})


class Sample(NamedTuple):
    """The figures at the end of a step."""

    step: int  # the number of the step: Unix time in seconds, divided by STEP_S
    figures: Mapping[str, int | float]  # of counters the count since the host began
    names: Mapping[str, Sequence[int]]  # by workflow: started, completed, failed, terminated, since the host began


METHOD = HostMethod("overview.series", (), Sequence[Sample])  # other hosts call it


class SeriesPage(NamedTuple):
    """Figures in equal steps."""

    from_us: int  # when the first step begins; Unix time, microseconds
    step_us: int
    values: Mapping[str, Sequence[float | None]]  # by name; None: unknown for that step


class Series:
    """Keeps the samples of a host, and adds up those of all.

    Args:
        report: Makes the report of this host.
        peers: The other hosts, if there are any.
    """

    def __init__(self, host: Host, report: Callable[[], HostReport], *, clock: Clock, peers: AppPeers | None) -> None:
        self._host = host
        self._report = report
        self._clock = clock
        self._peers = peers
        self._samples: deque[Sample] = deque(maxlen=STEPS + 1)
        if peers is not None:
            peers.answer(METHOD, self.own)

    async def run(self) -> None:
        """Take a sample at the end of each step, until cancelled."""
        # The first step is counted from the start of the host on.
        self.sample(int(self._clock.now_us() / 1e6 / STEP_S))
        while True:
            await anyio.sleep(STEP_S - self._clock.now_us() / 1e6 % STEP_S)
            self.sample(round(self._clock.now_us() / 1e6 / STEP_S))

    def sample(self, step: int) -> None:
        """Take a sample of the step that ends now.

        Args:
            step: Its number.
        """
        report = self._report()
        ended: dict[str, int] = {}
        for (_, status), count in report.ended.items():
            ended[status] = ended.get(status, 0) + count
        took_s = sorted(self._host.commit_times)
        self._host.commit_times.clear()
        figures: dict[str, float] = {
            "started": sum(report.began.values()),
            "completed": ended.get("COMPLETED", 0),
            "failed": ended.get("FAILED", 0),
            "terminated": ended.get("TERMINATED", 0),
            "turns": report.turns,
            "commits": report.commits,
            "activations": report.activations,
            "activities_running": sum(load.running for load in report.loads.values()),
            "activities_waiting": sum(load.waiting for load in report.loads.values()),
            "workers": len(report.workers),
            "commit_p99_ms": round(percentile(took_s, 0.99) * 1e3, 3) if took_s else 0.0,
        }
        self._samples.append(Sample(step, figures, by_workflow(report)))

    def own(self) -> Sequence[Sample]:
        """Give the samples of this host, the oldest first."""
        return list(self._samples)

    async def read(self, names: Iterable[str], *, window_s: int, step_s: int) -> SeriesPage:
        """Add up the samples of all hosts that can be reached.

        Args:
            names: Of `NAMES`.
            window_s: How far back, at most an hour.
            step_s: The length of a step, a multiple of STEP_S.

        Raises:
            InvalidRequest: A step is no multiple, or longer than the window.
        """
        if step_s % STEP_S or not 0 < step_s <= window_s <= STEP_S * STEPS:
            raise InvalidRequest(
                f"a series has a window of at most {STEP_S * STEPS} s and a step that is a multiple of {STEP_S} s and "
                f"no longer than the window, not {window_s} s and {step_s} s"
            )
        hosts = await self._all()
        each = step_s // STEP_S
        last = int(self._clock.now_us() / 1e6 // step_s) * each  # the end of the last step that is over
        first = last - window_s // step_s * each
        values: dict[str, list[float | None]] = {}
        for name in names:
            found = [of_host(samples, name, range(first, last, each), each) for samples in hosts]
            merge = max if name in LARGEST else sum
            values[name] = [merged(column, merge) for column in zip(*found, strict=True)]
        return SeriesPage(first * STEP_S * 10**6, step_s * 10**6, values)

    async def before_the_hour(self) -> dict[str, list[int]]:
        """Count the instances that had begun and ended an hour ago, since the hosts began: as `by_workflow` does."""
        found: dict[str, list[int]] = {}
        for samples in await self._all():
            if len(samples) > STEPS:
                add_up(found, samples[0].names)
        return found

    async def _all(self) -> list[Sequence[Sample]]:
        others = await self._peers.ask_reachable(METHOD) if self._peers is not None else []
        return [self.own(), *others]


STATUSES = ("COMPLETED", "FAILED", "TERMINATED")


def by_workflow(report: HostReport) -> dict[str, Sequence[int]]:
    """Count by workflow the instances that have begun and ended since a host began: started, completed, failed,
    terminated.
    """
    found = {name: [count, 0, 0, 0] for name, count in report.began.items()}
    for (name, status), count in report.ended.items():
        if status in STATUSES:
            found.setdefault(name, [0, 0, 0, 0])[STATUSES.index(status) + 1] += count
    return {name: tuple(counts) for name, counts in found.items()}


def add_up(total: dict[str, list[int]], counts: Mapping[str, Sequence[int]]) -> None:
    """Add counts to others."""
    for name, each in counts.items():
        total[name] = [a + b for a, b in zip(total.get(name, [0, 0, 0, 0]), each, strict=True)]


def of_host(samples: Sequence[Sample], name: str, begins: range, steps: int) -> list[float | None]:
    """Give the values of one host.

    Args:
        begins: The numbers at which the steps begin.
        steps: How many samples make up one.
    """
    by_step = {sample.step: sample.figures[name] for sample in samples}
    values: list[float | None] = []
    for begin in begins:
        end = by_step.get(begin + steps)
        if name in COUNTED:
            before = by_step.get(begin)
            values.append(end - before if end is not None and before is not None else None)
        else:
            inside = [by_step[step] for step in range(begin + 1, begin + steps + 1) if step in by_step]
            values.append((max(inside) if name in LARGEST else inside[-1]) if inside else None)
    return values


def merged(column: Iterable[float | None], merge: Callable[[list[float]], float]) -> float | None:
    """Merge the values of hosts; None if no host has one."""
    known = [value for value in column if value is not None]
    return merge(known) if known else None
