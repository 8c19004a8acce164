"""What a story writes wrongly is refused with a sentence that says what to write."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perdure.testing import Faults, SimulationMisuse, World

from ..shop import Bank, Shop, calm

shop = Shop()


async def awaits_a_kill(world: Any) -> None:
    await world.kill()


async def awaits_the_clock(world: Any) -> None:
    await world.set_clock(1)


async def awaits_what_happens_sometimes(world: Any) -> None:
    await world.sometimes("it rains")


async def checks_a_value(world: Any) -> None:
    world.always(True)


async def checks_a_value_at_the_end(world: Any) -> None:
    world.finally_(False, name="sold")


async def waits_in_a_check(world: Any) -> None:
    async def check() -> None: ...

    world.always(check)


async def gives_one_error(world: Any) -> None:
    world.outside(Bank(), errors=ValueError)


async def gives_errors_that_are_none(world: Any) -> None:
    world.outside(Bank(), errors=("no money",))


async def gives_a_text_for_what_is_lost(world: Any) -> None:
    world.outside(Bank(), lost="no answer")


async def looks_with_a_method_that_waits(world: Any) -> None:
    bank = world.outside(Bank())
    world.always(lambda: bank.charge("o"), name="charged")
    await world.client.run(shop.buy, input="o", instance_id="o")


async def gives_a_number_for_an_answer(world: Any) -> None:
    world.finally_(lambda: 0, name="sold")


async def gives_a_class(world: Any) -> None:
    world.outside(Bank)


async def gives_a_function(world: Any) -> None:
    world.outside(gives_a_class)


async def gives_nothing(world: Any) -> None:
    world.outside(None)


async def gives_a_fake_twice(world: Any) -> None:
    world.outside(world.outside(Bank()), name="again")


async def gives_a_number_for_a_name(world: Any) -> None:
    world.outside(Bank(), name=3)


async def picks_a_part(world: Any) -> None:
    world.pick(0.5, 1.5)


async def picks_backwards(world: Any) -> None:
    world.pick(3, 1)


async def chooses_from_a_set(world: Any) -> None:
    world.choose({1, 2})


async def picks_by_a_name_of_words(world: Any) -> None:
    world.pick(1, 6, name="number of orders")


async def chooses_by_a_name_that_ends_a_choice(world: Any) -> None:
    world.choose([1, 2], name="a=2")


async def chooses_from_nothing(world: Any) -> None:
    world.choose([])


MISUSES: dict[str, Callable[[World], Awaitable[None]]] = {
    "write world.kill(...) without await": awaits_a_kill,
    "write world.set_clock(...) without await": awaits_the_clock,
    "write world.sometimes(...) without await": awaits_what_happens_sometimes,
    "is a function, which is asked again and again: lambda: ..., and not True": checks_a_value,
    "lambda: ..., and not False": checks_a_value_at_the_end,
    "it looks, and does not wait": waits_in_a_check,
    "as errors=(ValueError,), and not <class 'ValueError'>": gives_one_error,
    "as errors=(ValueError,), and not ('no money',)": gives_errors_that_are_none,
    "'charged' returned <coroutine": looks_with_a_method_that_waits,
    "'sold' returned 0; what must hold returns True or False, or nothing": gives_a_number_for_an_answer,
    "as outside(Bank()), and not its class": gives_a_class,
    "an object whose methods stand for a system, as outside(Bank()), and not <function": gives_a_function,
    "as outside(Bank()), and not None": gives_nothing,
    "is behind a network already": gives_a_fake_twice,
    "3 cannot be the name of a fake": gives_a_number_for_a_name,
    "pick takes two whole numbers, as pick(1, 6), and not 0.5 and 1.5": picks_a_part,
    "there is no number from 3 to 1": picks_backwards,
    "choose takes a list or a tuple, whose order repeats, and not {1, 2}": chooses_from_a_set,
    "the name of a choice is a word, as name=\"orders\", and not 'number of orders'": picks_by_a_name_of_words,
    "is a word, as name=\"orders\", and not 'a=2'": chooses_by_a_name_that_ends_a_choice,
    "there is nothing to choose from": chooses_from_nothing,
    "as lost=ConnectionError, and not 'no answer'": gives_a_text_for_what_is_lost,
}


@pytest.mark.parametrize("said", MISUSES)
def test_a_story_that_is_written_wrongly_is_told_what_to_write(said: str) -> None:
    error = calm(shop.app, MISUSES[said], faults=Faults(clock=True)).error
    assert isinstance(error, SimulationMisuse)
    assert said in str(error)
