"""Code that blocks waits in virtual time, in a thread of a world as in its event loop, and never without an end."""

import asyncio
import gc
import queue
import select
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import Escaped, World

from ..shop import calm, succeed


def performed(do: Callable[[], Any], *, plain: bool) -> Any:
    """What a function returns in an activity: in a thread, or in the event loop."""
    app = App("waiting")

    if plain:

        @app.activity
        def act(ctx: ActivityContext) -> Any:
            return do()
    else:

        @app.activity(name="act")
        async def act_async(ctx: ActivityContext) -> Any:
            return do()

    @app.workflow
    async def w(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity("act")

    answers: list[Any] = []

    async def story(world: World) -> None:
        answers.append(await world.client.run("w", instance_id="o"))

    succeed(calm(app, story))
    return answers[0]


def lasting(wait: Callable[[], Any]) -> Callable[[], float]:
    """A function that waits, and returns for how long."""

    def do() -> float:
        began_s = time.monotonic()
        wait()
        return round(time.monotonic() - began_s, 3)

    return do


def empty() -> None:
    with pytest.raises(queue.Empty):
        queue.Queue[int]().get(timeout=3_600)


def no_answer() -> None:
    with pytest.raises(TimeoutError):
        Future[int]().result(timeout=3_600)


def no_bytes() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, selectors.DefaultSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        assert selector.select(3_600) == []


WAITS = {
    "event": lambda: threading.Event().wait(3_600),
    "semaphore": lambda: threading.Semaphore(0).acquire(timeout=3_600),
    "queue": empty,
    "future": no_answer,
    "select": lambda: select.select([], [], [], 3_600),
    "selector": no_bytes,
}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("kind", WAITS)
def test_a_wait_of_an_hour_takes_an_hour_of_the_world(kind: str, plain: bool) -> None:
    assert performed(lasting(WAITS[kind]), plain=plain) == 3_600


def test_a_thread_wakes_another_when_it_rings() -> None:
    app, rung, places = App("bells"), threading.Event(), list[float]()

    @app.activity
    def wait(ctx: ActivityContext) -> None:
        assert rung.wait()
        places.append(time.monotonic())

    @app.activity
    def ring(ctx: ActivityContext) -> None:
        time.sleep(60)
        places.append(time.monotonic())
        rung.set()

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        await ctx.when_all([ctx.call_activity(wait), ctx.call_activity(ring)])

    async def story(world: World) -> None:
        await world.client.run(w, instance_id="o")

    succeed(calm(app, story))
    rang_s, woken_s = places
    assert rang_s <= woken_s < rang_s + 0.1


def test_what_is_there_is_not_waited_for() -> None:
    def do() -> tuple[int, int]:
        given: queue.Queue[int] = queue.Queue()
        given.put(7)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.send(b"x")
            assert select.select([ours], [], []) == ([ours], [], [])
            return given.get(timeout=3_600), len(ours.recv(1))

    assert performed(lasting(do), plain=True) < 1


async def an_hour() -> float:
    await asyncio.sleep(3_600)
    return round(time.monotonic(), -2)


@pytest.mark.parametrize(
    "ways",
    [
        lambda: asyncio.run(an_hour()),
        lambda: anyio.run(an_hour),
        lambda: anyio.from_thread.run(an_hour),
    ],
)
def test_a_plain_activity_runs_async_code_in_virtual_time(ways: Callable[[], float]) -> None:
    assert performed(ways, plain=True) == 3_600


def test_a_thread_asks_the_loop_that_it_was_begun_in() -> None:
    app = App("asking")

    @app.activity
    async def act(ctx: ActivityContext) -> float:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(an_hour(), loop).result())

    @app.workflow
    async def w(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity(act)

    async def story(world: World) -> None:
        assert await world.client.run(w, instance_id="o") == 3_600

    succeed(calm(app, story))


def test_a_wait_in_the_event_loop_that_nothing_can_end_is_refused() -> None:
    with pytest.raises(Escaped, match="an activity waited in the event loop for another thread, without an end"):
        performed(lambda: threading.Event().wait(), plain=False)


def test_anyio_begins_a_loop_where_it_does_outside_of_a_world_and_nowhere_else() -> None:
    app = App("asking")

    @app.activity
    async def act(ctx: ActivityContext) -> float:
        with pytest.raises(RuntimeError, match="Already running asyncio"):
            await asyncio.to_thread(anyio.run, an_hour)  # which copies the variables of its caller
        return await anyio.to_thread.run_sync(anyio.run, an_hour)

    @app.workflow
    async def w(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity(act)

    async def story(world: World) -> None:
        assert await world.client.run(w, instance_id="o") == 3_600

    succeed(calm(app, story))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("run_in_thread", [lambda: asyncio.run(an_hour()), lambda: anyio.run(an_hour)])
def test_a_loop_of_a_thread_whose_host_was_killed_is_no_warning(
    run_in_thread: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App("killed")

    @app.activity
    def act(ctx: ActivityContext) -> float:
        return run_in_thread()

    @app.workflow
    async def w(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity(act)

    async def story(world: World) -> None:
        await world.client.start(w, instance_id="o")
        await world.sleep(60)
        world.kill()
        await world.settle()

    # A warning that is an error, in code that nothing calls, comes here.
    heard: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    succeed(calm(app, story))
    gc.collect()
    assert heard == []
