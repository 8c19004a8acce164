"""Only a host whose own beats work declares others dead; a host without a beat for two seconds is declared dead."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.cluster.leases.judging import DEAD_S, PAUSE_S, QUIET_S, BeatTable, Rejoining
from perdure.actors.store.presence.beats import BEAT_S, SLOW_S, Beats, Heartbeat

ME, OTHER, THIRD = 1, 2, 3


def beat(at: float, took_s: float = 0.01, *, failed: bool = False, **numbers: Any) -> Heartbeat:
    seen = {ME: 0} | {int(host[1:]): number for host, number in numbers.items()}
    return Heartbeat(at, at + took_s, None if failed else Beats(alive=True, seen=seen, version="", timeline=""))


def table_of(*beats: Heartbeat) -> BeatTable:
    table = BeatTable(ME)
    for each in beats:
        table.heard(each)
    return table


def every(until: float, *, since: float = 0.0, **numbers: Any) -> list[Heartbeat]:
    """Beats twice a second, all with the same view."""
    return [beat(since + i * BEAT_S, **numbers) for i in range(int((until - since) / BEAT_S) + 1)]


# The beats that were seen -> the hosts that are judged at the end.
TABLE = {
    "a number that stands still for 2 s": (every(2.5, h2=7), {OTHER: 7}),
    "not yet": (every(2.0, h2=7), {}),
    "a number that grows": ([beat(i * BEAT_S, h2=i) for i in range(20)], {}),
    "one of two": ([beat(i * BEAT_S, h2=4, h3=i) for i in range(20)], {OTHER: 4}),
    "a number that grew once": ([*every(1.5, h2=7), *every(3.5, since=2.0, h2=8)], {}),
    "and stood still again": ([*every(1.5, h2=7), *every(4.5, since=2.0, h2=8)], {OTHER: 8}),
    "one that came back under the same number": (
        [*every(1.5, h2=7), *every(2.0, since=2.0), *every(3.5, since=2.5, h2=7)],
        {},
    ),
    "one that is gone": ([*every(3.0, h2=7), beat(3.5)], {}),
    "an own beat that failed": ([*every(1.0, h2=7), beat(1.5, failed=True), *every(6.0, since=2.0, h2=7)], {}),
    "an own beat that was slow": ([*every(1.0, h2=7), beat(1.5, 1.1, h2=7), *every(6.0, since=3.0, h2=7)], {}),
    "an own beat of a second": ([*every(1.0, h2=7), beat(1.5, 0.99, h2=7), *every(6.0, since=2.5, h2=7)], {OTHER: 7}),
    "quiet is over": ([beat(0.0, failed=True), *every(13.0, since=0.5, h2=7)], {OTHER: 7}),
    "who has slept": ([*every(1.0, h2=7), *every(4.0, since=2.5, h2=7)], {}),
    "who has slept a while ago": ([*every(1.0, h2=7), *every(5.0, since=2.5, h2=7)], {OTHER: 7}),
    "nobody judges itself": ([beat(i * BEAT_S) for i in range(20)], {}),
    "no beats": ([], {}),
}


@pytest.mark.parametrize(("beats", "dead"), TABLE.values(), ids=TABLE)
def test_the_table_of_beats(beats: list[Heartbeat], dead: dict[int, int]) -> None:
    now = beats[-1].answered_at if beats else 0.0
    assert table_of(*beats).dead(now) == dead


def test_an_old_look_judges_no_host() -> None:
    table = table_of(*every(3.0, h2=7))
    assert table.dead(3.1) == {OTHER: 7}
    assert table.dead(3.1 + PAUSE_S) == {}


def test_how_long_a_host_has_been_silent_is_told() -> None:
    table = table_of(*every(1.5, h2=7))
    assert table.silent_s(OTHER) == pytest.approx(1.49)
    assert table.silent_s(THIRD) is None


# Each of a host's own beats: the time since the one before, the time until its answer, whether it failed, and whether
# the other host had beaten.
STEP = st.tuples(
    st.floats(0.0, 3.0).map(lambda more: BEAT_S + more) | st.just(BEAT_S),
    st.floats(0.0, 2.5) | st.just(0.01),
    st.booleans() | st.just(False),
    st.booleans(),
)


@given(st.lists(STEP, max_size=60))
def test_who_is_judged_stood_still_and_the_judge_was_awake_and_answered(
    steps: list[tuple[float, float, bool, bool]],
) -> None:
    table, at, number, beats = BeatTable(ME), 0.0, 0, list[Heartbeat]()
    for gap_s, took_s, failed, grows in steps:
        at = max(at + gap_s, beats[-1].answered_at if beats else 0.0)
        number += grows
        beats.append(beat(at, took_s, failed=failed, h2=number))
        table.heard(beats[-1])
        now = beats[-1].answered_at
        lately = [each for each in beats if each.answered_at > now - QUIET_S]
        if table.dead(now):
            # Each beat of the last ten seconds has come back in time,
            assert all(each.beats is not None and each.answered_at - each.sent_at <= SLOW_S for each in lately)
            # and over two seconds, in which this host has not slept, the number was the same.
            still = list(reversed(beats))
            for newer, older in itertools.pairwise(still):
                assert newer.sent_at - max(older.sent_at, older.answered_at) <= PAUSE_S
                assert older.beats is not None
                assert older.beats.seen[OTHER] == number
                if still[0].sent_at - older.answered_at >= DEAD_S:
                    break
            else:
                pytest.fail("it was judged before two seconds were over")


@given(
    st.lists(st.floats(0.0, SLOW_S - 0.01), min_size=30, max_size=30),
    st.integers(0, 20),
    st.lists(STEP, max_size=10),
)
def test_a_host_that_stops_beating_is_judged(
    answers_s: list[float], number: int, before: list[tuple[float, float, bool, bool]]
) -> None:
    # Given a judge with any past, whose beats work from now on,
    table, at = BeatTable(ME), 0.0
    for gap_s, took_s, failed, _ in before:
        table.heard(beat(at, took_s, failed=failed, h2=number))
        at += max(gap_s, took_s)
    began = at
    for took_s in answers_s:
        table.heard(beat(at, took_s, h2=number))
        at += max(BEAT_S, took_s)
        # when a host stops beating, then it is judged at the latest 2 s, two beats and the quiet time later.
        if table.dead(at):
            assert at - began <= QUIET_S + DEAD_S + 3 * SLOW_S
            return
    pytest.fail("it was never judged")


def test_who_is_killed_three_times_in_a_minute_stays_away_and_longer_each_time() -> None:
    rejoining, at, away = Rejoining(), 0.0, []
    for _ in range(8):
        away.append(rejoining.killed(at))
        at += 20.0 + away[-1]
    assert away == [0.0, 0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 160.0]
    # A host that lives for a minute between two kills counts as one that was never killed.
    for _ in range(4):
        at += 61.0
        assert rejoining.killed(at) == 0.0
