"""The schedule of a failure becomes as small as it can be while the same failure comes of it."""

from collections.abc import Callable

from perdure.testing.simulation.choices import Choices, Schedule
from perdure.testing.simulation.search.attempt import Attempt, FoundFailure, Run
from perdure.testing.simulation.search.shrink import shrink

STREAMS = {"order": 50, "kill": 20, "slow": 20}


def failing_if(fails: Callable[[Schedule], str | None]) -> Run:
    """A run that draws from three streams, and fails with the text that `fails` gives for what was drawn."""

    def run(choices: Choices) -> Attempt:
        for stream, draws in STREAMS.items():
            for _ in range(draws):
                choices.draw(stream, 4)
        text = fails(choices.taken)
        return Attempt(AssertionError(text) if text else None, "", (), choices)

    return run


def found_by(run: Run, seed: int) -> FoundFailure:
    failed = run(Choices(seed))
    assert failed.error is not None
    return FoundFailure(failed.choices.taken, failed.error, failed.story, 1)


def test_one_choice_of_many_is_found() -> None:
    run = failing_if(lambda taken: "broken" if ("kill", 7) in taken else None)
    seed = next(seed for seed in range(99) if run(Choices(seed)).error)
    small = shrink(run, found_by(run, seed))
    assert small.schedule == {("kill", 7): 1}
    assert small.runs < 30


def test_two_that_belong_together_are_found() -> None:
    run = failing_if(lambda taken: "broken" if {("kill", 3), ("slow", 9)} <= taken.keys() else None)
    seed = next(seed for seed in range(99) if run(Choices(seed)).error)
    assert shrink(run, found_by(run, seed)).schedule == {("kill", 3): 1, ("slow", 9): 1}


def test_a_value_becomes_as_small_as_it_can() -> None:
    run = failing_if(lambda taken: "broken" if taken.get(("slow", 0), 0) >= 2 else None)
    failure = FoundFailure({("slow", 0): 3}, AssertionError("broken"), "", 1)
    assert shrink(run, failure).schedule == {("slow", 0): 2}


def test_another_failure_is_not_taken_for_it() -> None:
    # Given a failure of two choices, each of which alone breaks something else,
    def fails(taken: Schedule) -> str | None:
        if ("kill", 1) in taken:
            return "charged 2 times" if ("slow", 1) in taken else "lost"
        return None

    run = failing_if(fails)
    failure = FoundFailure({("kill", 1): 1, ("slow", 1): 1, ("slow", 2): 1}, AssertionError("charged 3 times"), "", 1)
    # then both stay; the numbers in the text do not count.
    assert shrink(run, failure).schedule == {("kill", 1): 1, ("slow", 1): 1}


def test_it_ends_after_so_many_worlds() -> None:
    run = failing_if(lambda taken: "broken" if len(taken) >= 40 else None)
    failure = found_by(run, 1)
    assert shrink(run, failure, runs_max=7).runs == 7


def test_no_world_begins_when_the_time_is_over() -> None:
    run = failing_if(lambda taken: "broken" if len(taken) >= 40 else None)
    assert shrink(run, found_by(run, 1), seconds=-1).runs == 0
