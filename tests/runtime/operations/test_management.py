"""Requests of the management API are counted like those of Dapr's; the engine's own calls are not."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from perdure import App, Engine, WorkflowContext
from perdure.runtime.errors import InstanceNotFound
from perdure.runtime.history.attribution import By
from perdure.runtime.operations.steering.starting import StartRequest

app = App("shop")


@app.workflow
async def order(ctx: WorkflowContext) -> None:
    await ctx.wait_for_external_event("approval")


@app.workflow
async def parent(ctx: WorkflowContext) -> None:
    await ctx.call_child_workflow(order)


class Told:
    """Notes each operation, and whether it has failed."""

    def __init__(self) -> None:
        self.operations: list[tuple[str, bool]] = []

    def of_app(self, app_id: str) -> "Told":
        return self

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.operations.append((name, True))
            raise
        self.operations.append((name, False))


@pytest.mark.anyio
async def test_a_watch_is_told_of_what_callers_ask_and_of_nothing_else() -> None:
    told, by = Told(), By("ann", "api")
    with anyio.fail_after(10):
        async with Engine(app, data=":memory:") as engine:
            management = engine.management_through(engine.facade.watched_by(told))
            # When a caller starts an instance that has a child, and steers it,
            await management.steering.start(StartRequest(name="parent", instance_id="a"), by=by)
            await management.steering.suspend("a", by=by)
            with pytest.raises(InstanceNotFound):
                await management.steering.terminate("nobody", by=by)
            await engine.steering.resume("a", by=by)
            # then these requests are reported, once each, and neither the child nor requests over other ways.
            assert told.operations == [("start", False), ("suspend", False), ("terminate", True)]


def test_all_other_operations_are_the_engines_own() -> None:
    engine = Engine(app, data=":memory:")
    through = engine.management_through(engine.facade)
    assert through.views is engine.management.views
    assert through.feed is engine.management.feed
