"""A culprit is found within three ends, and no other work counts as one."""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from perdure.actors.hosting.quarantine import (
    ALONE_ENDS,
    EARLY_ENDS,
    EARLY_S,
    ENDS,
    FLOOR_MAX_S,
    PAUSE_CHANCE,
    PAUSE_MAX_S,
    Flight,
    Suspect,
    reason_of,
    suspects_after,
)


def flight(name: str, *, took_s: float = 0.1, begun: float = 0.0, what: str = "x:1") -> Flight:
    return Flight(name.encode(), what.encode(), took_s, begun)


def ends(*lives: Sequence[Flight]) -> list[Suspect]:
    """The suspects after lives of the process, in each of which all suspects ran."""
    suspects: list[Suspect] = []
    for under_way in lives:
        suspects = suspects_after([suspect._replace(tried=True) for suspect in suspects], under_way)
    return suspects


def condemned(suspects: Sequence[Suspect]) -> set[str]:
    return {suspect.name.decode() for suspect in suspects if suspect.condemned}


POISON = flight("poison")


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        pytest.param([[POISON]], set(), id="one end says nothing"),
        pytest.param([[POISON]] * 2, set(), id="nor do two"),
        pytest.param([[POISON]] * 3, {"poison"}, id="three ends alone"),
        pytest.param([[POISON, flight("other")], [POISON], [POISON]], {"poison"}, id="not alone at the first"),
        pytest.param(
            [[POISON, flight("other")], [POISON, flight("other")], [POISON]], set(), id="not alone at the second"
        ),
        pytest.param([[POISON, flight("other")]] * 9, set(), id="never alone"),
        pytest.param([[POISON], [POISON], [], [POISON], [POISON]], set(), id="an end without it"),
        pytest.param([[POISON], [POISON], [flight("other")], [POISON]], set(), id="an end with another"),
        pytest.param([[POISON], [POISON, flight("new")], [POISON]], {"poison"}, id="what is no suspect is no company"),
        pytest.param(
            [[POISON], [POISON, flight("poison", what="x:2")], [POISON]], {"poison"}, id="its own other activities"
        ),
        pytest.param([[flight("poison", what="")]] * 3, {"poison"}, id="its turn"),
        pytest.param([[flight("poison", took_s=EARLY_S)]] * 3, {"poison"}, id="just early"),
        pytest.param([[flight("poison", took_s=EARLY_S + 1)]] * 9, set(), id="late, nine times"),
        pytest.param([[flight("poison", took_s=EARLY_S + 1)]] * 10, {"poison"}, id="late, ten times"),
        pytest.param(
            [[POISON], [flight("poison", took_s=EARLY_S + 1)], [POISON], [POISON]], set(), id="late once in between"
        ),
        pytest.param(
            [[flight("poison", what="x:1")], [flight("poison", what="x:2")], [flight("poison", what="x:3")]],
            set(),
            id="other activities each time",
        ),
        pytest.param([[], [], []], set(), id="nothing under way"),
        pytest.param([[flight("poison", took_s=took_s)] for took_s in (1, 3, 9)], set(), id="sooner and later"),
        pytest.param([[flight("poison", took_s=took_s)] for took_s in (9, 1, 1.2, 0.9)], {"poison"}, id="near at last"),
        pytest.param([[flight("poison", took_s=took_s)] for took_s in (0, 0.5, 0.2)], {"poison"}, id="near enough"),
        pytest.param([[flight("poison", took_s=took_s)] for took_s in (20, 23, 19.5)], {"poison"}, id="near for long"),
        pytest.param([[flight("poison", took_s=2.0**n)] for n in range(9)], set(), id="nine times, never near"),
        pytest.param([[flight("poison", took_s=n % 2 * 9.0)] for n in range(10)], {"poison"}, id="ten times, not near"),
        pytest.param([[flight("poison", took_s=100 * 1.5**n)] for n in range(20)], set(), id="late and never near"),
    ],
)
def test_who_is_condemned(lives: list[list[Flight]], expected: set[str]) -> None:
    assert condemned(ends(*lives)) == expected


def test_what_a_process_has_cleared_begins_from_nothing() -> None:
    (twice,) = ends([POISON], [POISON])
    assert (twice.ends, twice.alone) == (2, 1)
    # A cleared suspect is not among the suspects of the process that ends.
    assert suspects_after([], [POISON]) == [twice._replace(ends=1, early=1, alone=0)]


def test_two_culprits_are_both_found_and_do_not_clear_each_other() -> None:
    # Given two culprits that end the process as soon as they run,
    suspects: list[Suspect] = []
    aside: set[str] = set()
    lives = 0
    while len(aside) < 2:
        lives += 1
        assert lives <= 5
        # when the first of the suspects runs, and all work that is not suspect,
        waiting = [suspect.name.decode() for suspect in suspects if suspect.name.decode() not in aside]
        runs = {name for name in ("one", "two") if name not in waiting[1:] and name not in aside}
        suspects = [suspect._replace(tried=suspect.name.decode() in runs) for suspect in suspects]
        suspects = suspects_after(suspects, [flight(name) for name in sorted(runs)])
        aside |= condemned(suspects)
    # then five ends find both.
    assert lives == 5


def test_who_is_nearest_to_a_decision_is_tried_first() -> None:
    near = Suspect(b"near", b"", ends=2, early=2, alone=1, tried=False)
    found = suspects_after([near], [flight("new", begun=9.0)])
    assert [suspect.name for suspect in found] == [b"near", b"new"]


def test_an_end_with_nothing_under_way_clears_those_that_wait_too() -> None:
    assert suspects_after([Suspect(b"waits", b"", ends=2, early=2, alone=1)], []) == []


def test_one_that_has_had_the_floor_and_was_not_under_way_is_cleared() -> None:
    found = suspects_after([Suspect(b"tried", b"", tried=True)], [flight("other")])
    assert [suspect.name for suspect in found] == [b"other"]


def test_the_latest_to_begin_is_tried_first_and_a_turn_before_all() -> None:
    turn = Flight(b"turn", b"", 0.0, float("inf"))
    found = suspects_after([], [flight("old", begun=1.0), turn, flight("young", begun=2.0)])
    assert [suspect.name for suspect in found] == [b"turn", b"young", b"old"]


def test_before_an_end_that_may_decide_a_suspect_waits_for_longer_than_it_took() -> None:
    # Given work that happened to be under way at two ends,
    for took_s in (0.0, 0.3, 1.0, 5.0, 30.0):
        (once,) = ends([flight("innocent", took_s=took_s)])
        (twice,) = ends(*[[flight("innocent", took_s=took_s)]] * 2)
        # then it waits only now, so that a process killed at equal intervals is killed before it begins.
        assert once.pause_s(0) == 0
        assert took_s + 1 < twice.pause_s(0) < twice.pause_s(1) <= (1 + PAUSE_CHANCE) * PAUSE_MAX_S


# Kills from outside, in seconds between them.
KILLS: dict[str, Callable[[Random], float]] = {
    "each second": lambda chance: 1.0,
    "each 5 s": lambda chance: 5.0,
    "each 30 s": lambda chance: 30.0,
    "1 to 3 s": lambda chance: chance.uniform(1, 3),
    "1 to 8 s": lambda chance: chance.uniform(1, 8),
    "0 to 10 s": lambda chance: chance.uniform(0, 10),
    "5 to 15 s": lambda chance: chance.uniform(5, 15),
    "20 to 60 s": lambda chance: chance.uniform(20, 60),
    "0 to 60 s": lambda chance: chance.uniform(0, 60),
    "now and then": lambda chance: chance.expovariate(1 / 5),
    "seldom": lambda chance: chance.expovariate(1 / 20),
    "in bursts": lambda chance: chance.choice([chance.uniform(1, 2), chance.uniform(10, 40)]),
    "each night": lambda chance: chance.gauss(86_400, 3_600),
}
WORLDS = 2_000


def is_condemned(gap_s: Callable[[Random], float], chance: Random, *, kills: int, lasts_s: float) -> bool:
    """Kill a process beside one innocent activity, again and again."""
    suspects: list[Suspect] = []
    for _ in range(kills):
        took_s = gap_s(chance) - sum(suspect.pause_s(chance.random()) for suspect in suspects)
        begun = 0 <= took_s < lasts_s
        suspects = [suspect._replace(tried=begun) for suspect in suspects if took_s < lasts_s]
        suspects = suspects_after(suspects, [flight("innocent", took_s=took_s - took_s % 0.25)] if begun else [])
        if condemned(suspects):
            return True
    return False


@pytest.mark.untraced
@pytest.mark.parametrize("gaps", KILLS)
def test_kills_from_outside_condemn_no_innocent(gaps: str) -> None:
    chance = Random(gaps)
    lasts_s = 600_000.0 if gaps == "each night" else 60.0
    found = sum(is_condemned(KILLS[gaps], chance, kills=5, lasts_s=lasts_s) for _ in range(WORLDS))
    # Random kills may look like a culprit's. With pauses and nearness that happens once in some hundred times.
    assert found <= WORLDS * 0.015


def test_the_floor_is_given_for_longer_than_the_suspect_took_and_for_no_more_than_a_minute() -> None:
    for took_s in (0.0, 1.0, 20.0, 1e6):
        assert min(took_s, FLOOR_MAX_S - 1) < Suspect(b"a", b"", took_s=took_s).floor_s <= FLOOR_MAX_S


def test_the_reason_says_what_was_seen_and_the_way_back() -> None:
    (suspect,) = ends([POISON], [POISON], [POISON])
    assert "at 3 ends of the process in a row" in reason_of(suspect)
    assert "perdure store release" in reason_of(suspect)
    assert "one of its activities" in reason_of(suspect)
    assert "a turn of its code" in reason_of(suspect._replace(what=b""))


def test_the_limits_fit_together() -> None:
    assert 1 < ALONE_ENDS < EARLY_ENDS < ENDS
