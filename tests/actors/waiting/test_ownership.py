"""The context says whose code runs, and tasks that this code begins have the same mark."""

import asyncio
import threading

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.waiting.ownership import CodeOwner, call_as, context_of, owner, owner_in, turn_over, users_turn


def test_code_without_a_mark_is_the_users() -> None:
    assert owner() is CodeOwner.USER


def test_a_mark_lasts_for_a_call() -> None:
    assert call_as(CodeOwner.PROCESS, owner) is CodeOwner.PROCESS
    assert owner() is CodeOwner.USER
    assert owner_in(context_of("a task")) == "a task"


def test_a_turn_of_user_code_has_none() -> None:
    def turn() -> list[object]:
        token = users_turn()
        during = owner()
        turn_over(token)
        return [during, owner()]

    assert call_as(CodeOwner.PROCESS, turn) == [CodeOwner.USER, CodeOwner.PROCESS]


@pytest.mark.parametrize("who", CodeOwner)
def test_tasks_and_callbacks_have_the_mark_of_the_code_that_began_them_and_threads_have_none(who: CodeOwner) -> None:
    found: dict[str, object] = {}

    def find(place: str) -> None:
        found[place] = owner()

    async def begins() -> None:
        async def task() -> None:
            find("task")

        await asyncio.create_task(task())
        asyncio.get_running_loop().call_soon(find, "callback")
        thread = threading.Thread(target=find, args=["thread"])
        thread.start()
        thread.join()
        await anyio.lowlevel.checkpoint()

    async def main() -> None:
        await call_as(who, asyncio.create_task, begins())

    anyio.run(main)
    assert found == {"task": who, "callback": who, "thread": CodeOwner.USER}
