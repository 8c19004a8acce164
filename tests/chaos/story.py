"""The parts that all stories of the long chaos share: their length, and the checks at the end of each.

`make test-chaos` runs them. `CHAOS_SECONDS=600 make test-chaos` gives each story ten minutes.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from ..whole.chaos.checker import Verdict
from ..whole.chaos.storm import Bed, Sky, Storm, weather

SECONDS = float(os.environ.get("CHAOS_SECONDS", "20"))
HOSTS = 3
TAKEN_S_MAX, TAKEN_S_MEDIAN = 5.0, 2.0


def again_and_again(storm: Storm) -> Storm:
    """Repeat the storm as often as the time allows, and at least once."""

    async def blow(sky: Sky) -> None:
        end_s = time.monotonic() + SECONDS
        await storm(sky)
        while time.monotonic() < end_s:
            await storm(sky)

    return blow


async def judged(bed: Bed, folder: Path, storm: Storm) -> Verdict:
    """Run a storm, print its results, and check that they are sound."""
    verdict, fleet = await weather(bed, folder, storm)
    print(f"\n{verdict.told()}")
    assert verdict.sound, verdict.told()
    assert verdict.ledgers is not None
    assert verdict.ledgers.entries > 50
    assert set(fleet.codes) == {0}
    return verdict


def run(story: Callable[[], Awaitable[Verdict]]) -> Verdict:
    """Run a story to its end."""

    async def main() -> Verdict:
        return await story()

    return asyncio.run(main())


def require_quick_takeovers(verdict: Verdict) -> None:
    """Check that other hosts soon took the shards of killed hosts."""
    assert verdict.taken_s
    assert max(verdict.taken_s) < TAKEN_S_MAX
    assert median(verdict.taken_s) < TAKEN_S_MEDIAN
