"""A reply is filled once, with a value or an error."""

import anyio
import pytest

from perdure.actors.waiting.reply import Reply

pytestmark = pytest.mark.anyio


async def test_the_value_reaches_who_waits() -> None:
    reply = Reply()
    async with anyio.create_task_group() as tasks:

        async def fill() -> None:
            reply.succeed(42)

        tasks.start_soon(fill)
        assert await reply.wait() == 42
    assert reply.done()


async def test_an_error_is_raised_where_it_is_waited_for() -> None:
    reply = Reply()
    reply.fail(KeyError("x"))
    with pytest.raises(KeyError):
        await reply.wait()


async def test_a_second_filling_is_a_bug() -> None:
    reply = Reply()
    reply.succeed(None)
    with pytest.raises(AssertionError):
        reply.succeed(None)
    with pytest.raises(AssertionError):
        reply.fail(ValueError())
