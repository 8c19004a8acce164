"""Choices are small numbers in named streams, and choices other than 0 can be written down and made again."""

import pytest

from perdure.testing.simulation.choices import Choices, read_schedule, told, union


def test_without_a_seed_all_is_calm() -> None:
    choices = Choices()
    assert [choices.draw("a", 10) for _ in range(5)] == [0] * 5
    assert choices.fault("b") == 0
    assert choices.taken == {}
    assert choices.drawn == {"a": 5, "b": 1}


def test_a_seed_chooses_the_same_each_time() -> None:
    def drawn(seed: int) -> list[int]:
        choices = Choices(seed)
        return [choices.draw("a", 1_000) for _ in range(20)]

    assert drawn(3) == drawn(3) != drawn(4)


def test_one_draw_more_in_a_stream_moves_nothing_in_another() -> None:
    one, other = Choices(1), Choices(1)
    other.draw("a", 9)
    assert [one.draw("b", 1_000) for _ in range(9)] == [other.draw("b", 1_000) for _ in range(9)]


def test_what_a_seed_has_chosen_is_a_schedule() -> None:
    # Given what a seed has chosen,
    choices = Choices(5)
    wanted = [(choices.draw("a", 4), choices.fault("b", 3)) for _ in range(200)]
    # when it is chosen from the schedule,
    again = Choices(schedule=choices.taken)
    assert [(again.draw("a", 4), again.fault("b", 3)) for _ in range(200)] == wanted
    # then all of it was met.
    assert not again.unmet


def test_what_a_run_does_not_come_to_is_reported() -> None:
    choices = Choices(schedule={("a", 1): 1, ("a", 3): 1, ("gone", 0): 1})
    assert [choices.draw("a", 2) for _ in range(3)] == [0, 1, 0]
    assert choices.unmet == [("a", 3), ("gone", 0)]


def test_faults_are_over_once_they_are_calmed() -> None:
    choices = Choices(schedule={("a", 0): 1, ("a", 1): 1})
    assert choices.fault("a") == 1
    choices.calmed = True
    assert choices.fault("a") == 0
    assert choices.drawn == {"a": 1}


def test_kinds_of_faults_are_off_in_some_worlds_and_frequent_in_others() -> None:
    shares = set()
    for seed in range(40):
        choices = Choices(seed)
        shares.add(round(sum(choices.fault("a") for _ in range(1_000)), -1))
    assert 0 in shares
    assert max(shares) >= 60


def test_a_fault_happens_as_often_as_its_rate_says() -> None:
    choices = Choices(3, rates={"always": 1.0, "never": 0.0, "seldom": 0.1})
    seen = {stream: sum(choices.fault(stream) for _ in range(5_000)) for stream in ("always", "never", "seldom")}
    assert (seen["always"], seen["never"]) == (5_000, 0)
    assert 400 < seen["seldom"] < 600


def test_all_kinds_of_a_fault_happen_and_no_others() -> None:
    choices = Choices(3, rates={"a": 0.5})
    assert {choices.fault("a", 4) for _ in range(200)} == {0, 1, 2, 3}
    assert {choices.draw("b", 4) for _ in range(200)} == {0, 1, 2, 3}


def test_noise_is_chosen_as_faults_are_and_is_none() -> None:
    choices = Choices(schedule={("late", 1): 2})
    assert [choices.noise("late", 3) for _ in range(3)] == [0, 2, 0]
    assert choices.faults == {}
    choices.calmed = True
    assert choices.noise("late", 3) == 0
    assert choices.drawn == {"late": 3}


@pytest.mark.parametrize(
    ("schedule", "line"),
    [
        ({}, ""),
        ({("kill.unheard", 3): 1}, "kill.unheard#3"),
        ({("a#b", 0): 2, ("c", 10): 1}, "a#b#0=2 c#10"),
    ],
)
def test_a_schedule_is_a_line(schedule: dict[tuple[str, int], int], line: str) -> None:
    assert told(schedule) == line
    assert read_schedule(line) == schedule


@pytest.mark.parametrize(
    "line",
    [
        *("kill", "#", "kill#", "kill#x", "kill#1=", "kill#1=x"),
        # No stream, a fault that does not happen, two choices in one, numbers of other scripts, one that is too long.
        *(
            "#0",
            "kill#0=0",
            "kill#0=00",
            "kill#-1",
            "kill#0,store#1",
            "kill#\u00b2",
            "kill#\u0663",
            f"kill#{'9' * 5000}",
        ),
    ],
)
def test_what_is_no_schedule_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="a choice is a stream, # and a number"):
        read_schedule(line)


def test_several_schedules_are_one() -> None:
    assert union([{("a", 0): 1}, {("b", 1): 2}]) == {("a", 0): 1, ("b", 1): 2}
