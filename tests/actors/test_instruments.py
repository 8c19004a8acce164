"""The real instruments are the machine's, without a call into Python between."""

from types import BuiltinFunctionType

import pytest

from perdure.actors.instruments import SYSTEM, Instruments


@pytest.mark.parametrize("instrument", [SYSTEM.stopwatch, SYSTEM.chance, SYSTEM.time_ns])
def test_each_is_a_function_of_the_interpreter(instrument: object) -> None:
    assert isinstance(instrument, BuiltinFunctionType)


def test_chance_gives_as_many_bytes_as_it_is_asked_for() -> None:
    assert [len(SYSTEM.chance(size)) for size in (1, 10, 16)] == [1, 10, 16]


def test_one_of_them_can_be_replaced_alone() -> None:
    held = Instruments(stopwatch=lambda: 0.0)
    assert held.stopwatch() == 0.0
    assert held.chance is SYSTEM.chance
