"""A failure is believed once it has happened twice in the same way."""

import pytest

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.search.attempt import (
    Attempt,
    NotRepeatable,
    failing_again,
    innermost,
    signature,
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ValueError("order-1 was charged 2 times"), ValueError("order-7 was charged 30 times"), True),
        (ValueError("order-1 was charged"), ValueError("order-1 was lost"), False),
        (
            ValueError("where {} = <Bank object at 0x7ff6f285cb10>"),
            ValueError("where {} = <Bank object at 0x7fae>"),
            True,
        ),
        (ValueError("assert <Bank ob...5cb10>.charges"), ValueError("assert <Bank ob...dead>.charges"), True),
        (ValueError("x"), KeyError("x"), False),
    ],
)
def test_failures_are_the_same_but_for_their_numbers_and_addresses(
    one: Exception, other: Exception, same: bool
) -> None:
    assert (signature(one) == signature(other)) is same


def test_the_first_error_of_a_group_counts() -> None:
    inner = ValueError("x")
    assert innermost(ExceptionGroup("", [ExceptionGroup("", [inner, KeyError("y")])])) is inner


def test_a_green_world_is_no_failure() -> None:
    assert failing_again(lambda choices: Attempt(None, "", (), choices), {}) is None


@pytest.mark.parametrize("again", [None, ValueError("other"), AssertionError("x")])
def test_what_differs_the_second_time_is_not_believed(again: Exception | None) -> None:
    results = iter([(AssertionError("x"), "a"), (again, "b")])

    def run(choices: Choices) -> Attempt:
        error, digest = next(results)
        return Attempt(error, digest, (), choices)

    with pytest.raises(NotRepeatable, match="Something in it is not up to its choices"):
        failing_again(run, {})


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ((None, ValueError("x")), "came out in two ways: green, and then with ValueError: x. Something"),
        ((ValueError("x"), ValueError("x")), "came out with ValueError: x twice, and not in the same steps. Something"),
        ((None, None), "came out green twice, and not in the same steps. Something"),
    ],
)
def test_two_runs_that_differ_are_told_in_words(errors: tuple[Exception | None, Exception | None], told: str) -> None:
    first, again = (Attempt(error, digest, (), Choices()) for error, digest in zip(errors, "ab", strict=True))
    assert told in str(NotRepeatable(first, again))


def test_an_error_without_a_text_has_a_signature() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise LookupError

    assert signature(Mute()).endswith("Mute: its text cannot be made: LookupError in " + Mute.__qualname__ + ".__str__")
