"""The fields that a turn writes for lists and descriptions, and the turns that write none.

Each story is told twice: with an actor that stays in memory, and with one that is rebuilt before every turn.
"""

from contextlib import suppress

from perdure import Status
from perdure.actors.turn import SetAside
from perdure.runtime.history.event import TaskCompleted, TaskFailed
from perdure.runtime.history.record import InstanceRecord, unpack_record
from perdure.runtime.instance.message import ActivityDone, RaiseEvent, ReleaseAside, Start

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import FAILURE, PARENT, make_app

TAGS = (("team", "billing"),)


def record_of(actor: LoneActor) -> InstanceRecord:
    assert actor.record is not None
    return unpack_record(actor.record)


def changes(actor: LoneActor) -> tuple[str, int, int | None]:
    assert actor.facets is not None
    return actor.facets.status, actor.facets.updated_us, actor.facets.ended_us


def test_facets_are_given_with_a_start_and_with_each_change_and_not_with_each_turn(actor: LoneActor) -> None:
    actor.start("steps", tags=TAGS)
    began_us = actor.now_us
    assert changes(actor) == ("RUNNING", began_us, None)
    actor.done(1)
    assert changes(actor) == ("RUNNING", began_us, None)
    actor.suspend()
    assert changes(actor) == ("SUSPENDED", actor.now_us, None)
    actor.resume()
    assert changes(actor) == ("RUNNING", actor.now_us, None)
    actor.done(2)
    assert changes(actor) == ("COMPLETED", actor.now_us, actor.now_us)
    assert actor.facets is not None
    assert (actor.facets.name, actor.facets.created_us, actor.facets.tags) == ("steps", began_us, TAGS)


def test_a_custom_status_is_a_change(actor: LoneActor) -> None:
    actor.start("counting", "0")
    actor.raise_event("tick")
    assert changes(actor) == ("RUNNING", actor.now_us, None)


def test_one_that_is_set_aside_and_released_says_so(actor: LoneActor) -> None:
    actor.start("events")
    actor.send(SetAside("poison"))
    assert changes(actor) == ("SET_ASIDE", actor.now_us, None)
    actor.send(ReleaseAside())
    assert changes(actor) == ("RUNNING", actor.now_us, None)


def test_a_purged_instance_has_no_facets(actor: LoneActor) -> None:
    actor.start("broken")
    actor.purge()
    assert actor.facets is None
    assert actor.actor.facets is None


def test_an_instance_knows_its_facets_in_its_turns(actor: LoneActor) -> None:
    actor.start("steps", tags=TAGS)
    assert actor.actor.facets == actor.facets


def test_the_first_start_and_its_execution_are_kept_over_generations(actor: LoneActor) -> None:
    actor.start("counting", "0", tags=TAGS)
    first = record_of(actor)
    assert (first.first_us, first.first_execution_id) == (None, None)  # it is the first
    for generation in (1, 2):
        actor.raise_event("tick")
        actor.send(RaiseEvent("other", None))  # the next generation takes its first turn
        record = record_of(actor)
        assert record.generation == generation
        assert record.execution_id != first.execution_id
        assert record.created_us > first.created_us
        assert (record.began_us, record.run_id) == (first.created_us, first.execution_id)
        assert record.tags == TAGS
        assert actor.facets is not None
        assert actor.facets.created_us == first.created_us


def test_another_holder_of_the_id_begins_anew(actor: LoneActor) -> None:
    actor.start("broken", tags=TAGS)
    actor.start("broken", execution_id="x2")
    record = record_of(actor)
    assert (record.run_id, record.tags, record.began_us) == ("x2", (), actor.now_us)


def test_a_child_of_a_root_has_its_parent_for_a_root_and_none_of_its_tags(actor: LoneActor) -> None:
    actor.start("parent", tags=TAGS)
    [(_, start)] = actor.sent(Start)
    assert (start.root, start.tags) == (None, ())
    child = LoneActor(make_app(), "i:0001")
    child.send(start)
    assert record_of(child).root_id == "i"
    assert record_of(child).tags == ()


def test_a_grandchild_has_the_root_of_its_parent(actor: LoneActor) -> None:
    actor.start("parent", parent=PARENT)
    [(_, start)] = actor.sent(Start)
    assert start.root == "p"
    actor.start("parent", parent=PARENT, root="r")
    deeper = LoneActor(make_app())
    deeper.start("parent", parent=PARENT, root="r")
    [(_, start)] = deeper.sent(Start)
    assert start.root == "r"


def test_when_an_activity_began_stands_beside_its_outcome(actor: LoneActor) -> None:
    actor.start("steps")
    actor.send(ActivityDone(actor.execution_id, 1, '"one"', None, 777))
    actor.send(ActivityDone(actor.execution_id, 2, None, FAILURE, 888))
    outcomes = [event for event in actor.history if isinstance(event, TaskCompleted | TaskFailed)]
    assert [event.began_us for event in outcomes] == [777, 888]
    assert actor.status is Status.FAILED


def test_the_events_that_code_waits_for_stand_in_a_row_as_spelled_when_they_change() -> None:
    app = make_app()

    @app.workflow
    async def spelled(ctx):  # type: ignore[no-untyped-def]
        first = ctx.wait_for_external_event("Approve")
        second = ctx.wait_for_external_event("APPROVE")
        third = ctx.wait_for_external_event("Cancel")
        await ctx.call_activity("a")
        await first
        await second
        await third

    for forgetful in (False, True):
        lone = LoneActor(app, forgetful=forgetful)
        lone.start("spelled")
        lone.done(1)
        lone.raise_event("approve")
        lone.raise_event("unheard")
        lone.raise_event("cancel")
        lone.raise_event("approve")
        assert [row.waits for row in lone.rows] == [
            ("Approve", "APPROVE", "Cancel"),
            None,
            ("APPROVE", "Cancel"),
            None,
            ("APPROVE",),
            None,  # it has ended
        ]


def test_code_that_waits_for_the_same_again_writes_its_name_once(actor: LoneActor) -> None:
    actor.start("events")
    actor.raise_event("E")
    assert [row.waits for row in actor.rows] == [("e",), None]


def test_a_wait_that_times_out_is_over(actor: LoneActor) -> None:
    app = make_app()

    @app.workflow
    async def late(ctx):  # type: ignore[no-untyped-def]
        with suppress(TimeoutError):
            await ctx.wait_for_external_event("e", timeout=5)
        await ctx.call_activity("a")

    actor.evict(app)
    actor.start("late")
    actor.fire()
    assert [row.waits for row in actor.rows] == [(1,), ()]


def test_a_wait_that_an_event_ends_before_its_time_is_told_of_though_nothing_else_has_changed() -> None:
    app = make_app()

    @app.workflow
    async def quick(ctx):  # type: ignore[no-untyped-def]
        await ctx.call_activity("a")
        await ctx.wait_for_external_event("e", timeout=5)
        await ctx.call_activity("a")

    for forgetful in (False, True):
        lone = LoneActor(app, forgetful=forgetful)
        lone.start("quick")
        lone.send(ActivityDone(lone.execution_id, 1, None, None), RaiseEvent("e", None))
        assert [row.waits for row in lone.rows] == [None, ()]
        assert lone.actor.open.timers == {}
        assert lone.reminders == set()


def test_the_next_generation_waits_for_nothing_until_it_does(actor: LoneActor) -> None:
    actor.start("counting", "0")
    actor.raise_event("tick")
    assert actor.rows[-1].waits is None
    actor.send(RaiseEvent("other", None))
    assert actor.rows[-1].waits == ("tick",)


def test_a_row_tells_of_a_hundred_waits_at_most() -> None:
    app = make_app()

    @app.workflow
    async def patient(ctx):  # type: ignore[no-untyped-def]
        await ctx.when_all([ctx.wait_for_external_event(f"e{n}") for n in range(150)])

    lone = LoneActor(app)
    lone.start("patient")
    assert lone.rows[0].waits == tuple(f"e{n}" for n in range(100))
    lone.raise_event("e120")
    assert lone.rows[1].waits is None
