"""A night of worlds: all cores, until the time is over; failures are confirmed, made small and written down.

    make simulate HOURS=8
    make simulate HOURS=1 KINDS="plain sqlite crowd*6"

The rules: no two nights are alike, and each can be run again, because the seeds follow from the commit, the night and
the core. A failure is believed once it has happened twice by its schedule. A night fails if a world has failed, or if
an event that must happen sometimes has not.

Each kind of failure is worked out once: its schedule is made small and goes into a file of the folder, with what
happened, as the text of an issue. Later ones of the kind are counted. `checks/sometimes.py` has the expected events.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from perdure.testing.simulation.choices import told
from perdure.testing.simulation.search.attempt import Attempt, FoundFailure, NotRepeatable, failing_again, signature
from perdure.testing.simulation.search.shrink import shrink
from perdure.testing.simulation.wall import WorldTooLong

from .checks.sometimes import SOMETIMES, STREAMS
from .kinds import KINDS, choices_of
from .trying import run_of

# The kinds of its worlds, one after the other, if no others are given.
USUAL_KINDS = (
    *("mixed", "mixed", "mixed", "hosts", "apps", "poison"),
    *("mixed", "mixed", "mixed", "losing", "guests", "rolling"),
)
# A core reports after this number of worlds, and after each failure.
TELL_WORLDS = 20
# In the folder of a night: the counts of each core, a line of JSON each time.
COUNTED = "core-*.jsonl"
# A night shorter than this, or of other kinds, need not have seen all that happens sometimes.
FULL_S = 3_600.0


class Night(NamedTuple):
    """The parameters of a night.

    Args:
        commit: The commit of the code.
        name: Distinguishes it from other nights of the commit.
        seconds: How long it lasts.
        folder: Takes the failures, and the counts of each core.
        shrink_runs: The maximum number of worlds in which a failure is made small.
        kinds: The kinds of its worlds, one after the other.
    """

    commit: str
    name: str
    seconds: float
    folder: Path
    shrink_runs: int = 400
    kinds: Sequence[str] = USUAL_KINDS

    def seeds(self, core: int) -> Iterator[int]:
        """The seeds of a core, without an end."""
        text = f"{self.commit}/{self.name}/{core}".encode()
        first = int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
        number = 0
        while True:
            yield (first + number) % (1 << 63)
            number += 1


class Totals:
    """The outcomes of the worlds of a night."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # worlds, instances, kills, failures, microseconds of CPU
        self.sometimes: Counter[str] = Counter()
        self.places: Counter[str] = Counter()  # at which a fault could strike, by stream
        self.struck: Counter[str] = Counter()
        self.worlds: Counter[str] = Counter()  # by kind, as are the next ones
        self.instances: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def take(self, kind: str, attempt: Attempt) -> None:
        """Add a world of a kind."""
        outcome = attempt.facts
        self.worlds[kind] += 1
        self.instances[kind] += outcome.instances
        self.failed[kind] += attempt.error is not None
        self.counts += Counter(
            worlds=1, instances=outcome.instances, kills=outcome.kills, failed=int(attempt.error is not None)
        )
        self.sometimes += outcome.sometimes
        faults = attempt.choices.faults
        self.places += Counter({stream: attempt.choices.drawn[stream] for stream in faults})
        self.struck += Counter(stream for stream, _ in attempt.choices.taken if stream in faults)

    def add(self, told_of: dict[str, dict[str, int]]) -> None:
        """Add the counts of another process since the last time."""
        for name, counts in told_of.items():
            getattr(self, name).update(counts)

    def as_json(self) -> str:
        return json.dumps({name: dict(counts) for name, counts in vars(self).items()})

    def missing(self) -> list[str]:
        """The events that must happen sometimes, and have not."""
        return [what for what in SOMETIMES if not self.sometimes[what]] + [
            stream for stream in STREAMS if not self.struck[stream]
        ]

    def report(self) -> str:
        counts = self.counts
        a_second = counts["instances"] / max(1e-9, counts["cpu_us"] / 1e6)
        lines = [
            f"{counts['worlds']} worlds, {counts['instances']} instances, {counts['kills']} kills, "
            f"{counts['failed']} failed worlds; {a_second:.0f} instances per CPU-second",
            "",
            "kind          worlds  instances  failed",
            *(
                f"{kind:10} {self.worlds[kind]:>9} {self.instances[kind]:>10} {self.failed[kind]:>7}"
                for kind in sorted(self.worlds)
            ),
            "",
            "fault                 places     struck",
            *(f"{stream:20} {self.places[stream]:>8} {self.struck[stream]:>10}" for stream in sorted(self.places)),
            "",
            *(f"{number:>10}  {what}" for what, number in sorted(self.sometimes.items())),
        ]
        return "\n".join(lines)


def run_core(night: Night, core: int) -> None:
    """Run the worlds of one core until the night is over; print lines of JSON."""
    logging.getLogger().setLevel(logging.CRITICAL)
    ends_s, seen = time.monotonic() + night.seconds, set[str]()
    totals, cpu_s = Totals(), time.process_time()
    for number, seed in enumerate(night.seeds(core)):
        kind = night.kinds[number % len(night.kinds)]
        attempt = run_of(kind)(choices_of(kind, seed))
        totals.take(kind, attempt)
        if attempt.error is not None and (failure := signature(attempt.error)) not in seen:
            seen.add(failure)
            _write_down(night, kind, seed, attempt)
        over = time.monotonic() > ends_s
        if over or number % TELL_WORLDS == TELL_WORLDS - 1:
            now_s = time.process_time()
            totals.counts["cpu_us"] = round((now_s - cpu_s) * 1e6)
            print(totals.as_json(), flush=True)
            totals, cpu_s = Totals(), now_s
        if over:
            return


def _write_down(night: Night, kind: str, seed: int, attempt: Attempt) -> None:
    """Confirm a failure, make it small, and write the text of an issue; where it does not repeat, that."""
    assert attempt.error is not None
    name = blake2b(signature(attempt.error).encode(), digest_size=4).hexdigest()
    path = night.folder / f"{name}.md"
    try:
        # A file that is there was written by another core.
        with path.open("x") as file:
            file.write(_issue(night, kind, seed, attempt))
    except FileExistsError:
        return
    print(f"{path}: {attempt.error}", file=sys.stderr, flush=True)


def _issue(night: Night, kind: str, seed: int, attempt: Attempt) -> str:
    run, named = run_of(kind), f"seed {seed}, kind of world `{kind}`"
    if isinstance(attempt.error, WorldTooLong):
        return _text(night, kind, named, attempt, "It was not run again.", attempt.choices.taken, attempt.story)
    try:
        again = failing_again(run, attempt.choices.taken)
    except NotRepeatable as error:
        return _text(night, kind, named, attempt, f"It does not repeat: {error}", attempt.choices.taken, attempt.story)
    if again is None or again.error is None:
        note = "Its schedule alone is green: something of it is in the seed and not in the schedule."
        return _text(night, kind, named, attempt, note, attempt.choices.taken, attempt.story)
    found = shrink(run, FoundFailure(attempt.choices.taken, again.error, again.story, 0), runs_max=night.shrink_runs)
    note = f"Confirmed twice, and made small in {found.runs} worlds."
    return _text(night, kind, named, attempt, note, found.schedule, found.story)


def _text(night: Night, kind: str, named: str, attempt: Attempt, note: str, schedule: Any, story: str) -> str:
    return "\n".join(
        [
            f"# A world fails: {attempt.error}",
            "",
            f"Commit {night.commit}, night {night.name}, {named}. {note}",
            "",
            f"A line for tests/simulation/schedules/{kind}.txt, with what was wrong in the place of the first dash:",
            "",
            f"    - | - | {told(schedule)}",
            "",
            "What happened:",
            "",
            *(f"    {line}" for line in story.splitlines()),
            "",
        ]
    )


def run_night(night: Night, jobs: int) -> int:
    """Run a night on several cores, print the outcome, and return 0 if it was green."""
    night.folder.mkdir(parents=True, exist_ok=True)
    before = set(night.folder.glob("*.md"))
    command = [sys.executable, "-m", "tests.simulation.night", "--seconds", str(night.seconds)]
    command += ["--commit", night.commit, "--night", night.name, "--folder", str(night.folder)]
    command += ["--kinds", *night.kinds]
    for old in night.folder.glob(COUNTED):
        old.unlink()
    cores = []
    for core in range(jobs):
        with (night.folder / COUNTED.replace("*", str(core))).open("w") as counted:
            cores.append(subprocess.Popen([*command, "--core", str(core)], stdout=counted))
    returned = [core.wait() for core in cores]
    totals = so_far(night.folder)
    print(totals.report())
    bad = [f"a core has ended with {each}" for each in returned if each]
    bad += [f"a world failed: {path}" for path in sorted(set(night.folder.glob("*.md")) - before)]
    bad += ["worlds failed"] if totals.counts["failed"] else []
    missing = totals.missing()
    if missing and night.seconds >= FULL_S and night.kinds == USUAL_KINDS:
        bad.append(f"never happened: {', '.join(missing)}")
    elif missing:
        print(f"\nnot seen in so short a night, or in these kinds of world: {', '.join(missing)}")
    for each in bad:
        print(f"FAILED: {each}")
    return 1 if bad else 0


def so_far(folder: Path) -> Totals:
    """The counts of the cores of a night, also while it lasts."""
    totals = Totals()
    for path in sorted(folder.glob(COUNTED)):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # else it is being written
                totals.add(json.loads(line))
    return totals


def kinds_of(named: Iterable[str]) -> Sequence[str]:
    """The kinds of worlds that were named, as "plain" or "crowd*6".

    Raises:
        ValueError: There is no such kind.
    """
    found: list[str] = []
    for each in named:
        kind, _, times = each.partition("*")
        if kind not in KINDS or not (times or "1").isdigit():
            raise ValueError(f"{each!r} is no kind of world, nor one and how often, as crowd*6; there are {KINDS}")
        found += [kind] * int(times or "1")
    return found or USUAL_KINDS


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "no commit"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run worlds until the time is over.")
    parser.add_argument("--hours", type=float, default=0.0)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("build/simulate"))
    parser.add_argument("--commit", default=None)
    parser.add_argument("--night", default=None, help="a name; the same commit and name are the same worlds")
    parser.add_argument("--kinds", nargs="*", default=[], metavar="KIND", help="of worlds, as: plain crowd*6")
    parser.add_argument("--so-far", action="store_true", help="only print what a night in this folder has counted")
    parser.add_argument("--core", type=int, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.so_far:
        print(so_far(given.folder).report())
        return 0
    try:
        kinds = kinds_of(given.kinds)
    except ValueError as error:
        parser.error(str(error))
    night = Night(
        given.commit or _commit(),
        given.night or time.strftime("%Y-%m-%dT%H:%M:%S"),
        given.hours * 3600 + given.minutes * 60 + given.seconds,
        given.folder,
        kinds=kinds,
    )
    if given.core is not None:
        run_core(night, given.core)
        return 0
    return run_night(night, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
