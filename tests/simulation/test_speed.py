"""How fast worlds are, printed and not judged, as a machine may be busy; and that many of them need no more memory than
a few.
"""

import resource

import pytest

from perdure.testing.simulation.choices import Choices

from .speed import large_world, measure, share_of_invariants, small_world, with_kills

# The memory that two thousand worlds may add to that of a hundred, in MiB.
GROWTH_MIB_MAX = 8
# The number of worlds of each kind that are measured with their invariants.
WORLDS_SHARED = {"crowd": 10, "plain": 60, "hosts": 10}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


@pytest.mark.slow
def test_the_speed_of_worlds_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    calm = measure(large_world, lambda seed: Choices(), worlds=10)
    kills = measure(large_world, with_kills, worlds=20)
    users = measure(small_world, Choices, worlds=200)
    assert kills.ran.kills >= kills.worlds
    assert users.ran.kills
    with capsys.disabled():
        print(f"\nlarge worlds, calm: {calm}\nlarge worlds with kills: {kills}\nsmall worlds of users: {users}")


@pytest.mark.slow
def test_the_share_of_the_invariants_in_the_time_of_worlds_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    shares = {kind: share_of_invariants(kind, worlds=worlds) for kind, worlds in WORLDS_SHARED.items()}
    assert all(shares.values())
    told = ", ".join(f"{100 * share:.0f} % ({kind})" for kind, share in shares.items())
    with capsys.disabled():
        print(f"\nof a world its invariants take {told}")


@pytest.mark.slow
def test_two_thousand_worlds_need_no_more_memory_than_a_hundred() -> None:
    for seed in range(100):
        small_world(Choices(seed))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(100, 2_100):
        small_world(Choices(seed))
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    assert grown_mib < GROWTH_MIB_MAX
