"""The real instruments are functions of the machine, without a call into Python between."""

from types import BuiltinFunctionType

import pytest

from perdure.actors.instruments import SYSTEM, Chance, Instruments, number_of


@pytest.mark.parametrize("instrument", [SYSTEM.stopwatch, SYSTEM.chance, SYSTEM.time_ns])
def test_each_is_a_function_of_the_interpreter(instrument: object) -> None:
    assert isinstance(instrument, BuiltinFunctionType)


def test_chance_gives_as_many_bytes_as_it_is_asked_for() -> None:
    assert [len(SYSTEM.chance(size)) for size in (1, 10, 16)] == [1, 10, 16]


def test_one_of_them_can_be_replaced_alone() -> None:
    held = Instruments(stopwatch=lambda: 0.0)
    assert held.stopwatch() == 0.0
    assert held.chance is SYSTEM.chance


@pytest.mark.parametrize(("bits", "size"), [(1, 1), (8, 1), (12, 2), (63, 8), (64, 8)])
def test_a_number_has_as_many_bits_as_asked_for_and_is_never_0(bits: int, size: int) -> None:
    asked: list[int] = []

    def chance_of(byte: bytes) -> Chance:
        def chance(size: int) -> bytes:
            asked.append(size)
            return byte * size

        return chance

    assert number_of(chance_of(b"\xff"), bits) == 2**bits - 1
    assert number_of(chance_of(b"\0"), bits) == 1
    assert asked == [size, size]
