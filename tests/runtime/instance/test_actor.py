"""A workflow actor rebuilds an instance from the store's rows."""

import pytest

from perdure import App, WorkflowContext
from perdure.actors.store.contract import Stored
from perdure.runtime.history.attribution import By
from perdure.runtime.history.audit import AuditAction, unpack_audit
from perdure.runtime.history.row import CorruptHistory
from perdure.runtime.instance.actor import WorkflowActorType
from perdure.runtime.instance.condition import of_run
from perdure.runtime.instance.message import Check, Purge, workflow_address
from perdure.runtime.instance.surroundings import Surroundings

from ...support.workflows.lone_actor import LoneActor


def make_app() -> App:
    app = App("test")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> None:
        await ctx.wait_for_external_event("e")

    @app.workflow
    async def parent(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow("waits", instance_id="named")

    return app


def test_an_unused_id_is_an_actor_without_a_record() -> None:
    actor = WorkflowActorType(Surroundings(make_app())).activate(workflow_address("i"), None)
    assert actor.record is None


def test_what_was_held_is_remembered_until_a_turn_feeds_it() -> None:
    lone = LoneActor(make_app())
    lone.start("waits")
    lone.suspend()
    lone.raise_event("e", "1")
    lone.evict()
    assert len(lone.actor.held) == 2  # the suspension and the event
    lone.resume()
    lone.evict()
    assert lone.actor.held == []


def test_a_named_child_is_unconfirmed_after_a_restart_only_if_the_mark_says_that_something_is_in_flight() -> None:
    lone = LoneActor(make_app())
    lone.start("parent")
    lone.evict()
    assert lone.actor.unconfirmed == {1}
    lone.busy = False
    lone.evict()
    assert lone.actor.unconfirmed == set()


def test_of_a_finished_instance_only_the_end_is_kept_in_memory() -> None:
    lone = LoneActor(make_app())
    lone.start("waits")
    lone.raise_event("e")
    lone.evict()
    assert len(lone.entries) == 2
    assert len(lone.actor.rows) == 1


def test_a_history_that_cannot_be_read_is_an_error_and_not_an_empty_one() -> None:
    lone = LoneActor(make_app())
    lone.start("waits")
    assert lone.record is not None
    stored = Stored(key=1, record=lone.record, entries=[b"\xc1"], active=False)
    with pytest.raises(CorruptHistory):
        WorkflowActorType(Surroundings(make_app())).activate(workflow_address("i"), stored)


def test_forgetting_leaves_nothing() -> None:
    lone = LoneActor(make_app())
    lone.start("parent")
    lone.actor.forget()
    assert lone.actor.record is None
    assert lone.actor.execution is None
    assert lone.actor.unconfirmed == set()
    assert lone.actor.open.children == {}


def test_an_instance_that_cannot_be_read_is_purged_unless_a_run_is_named() -> None:
    kind = WorkflowActorType(Surroundings(make_app()))
    assert kind.purges(Purge(force=True))
    # No readable row names the run, so a purge of one run would be a guess.
    assert not kind.purges(Purge(force=True, condition=of_run("run")))
    assert not kind.purges(Check(of_run(None)))


def test_the_purge_of_an_instance_that_cannot_be_read_is_in_the_audit_with_its_author() -> None:
    kind = WorkflowActorType(Surroundings(make_app()))
    by = By(actor="ops", door="api", reason="damaged")
    (row,) = kind.purge_audit(workflow_address("i"), Purge(force=True, by=by), 7)
    entry = unpack_audit(row.body)
    assert (entry.action, entry.actor, entry.reason, entry.instance_id, entry.at_us) == (
        AuditAction.PURGE,
        "ops",
        "damaged",
        "i",
        7,
    )
    # A repeated commit of the same purge has the same entry.
    assert kind.purge_audit(workflow_address("i"), Purge(force=True, by=by), 7) == (row,)
    assert kind.purge_audit(workflow_address("i"), Purge(force=True), 7) == ()
