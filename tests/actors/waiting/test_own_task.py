"""A context manager in its own task: entered in one task, left in another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
import sniffio

from perdure.actors.errors import HostCancelled, HostNotRunning
from perdure.actors.waiting.own_task import OwnTask, on_asyncio, only_exception
from perdure.actors.waiting.taskless import no_current_task


class Room:
    """A room that notes who comes and goes."""

    def __init__(self, *, fails: str = "", lingers: bool = False) -> None:
        self.diary: list[object] = []
        self.fails = fails
        self.lingers = lingers
        self.broken = asyncio.Event()
        self.own = OwnTask(self.open, hurry=lambda: self.diary.append("hurry"), ended=self.diary.append)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        if self.fails == "entering":
            raise OSError("the door")
        self.diary.append(asyncio.current_task())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.watch)
            yield
            tasks.cancel_scope.cancel()
        if self.lingers:
            await asyncio.sleep(3600)
        if self.fails == "leaving":
            raise OSError("the window")
        self.diary.append(asyncio.current_task())

    async def watch(self) -> None:
        await self.broken.wait()
        raise OSError("the roof")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


async def test_it_is_entered_and_left_in_the_same_task_by_any_caller() -> None:
    room = Room()
    await asyncio.create_task(room.own.enter(guard=False))
    await asyncio.create_task(room.own.leave())
    entered, left = room.diary
    assert entered is left
    assert entered is not asyncio.current_task()


async def test_an_error_of_entering_is_the_callers() -> None:
    room = Room(fails="entering")
    with pytest.raises(OSError, match="the door"):
        await room.own.enter(guard=True)
    await room.own.leave()
    assert room.diary == []


async def test_an_error_of_leaving_is_the_first_callers() -> None:
    room = Room(fails="leaving")
    await room.own.enter(guard=True)
    with pytest.raises(OSError, match="the window"):
        await room.own.leave()
    await room.own.leave()


async def test_a_task_that_ends_by_itself_tells_why_and_cancels_the_block_that_it_guards() -> None:
    room = Room()
    await room.own.enter(guard=True)
    room.broken.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(3600)
    assert room.own.pardon_block()
    assert not room.own.pardon_block()
    assert str(room.diary[-1]) == "the roof"
    with pytest.raises(OSError, match="the roof"):
        await room.own.leave()


async def test_a_task_that_is_cancelled_from_outside_says_so() -> None:
    room = Room()
    await room.own.enter(guard=False)
    task = room.diary[0]
    assert isinstance(task, asyncio.Task)
    task.cancel()
    await asyncio.wait({task})
    with pytest.raises(HostCancelled, match="event loop"):
        await room.own.leave()


async def test_a_stop_that_is_cancelled_hurries_and_cuts_off_what_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("perdure.actors.waiting.own_task.HURRY_S", 0.01)
    room = Room(lingers=True)
    await room.own.enter(guard=False)
    with anyio.move_on_after(0) as scope:
        await room.own.leave()
    assert scope.cancelled_caught
    task, hurry = room.diary
    assert isinstance(task, asyncio.Task)
    assert task.cancelled()
    assert hurry == "hurry"


async def test_leaving_what_was_not_entered_is_refused() -> None:
    with pytest.raises(HostNotRunning):
        await Room().own.leave()


async def test_asyncio_is_told_from_what_is_not() -> None:
    assert on_asyncio()
    assert not await anyio.to_thread.run_sync(on_asyncio)


def test_the_only_exception_of_a_group_is_taken_out_of_it() -> None:
    error = ValueError("alone")
    assert only_exception(BaseExceptionGroup("outer", [ExceptionGroup("inner", [error])])) is error
    pair = ExceptionGroup("two", [ValueError(), KeyError()])
    assert only_exception(pair) is pair


async def test_what_it_begins_knows_its_library_outside_of_any_task() -> None:
    # Given a context manager that begins tasks where there is no current task, as an engine does after a turn that
    # changes nothing (the recovery of an activity),
    seen: list[str] = []

    @asynccontextmanager
    async def open_room() -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            with no_current_task():
                tasks.start_soon(anyio.sleep, 0)
            seen.append("begun")
            yield

    own = OwnTask(open_room, hurry=lambda: None, ended=lambda error: seen.append(str(error)))
    # when it is entered in a program that `anyio.run` has not begun, where sniffio asks for the current task,
    sniffio.current_async_library_cvar.set(None)
    await own.enter(guard=False)
    await own.leave()
    # then anyio knows that it is asyncio.
    assert seen == ["begun"]
