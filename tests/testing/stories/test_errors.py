"""Errors say who did what, where, and what to do."""

from perdure.testing import Escaped, InvariantFailed, SimulationFailed


def test_an_escape_names_the_line_and_the_way_out() -> None:
    error = Escaped("an activity", "opened a connection to bank:443", "shop/bank.py:31", "Give it a fake.")
    assert str(error) == "an activity opened a connection to bank:443 (shop/bank.py:31). Give it a fake."
    assert str(Escaped("the story", "slept", "", "Do not.")) == "the story slept. Do not."


def test_what_does_not_hold_is_named() -> None:
    assert str(InvariantFailed("one charge", "two")) == "one charge: two"
    assert issubclass(SimulationFailed, AssertionError)
