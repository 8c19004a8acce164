"""Hosts that share a database of the stand-in keep what they promise, whatever happens to them and to it."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres import writer
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.database.backend import Scene
from perdure.testing.simulation.machines.database.statements import committing
from perdure.testing.simulation.machines.database.work import Waiting
from perdure.testing.simulation.search.attempt import FoundFailure, failing_again, signature
from perdure.testing.simulation.search.shrink import shrink

from .sharing import NotOwned, SharingHosts
from .trying import run_of

# How many worlds a planted bug may take.
WORLDS = 100

# What happens to hosts more often than the seed would have it.
OFTEN = {"host.kill": 0.01, "host.pause": 0.02, "host.cut_off": 0.02, "host.deaf": 0.01}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def check(seed: int) -> SharingHosts:
    hosts = SharingHosts(Choices(seed, rates=OFTEN), 2 + seed % 3)
    hosts.run(for_s=10.0)
    return hosts


def test_hosts_keep_what_they_promise_whatever_happens() -> None:
    ran = [check(seed) for seed in range(12)]
    assert sum(each.kills for each in ran) > 5
    assert sum(len(each.acknowledged) for each in ran) > 500


# Who checks the checks.


def no_fence(scene: Scene, *arguments: Any) -> Waiting[bool]:
    """As if a statement had no fence."""
    yield from ()
    return True


def commits_have_no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(committing, "passes_fence", no_fence)


def commits_in_doubt_are_given_up(patch: pytest.MonkeyPatch) -> None:
    """As if an unknown outcome were a failure."""

    def known(what: str, why: str) -> StoreFailed:
        return StoreFailed(f"{what} has not happened: {why}")

    patch.setattr(writer, "StoreUncertain", known)


@pytest.mark.parametrize(
    "plant", [commits_in_doubt_are_given_up, pytest.param(commits_have_no_fence, marks=pytest.mark.slow)]
)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for number in range(WORLDS):
        try:
            check(number)
        except (NotOwned, AssertionError):
            return
    pytest.fail(f"it was not found in {WORLDS} worlds")


def test_a_failure_replays_by_its_schedule_and_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a bug that some world shows,
    commits_in_doubt_are_given_up(monkeypatch)
    run = run_of(2)
    found = next(filter(lambda each: each.error is not None, (run(Choices(n, rates=OFTEN)) for n in range(WORLDS))))
    # when what was chosen in it is chosen again, without the seed, then it fails in the same way,
    again = failing_again(run, found.choices.taken)
    assert again is not None
    assert again.error is not None
    assert found.error is not None
    assert (again.digest, signature(again.error)) == (found.digest, signature(found.error))
    # and fewer choices do.
    small = shrink(run, FoundFailure(found.choices.taken, again.error, again.story, 0), runs_max=25)
    assert len(small.schedule) < len(found.choices.taken) / 2


@pytest.mark.slow
def test_hosts_keep_what_they_promise_in_hundreds_of_worlds() -> None:
    for seed in range(100, 600):
        check(seed)
