"""Functions run on a connection in the order of their calls, as a whole, with or without a waiting caller."""

import asyncio
import sqlite3
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.machines.carrier import TRIP_S, InlineCarrier

T = TypeVar("T")


def run(story: Coroutine[Any, Any, T]) -> T:
    loop = SimLoop()  # type: ignore[abstract]
    try:
        return loop.run(story)
    finally:
        loop.close()


MADE: list[sqlite3.Connection] = []


@pytest.fixture(autouse=True)
def _all_are_closed() -> Iterator[None]:
    yield
    while MADE:
        MADE.pop().close()


def carrier() -> InlineCarrier:
    MADE.append(sqlite3.connect(":memory:", isolation_level=None))
    return InlineCarrier(MADE[-1])


def insert(number: int) -> Any:
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (number,))


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT n FROM t ORDER BY rowid")]


async def with_table() -> InlineCarrier:
    made = carrier()
    await made.call(lambda connection: connection.execute("CREATE TABLE t (n)"))
    return made


def test_functions_run_in_the_order_of_their_calls_and_take_a_trip_each() -> None:
    async def story() -> tuple[list[int], float]:
        made = await with_table()
        began_s = asyncio.get_running_loop().time()
        await asyncio.gather(*(made.call(insert(number)) for number in range(5)))
        return await made.call(numbers), (asyncio.get_running_loop().time() - began_s) / TRIP_S

    found, trips = run(story())
    assert found == [0, 1, 2, 3, 4]
    assert 6 < trips < 13


def test_a_function_runs_also_when_its_caller_is_cancelled() -> None:
    async def story() -> list[int]:
        made = await with_table()
        calls = [asyncio.ensure_future(made.call(insert(number))) for number in range(3)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        return await made.call(numbers)

    assert run(story()) == [0, 1, 2]


def test_an_error_reaches_its_caller_and_the_next_function_runs() -> None:
    async def story() -> list[int]:
        made = await with_table()
        with pytest.raises(sqlite3.OperationalError):
            await made.call(lambda connection: connection.execute("nonsense"))
        return await made.call(numbers)

    assert run(story()) == []


def test_the_end_of_a_function_is_told_before_its_caller_hears_of_it() -> None:
    told: list[str] = []

    async def story() -> None:
        made = await with_table()
        made.when_done = lambda: told.append("done")
        await made.call(insert(1))
        told.append("heard")
        made.when_done = lambda: told.append("never")
        with pytest.raises(sqlite3.OperationalError):
            await made.call(lambda connection: connection.execute("nonsense"))
        await made.call(numbers)

    run(story())
    assert told == ["done", "heard"]


def test_a_connection_is_closed_behind_the_functions_called_before() -> None:
    async def story() -> list[int]:
        made = await with_table()
        last = asyncio.ensure_future(made.call(numbers))
        await asyncio.sleep(0)
        await made.close()
        with pytest.raises(sqlite3.ProgrammingError):
            await made.call(numbers)
        return await last

    assert run(story()) == []
