"""The audit is read newest first, in pages, by a filter; an unreadable row shows its known fields."""

import anyio
import pytest

from perdure import App, Engine, WorkflowContext
from perdure.actors.store.audit import ORDER, Audited, AuditFilter
from perdure.actors.store.cursor import Position
from perdure.runtime.history.attribution import By
from perdure.runtime.operations.overview.audits import entry_of

app = App("shop")


@app.workflow
async def order(ctx: WorkflowContext) -> None:
    await ctx.wait_for_external_event("approval")


@pytest.mark.anyio
async def test_the_audit_is_read_newest_first() -> None:
    with anyio.fail_after(10):
        async with Engine(app, data=":memory:") as engine:
            # Given three changes by two people,
            await engine.client.start(order, instance_id="a")
            await engine.steering.suspend("a", by=By("ann", "api", "look"))
            await engine.steering.resume("a", by=By("bob", "api"))
            await engine.steering.terminate("a", by=By("ann", "api"))
            audits = engine.management.audits
            # when the audit is read in pages of two, then each is there once, the newest first,
            first = await audits.page(AuditFilter(), cursor=None, limit=2)
            rest = await audits.page(AuditFilter(), cursor=first.cursor, limit=2)
            entries = [*first.entries, *rest.entries]
            assert [(each.actor, each.action) for each in entries] == [
                ("ann", "terminate"),
                ("bob", "resume"),
                ("ann", "suspend"),
            ]
            assert (entries[-1].reason, entries[-1].door, entries[-1].instance_id) == ("look", "api", "a")
            assert rest.cursor is None
            # and the filter of one person finds that person's changes.
            bobs = await audits.page(AuditFilter(author="bob"), cursor=None, limit=10)
            assert [each.action for each in bobs.entries] == ["resume"]


def test_a_row_that_cannot_be_read_is_told_as_far_as_the_store_knows_it() -> None:
    entry = entry_of(Audited(7, "a", "purge", "ann", b"\xc1", Position(ORDER, 7, 1)))
    assert (entry.at_us, entry.instance_id, entry.action, entry.actor) == (7, "a", "purge", "ann")
