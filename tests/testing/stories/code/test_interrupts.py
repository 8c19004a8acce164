"""Ctrl-C and the end of a debugger end the whole run, and are no failure of an activity that is tried again."""

import bdb
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import World

from ..shop import Bank, calm

raise_signal = signal.raise_signal  # before a world refuses it


def ctrl_c() -> None:
    raise_signal(signal.SIGINT)


def quit_debugger() -> None:
    bdb.Bdb().set_quit()
    raise bdb.BdbQuit


def ended_by(end: Callable[[], None], *, plain: bool) -> int:
    """How often an activity was begun that is ended so, and takes that for nothing."""
    app, begun, banks = App("interrupted"), [], list[Bank]()

    @app.activity
    async def act(ctx: ActivityContext) -> None:
        begun.append(1)
        with suppress(BaseException):
            end()
        await banks[0].charge("o")

    @app.activity
    def act_plainly(ctx: ActivityContext) -> None:
        begun.append(1)
        with suppress(BaseException):
            end()
        banks[0].balance("o")

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        await ctx.call_activity(act_plainly if plain else act)

    async def story(world: World) -> None:
        banks[:] = [world.outside(Bank())]
        await world.client.run(w, instance_id="o")

    with pytest.raises(KeyboardInterrupt):
        calm(app, story)
    assert not banks[0].charges
    return len(begun)


@pytest.mark.parametrize(
    ("end", "plain"),
    # A signal is the main thread's.
    [(ctrl_c, False), (quit_debugger, False), (quit_debugger, True)],
)
def test_the_run_ends_though_the_code_goes_on(end: Callable[[], None], plain: bool) -> None:
    real = bdb.Bdb.set_quit
    assert ended_by(end, plain=plain) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert bdb.Bdb.set_quit is real


def test_a_handler_of_ones_own_is_left_alone() -> None:
    seen: list[int] = []

    async def story(world: World) -> None:
        ctrl_c()

    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        assert calm(App("a"), story).error is None
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
