"""The log has one line, with fields, for each fault and each change of owner, and no line twice."""

import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from perdure import (
    ActivityContext,
    App,
    Engine,
    FailureDetails,
    NonRetryableError,
    PerdureError,
    RetryPolicy,
    TaskFailedError,
    WorkflowContext,
)
from perdure.actors.hosting.committer import Committer
from perdure.actors.hosting.turn_loop import TurnLoop
from perdure.actors.store.memory import MemoryStore
from perdure.journal.line import BURST
from perdure.runtime.authoring.limits import WorkflowLimits
from perdure.runtime.history.event import ExecutionCompleted, TaskFailed, TaskScheduled
from perdure.runtime.instance import receiving
from perdure.runtime.instance.message import ActivityDone, RaiseEvent, WorkflowAnswer, workflow_address
from perdure.runtime.settings import Opening, Settings
from perdure.runtime.workers.items import ActivityAnswer, ActivityItem, Worker, WorkflowItem
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

from ..support.processes.daemon import Daemon

THREE = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=3)
LIMITS = WorkflowLimits(
    payload_bytes_warn=1_000, payload_bytes_max=10_000, turn_commands_warn=3, turn_commands_max=9, held_events_max=9
)


class CardDeclined(Exception):
    pass


def make_app() -> App:
    """An app in which much goes wrong."""
    app = App("shop")
    tries: dict[str, int] = {}

    @app.activity
    async def charge(ctx: ActivityContext, fail_times: int) -> int:
        tries[ctx.workflow_id] = tries.get(ctx.workflow_id, 0) + 1
        if tries[ctx.workflow_id] <= fail_times:
            raise CardDeclined("insufficient funds")
        return tries[ctx.workflow_id]

    @app.activity
    def charge_in_a_thread(ctx: ActivityContext) -> None:
        raise CardDeclined("insufficient funds\nreally")

    @app.activity
    async def refuse(ctx: ActivityContext) -> None:
        raise NonRetryableError("stolen")

    @app.activity
    async def rest(ctx: ActivityContext) -> None:
        await anyio.sleep_forever()

    @app.activity
    async def bulky(ctx: ActivityContext, size: int) -> str:
        return "x" * size

    @app.workflow
    async def order(ctx: WorkflowContext, fail_times: int) -> Any:
        return await ctx.call_activity(charge, input=fail_times, retry_policy=THREE)

    @app.workflow
    async def patient(ctx: WorkflowContext, name: str) -> Any:
        try:
            return await ctx.call_activity(name, retry_policy=THREE)
        except TaskFailedError:
            return "handled"

    @app.workflow
    async def wrapped(ctx: WorkflowContext) -> None:
        try:
            await ctx.call_activity(charge_in_a_thread)
        except TaskFailedError as error:
            raise LookupError("no order") from error

    @app.workflow
    async def parent(ctx: WorkflowContext, child: str) -> Any:
        return await ctx.call_child_workflow(child, input=9)

    @app.workflow
    async def stubborn(ctx: WorkflowContext) -> Any:
        policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)
        return await ctx.call_child_workflow("broken", input=0, instance_id="kid", retry_policy=policy)

    @app.workflow
    async def broken(ctx: WorkflowContext, _: int) -> None:
        raise KeyError("x")

    @app.workflow
    async def careless(ctx: WorkflowContext) -> str:
        ctx.call_activity(charge, input=0)
        return "done"

    @app.workflow
    async def namesake(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow("order", input=0, instance_id=ctx.instance_id)

    @app.workflow
    async def carries(ctx: WorkflowContext, size: int) -> Any:
        return len(await ctx.call_activity(bulky, input=size))

    @app.workflow
    async def asks(ctx: WorkflowContext, count: int) -> None:
        await ctx.when_all([ctx.call_activity(charge, input=0) for _ in range(count)])

    @app.workflow
    async def counts(ctx: WorkflowContext, n: int) -> int:
        if n:
            ctx.continue_as_new(n - 1)
        return n

    @app.workflow
    async def waits(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("go")

    @app.workflow
    async def sends(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity("nothing_of_this_name")

    return app


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of all lines of the vocabulary."""
    return [vars(record) for record in caplog.records if hasattr(record, "event")]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line["event"] for line in lines(caplog)]


def run(story: Callable[[Engine], Awaitable[None]], *, app: App | None = None, store: Any = None, **more: Any) -> None:
    async def main() -> None:
        settings = Settings(limits=LIMITS, stop_grace_s=0, **more)
        data = store if store is not None else MemoryStore()
        async with Engine(app or make_app(), data=data, clock=LoopClock(), settings=settings) as engine:
            await story(engine)

    run_virtually(main)


def runs(workflow: str, given: Any = None) -> Callable[[Engine], Awaitable[None]]:
    """Run one workflow to its end, as instance `i`."""

    async def story(engine: Engine) -> None:
        instance_id = await engine.client.start(workflow, input=given, instance_id="i")
        await engine.client.wait(instance_id)

    return story


CHARGE = {"instance_id": "i", "workflow": "order", "activity": "charge", "error_type": "CardDeclined"}
ASKED = {"instance_id": "i", "activity": "charge_in_a_thread", "error_type": "CardDeclined", "workflow": "patient"}

# By what happens: the code that causes it, and its lines: the event, the level and the fields.
MEMBERS: dict[str, tuple[Callable[[Engine], Awaitable[None]], list[tuple[str, int, dict[str, Any]]]]] = {
    "all is well": (runs("order", 0), []),
    "one attempt fails": (
        runs("order", 1),
        [("attempt_failed", logging.WARNING, {**CHARGE, "attempt": 1, "task_id": 1})],
    ),
    "all attempts fail": (
        runs("order", 3),
        [
            ("attempt_failed", logging.WARNING, {**CHARGE, "attempt": 1, "task_id": 1}),
            ("attempt_failed", logging.WARNING, {**CHARGE, "attempt": 2, "task_id": 3}),
            ("activity_failed", logging.WARNING, {**CHARGE, "attempt": 3, "task_id": 5}),
            ("instance_failed", logging.ERROR, {**CHARGE, "attempt": 3, "task_id": 5}),
        ],
    ),
    "a failure is handled": (
        runs("patient", "charge_in_a_thread"),
        [
            ("attempt_failed", logging.WARNING, {**ASKED, "attempt": 1}),
            ("attempt_failed", logging.WARNING, {**ASKED, "attempt": 2}),
            ("activity_failed", logging.WARNING, {**ASKED, "attempt": 3}),
        ],
    ),
    "an attempt is not to be repeated": (
        runs("patient", "refuse"),
        [("activity_failed", logging.WARNING, {"activity": "refuse", "attempt": 1, "error_type": "NonRetryableError"})],
    ),
    "no app has the activity": (
        runs("sends"),
        [
            ("activity_failed", logging.WARNING, {"error_type": "ActivityNotRegisteredError", "attempt": 1}),
            ("instance_failed", logging.ERROR, {"activity": "nothing_of_this_name"}),
        ],
    ),
    "no app has the workflow": (
        runs("nothing"),
        [("instance_failed", logging.ERROR, {"workflow": "nothing", "error_type": "WorkflowNotRegisteredError"})],
    ),
    "the code has an error of its own for it": (
        runs("wrapped"),
        [
            ("activity_failed", logging.WARNING, {"activity": "charge_in_a_thread", "attempt": 1}),
            (
                "instance_failed",
                logging.ERROR,
                {"activity": "charge_in_a_thread", "attempt": 1, "error_type": "LookupError"},
            ),
        ],
    ),
    "the code fails": (
        runs("broken", 0),
        [("instance_failed", logging.ERROR, {"instance_id": "i", "workflow": "broken", "error_type": "KeyError"})],
    ),
    "a child fails": (
        runs("parent", "broken"),
        [
            ("instance_failed", logging.ERROR, {"instance_id": "i:0001", "workflow": "broken"}),
            (
                "instance_failed",
                logging.ERROR,
                {"instance_id": "i", "child": "broken", "child_id": "i:0001", "attempt": 1, "error_type": "KeyError"},
            ),
        ],
    ),
    "a child fails and is tried again": (
        runs("stubborn"),
        [
            ("instance_failed", logging.ERROR, {"instance_id": "kid", "error_type": "KeyError"}),
            ("child_attempt_failed", logging.WARNING, {"instance_id": "i", "child_id": "kid", "attempt": 1}),
            ("instance_failed", logging.ERROR, {"instance_id": "kid", "error_type": "KeyError"}),
            ("instance_failed", logging.ERROR, {"instance_id": "i", "child_id": "kid", "attempt": 2}),
        ],
    ),
    "a child has an id that is taken": (
        runs("namesake"),
        [
            (
                "child_not_started",
                logging.WARNING,
                {"instance_id": "i", "child_id": "i", "error_type": "InstanceExists"},
            ),
            ("instance_failed", logging.ERROR, {"instance_id": "i", "child_id": "i"}),
        ],
    ),
    "a call is not awaited": (
        runs("careless"),
        [("call_not_awaited", logging.WARNING, {"instance_id": "i", "workflow": "careless", "activity": "charge"})],
    ),
    "a result is large": (
        runs("carries", 2_000),
        [("limit_near", logging.WARNING, {"instance_id": "i", "limit": "payload_bytes_warn", "found": 2_002})],
    ),
    "a result is too large": (
        runs("carries", 20_000),
        [
            ("activity_failed", logging.WARNING, {"activity": "bulky", "error_type": "LimitExceeded"}),
            ("instance_failed", logging.ERROR, {"activity": "bulky", "error_type": "LimitExceeded"}),
        ],
    ),
    "a turn asks for much": (
        runs("asks", 5),
        [("limit_near", logging.WARNING, {"instance_id": "i", "workflow": "asks", "limit": "turn_commands_warn"})],
    ),
    "a turn asks for too much": (
        runs("asks", 50),
        [("instance_failed", logging.ERROR, {"workflow": "asks", "limit": "turn_commands_max"})],
    ),
    "a generation follows another": (runs("counts", 3), []),
}


@pytest.mark.parametrize("always_replay", [False, True], ids=["in memory", "rebuilt"])
@pytest.mark.parametrize("member", MEMBERS)
def test_each_thing_is_one_line_with_fields_and_a_restart_tells_nothing_again(
    member: str, caplog: pytest.LogCaptureFixture, always_replay: bool
) -> None:
    story, expected = MEMBERS[member]
    caplog.set_level(logging.INFO)
    store = MemoryStore()
    run(story, store=store, always_replay=always_replay)
    found = lines(caplog)
    assert [(line["event"], line["levelno"]) for line in found] == [(event, level) for event, level, _ in expected]
    for line, (_, _, fields) in zip(found, expected, strict=True):
        assert fields.items() <= line.items()
        assert "\n" not in line["message"]
        assert line["exc_info"] is None, "no traceback of ours for the errors of others"
    caplog.clear()
    run(lambda engine: anyio.sleep(1), store=store)
    assert told(caplog) == []


async def terminate(engine: Engine) -> None:
    await engine.client.start("waits", instance_id="i")
    await engine.client.suspend("i")
    await engine.client.resume("i")
    await engine.client.terminate("i")
    await engine.client.wait("i")
    await engine.client.purge("i")


def test_what_callers_do_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run(terminate)
    assert told(caplog) == []


def changed_app() -> App:
    app = App("shop")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> Any:
        await ctx.create_timer(timedelta(hours=1))
        return await ctx.wait_for_external_event("go")

    return app


def test_a_stall_is_a_line_once_over_restarts_and_its_end_is_another(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = MemoryStore()

    async def begin(engine: Engine) -> None:
        await engine.client.start("waits", instance_id="i")

    async def push(engine: Engine) -> None:
        await engine.client.raise_event("i", "go", data=1)
        await anyio.sleep(1)

    # Given an instance that waits,
    run(begin, store=store)
    # when its code changes and something arrives,
    run(push, store=store, app=changed_app())
    (line,) = lines(caplog)
    # then one line reports the stall,
    assert {"event": "instance_stalled", "instance_id": "i", "workflow": "waits"}.items() <= line.items()
    assert (line["levelname"], line["stall"]) == ("ERROR", "PATCH_MISMATCH")
    # no start repeats it,
    run(lambda engine: anyio.sleep(1), store=store, app=changed_app())
    assert told(caplog) == ["instance_stalled"]
    # and another line reports the end of the stall.
    run(lambda engine: anyio.sleep(1), store=store)
    assert told(caplog) == ["instance_stalled", "instance_goes_on"]


def test_nothing_is_told_of_turns_whose_commit_failed_and_the_fault_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = FaultyStore(MemoryStore())

    async def story(engine: Engine) -> None:
        await engine.client.start("order", input=9, instance_id="i")
        store.fail_next_commit()  # which holds a failed attempt: the activity is performed again
        await engine.client.wait("i")

    run(story, store=store)
    events = told(caplog)
    assert events.count("commit_failed") == events.count("commits_again") == 1
    assert [event for event in events if event not in ("commit_failed", "commits_again")] == [
        "attempt_failed",
        "attempt_failed",
        "activity_failed",
        "instance_failed",
    ]


def test_a_flood_of_failures_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    count = 3 * BURST

    async def story(engine: Engine) -> None:
        for number in range(count):
            await engine.client.start("broken", input=0, instance_id=f"i{number}")
        for number in range(count):
            await engine.client.wait(f"i{number}")
        await engine.client.start("order", input=1, instance_id="other")
        await engine.client.wait("other")

    run(story)
    found = [line for line in lines(caplog) if line["event"] == "instance_failed"]
    assert len(found) == BURST + 1
    assert found[-1]["count"] == count - BURST
    # An activity that fails all the time does not hide the failures of other activities.
    assert told(caplog).count("attempt_failed") == 1


def test_a_slow_turn_is_a_line(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TurnLoop, "SLOW_S", 0.01)
    app = App("shop")

    @app.workflow
    def slow(ctx: WorkflowContext) -> None:
        time.sleep(0.05)

    run(runs("slow"), app=app)
    (line,) = lines(caplog)
    assert {"event": "turn_slow", "instance_id": "i", "workflow": "slow"}.items() <= line.items()
    assert line["duration_ms"] >= 40


def test_what_user_code_logs_says_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = App("shop")

    @app.activity
    async def charge(ctx: ActivityContext) -> None:
        ctx.logger.info("charging %d", 7, extra={"amount": 7})
        if ctx.attempt == 1:
            raise CardDeclined("no")

    @app.activity
    def ship(ctx: ActivityContext) -> None:
        ctx.logger.info("shipping")

    @app.workflow
    async def order(ctx: WorkflowContext) -> None:
        ctx.logger.info("begun", extra={"step": 1})
        await ctx.call_activity(charge, retry_policy=THREE)
        await ctx.call_activity(ship)

    run(runs("order"), app=app)
    names = ("instance_id", "workflow", "activity", "attempt", "amount", "step")
    assert [
        (record.name, record.getMessage(), {name: vars(record)[name] for name in names if name in vars(record)})
        for record in caplog.records
        if not hasattr(record, "event")
    ] == [
        ("perdure.workflow.order", "[i] begun", {"instance_id": "i", "workflow": "order", "step": 1}),
        (
            "perdure.activity.charge",
            "[i] charging 7",
            {"instance_id": "i", "workflow": "order", "activity": "charge", "attempt": 1, "amount": 7},
        ),
        (
            "perdure.activity.charge",
            "[i] charging 7",
            {"instance_id": "i", "workflow": "order", "activity": "charge", "attempt": 2, "amount": 7},
        ),
        (
            "perdure.activity.ship",
            "[i] shipping",
            {"instance_id": "i", "workflow": "order", "activity": "ship", "attempt": 1},
        ),
    ]


def test_an_activity_that_is_performed_again_after_a_crash_knows_its_attempt() -> None:
    attempts: list[int | None] = []
    store = MemoryStore()

    def app(*, ends: bool) -> App:
        app = App("shop")

        @app.activity
        async def charge(ctx: ActivityContext) -> None:
            attempts.append(ctx.attempt)
            if ctx.attempt == 1:
                raise CardDeclined("no")
            if not ends:
                await anyio.sleep_forever()

        @app.workflow
        async def order(ctx: WorkflowContext) -> None:
            await ctx.call_activity(charge, retry_policy=THREE)

        return app

    async def begin(engine: Engine) -> None:
        await engine.client.start("order", instance_id="i")
        await anyio.sleep(5)

    async def wait(engine: Engine) -> None:
        await engine.client.wait("i")

    run(begin, store=store, app=app(ends=False))
    run(wait, store=store, app=app(ends=True))
    assert attempts == [1, 2, 2]


APP = """
import time
from datetime import timedelta
from perdure import ActivityContext, App, RetryPolicy, WorkflowContext

app = App("shop")
POLICY = RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=2)

@app.activity
def charge(ctx: ActivityContext, amount: int) -> None:
    ctx.logger.warning("charging")
    try:
        {}["purse"]
    except KeyError as error:
        raise ValueError("no money") from error

@app.workflow
async def order(ctx: WorkflowContext, amount: int) -> None:
    await ctx.call_activity(charge, input=amount, retry_policy=POLICY)

@app.workflow
async def stuck(ctx: WorkflowContext) -> None:
    time.sleep(1.8)
"""


def read_lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_daemon_s_log_and_its_answers_name_what_failed_and_a_kill_repeats_nothing(tmp_path: Path) -> None:
    app, data = tmp_path / "shop.py", tmp_path / "store.db"
    app.write_text(APP)
    # Given a daemon in which an order fails and a workflow blocks the event loop,
    with Daemon(app, data, "--log-format", "json") as daemon:
        daemon.start("order", "i", 1)
        found = daemon.wait_for("i", "FAILED")["properties"]
        described = httpx.get(f"{daemon.url}/api/v1/instances/i").json()["failure"]
        daemon.start("stuck", "j")
        daemon.wait_for("j", "COMPLETED")
        # when it is killed,
        daemon.kill()
    # (The end of the blockade is logged half a second later, if the daemon lives until then.)
    told = [line for line in read_lines(data.with_suffix(".log")) if line.get("event", "loop_free") != "loop_free"]
    # then each event was logged once, with fields,
    fields = {"instance_id": "i", "workflow": "order", "activity": "charge", "error_type": "ValueError"}
    for event, more in (
        ("attempt_failed", {**fields, "attempt": 1}),
        ("activity_failed", {**fields, "attempt": 2}),
        ("instance_failed", {**fields, "attempt": 2}),
        ("loop_blocked", {"instance_id": "j", "workflow": "stuck"}),
    ):
        (line,) = [line for line in told if line["event"] == event]
        assert more.items() <= line.items()
        assert "error" not in line, "no traceback of ours"
    assert len(told) == 4
    assert all("duration_ms" in line for line in told)
    (charging, _) = [line for line in read_lines(data.with_suffix(".log")) if line["message"] == "[i] charging"]
    assert {"instance_id": "i", "workflow": "order", "activity": "charge", "attempt": 1}.items() <= charging.items()
    # the answers name the activity, its attempt, and its own error with its own traceback and cause,
    own = "perdure.workflow.failure."
    assert found["dapr.workflow.failure.error_type"] == "TaskFailedError"
    assert found["dapr.workflow.failure.error_message"].endswith("failed: no money")
    assert (found[f"{own}activity"], found[f"{own}attempt"], found[f"{own}error_type"]) == ("charge", "2", "ValueError")
    assert 'raise ValueError("no money") from error' in found[f"{own}stack_trace"]
    assert "KeyError: 'purse'" in found[f"{own}trace"]
    assert described["activity"] == {"name": "charge", "id": 3, "attempt": 2}
    assert (described["cause"]["type"], described["cause"]["cause"]["type"]) == ("ValueError", "KeyError")
    # and the next start repeats no line.
    before = read_lines(data.with_suffix(".log"))
    with Daemon(app, data, "--log-format", "json") as daemon:
        assert daemon.get("i")["runtimeStatus"] == "FAILED"
        daemon.stop()
    after = read_lines(data.with_suffix(".log"))[len(before) :]
    assert [line["event"] for line in after if "event" in line] == []


# Faults, and changes of owner.

WAITS = {"instance_id": "i", "workflow": "waits"}


async def begin_to_wait(engine: Engine) -> None:
    await engine.client.start("waits", instance_id="i")


def test_a_damaged_instance_is_told_once_when_it_is_found_and_once_when_it_is_stalled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    store = FaultyStore(MemoryStore())

    async def ask(engine: Engine) -> None:
        for _ in range(5):
            with suppress(PerdureError):
                await engine.client.raise_event("i", "go")

    # Given an instance that is damaged in the store,
    run(begin_to_wait, store=store)
    store.damage(workflow_address("i"), "a bit has flipped")
    # when a client calls it again and again, one line reports the damage.
    run(ask, store=store)
    assert [(line["event"], line["instance_id"]) for line in lines(caplog)] == [("instance_unreadable", "i")]

    # An instance with work in flight is tried without a call; for it another line says that it is stalled.
    async def begin(engine: Engine) -> None:
        await engine.client.start("patient", input="rest", instance_id="j")
        await anyio.sleep(1)

    run(begin, store=store)
    store.damage(workflow_address("j"), "a bit has flipped")
    caplog.clear()
    run(lambda engine: anyio.sleep(100), store=store)
    found = lines(caplog)
    assert [(line["event"], line["levelname"]) for line in found] == [
        ("instance_unreadable", "ERROR"),
        ("instance_stalled", "ERROR"),
    ]
    assert all(line["instance_id"] == "j" and "a bit has flipped" in line["message"] for line in found)
    assert found[1]["stall"] == "UNREADABLE"


def test_a_turn_that_breaks_has_one_traceback_and_its_instance_one_line_at_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    store = MemoryStore()
    run(begin_to_wait, store=store)

    def breaks(sheet: Any, envelope: Any) -> None:
        raise RuntimeError("a bug")

    receivers: dict[Any, Any] = receiving.RECEIVERS
    for message in (RaiseEvent, ActivityDone):
        monkeypatch.setitem(receivers, message, breaks)

    async def charge_in_vain(engine: Engine) -> None:
        await engine.client.start("order", input=0, instance_id="j")
        await anyio.sleep(100)

    run(charge_in_vain, store=store)
    found = lines(caplog)
    assert [line["event"] for line in found] == ["turn_broke"] * 3 + ["instance_stalled"]
    assert all({"instance_id": "j", "workflow": "order"}.items() <= line.items() for line in found)
    assert [line["exc_info"] is not None for line in found] == [True, False, False, False]
    assert found[3]["stall"] == "ENGINE"


def test_to_set_an_instance_aside_and_to_release_it_are_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = MemoryStore()

    async def main(opening: Opening, story: Callable[[Engine], Awaitable[None]]) -> None:
        async with Engine(make_app(), data=store, clock=LoopClock(), opening=opening) as engine:
            await story(engine)

    async def release(engine: Engine) -> None:
        await engine.facade.release("i")

    run(begin_to_wait, store=store)
    run_virtually(lambda: main(Opening(set_aside=("i",)), lambda engine: anyio.sleep(1)))
    run_virtually(lambda: main(Opening(), lambda engine: anyio.sleep(1)))
    run_virtually(lambda: main(Opening(), release))
    found = lines(caplog)
    assert [(line["event"], line["levelname"]) for line in found] == [
        ("instance_set_aside", "ERROR"),
        ("instance_released", "INFO"),
    ]
    assert all(WAITS.items() <= line.items() for line in found)


def test_a_slow_commit_is_a_line(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Committer, "SLOW_S", -1.0)
    run(runs("order", 0))
    found = lines(caplog)
    assert found
    assert {(line["event"], line["levelname"]) for line in found} == {("commit_slow", "WARNING")}
    assert all(line["duration_ms"] >= 0 for line in found)


def test_a_mailbox_and_an_instance_that_are_full_are_lines_and_no_more_than_some(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def overfill(engine: Engine) -> None:
        await begin_to_wait(engine)
        await engine.client.suspend("i")
        for _ in range(30):
            with suppress(PerdureError):
                await engine.client.raise_event("i", "go")
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(raise_quietly, engine)

    async def raise_quietly(engine: Engine) -> None:
        with suppress(PerdureError):
            await engine.client.raise_event("i", "go")

    caplog.set_level(logging.INFO)
    run(overfill, mailbox_messages_max=5)
    found = lines(caplog)
    assert {line["event"] for line in found} == {"limit_reached"}
    assert {line["limit"] for line in found} == {"held_events_max", "mailbox_messages_max"}
    assert all(line["instance_id"] == "i" for line in found)
    assert len(found) <= 22
    assert any(line.get("count", 1) > 1 for line in found)


def test_activities_that_wait_for_room_are_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = App("shop")

    @app.activity
    async def rests(ctx: ActivityContext) -> None:
        await anyio.sleep(1)

    @app.workflow
    async def fans_out(ctx: WorkflowContext) -> None:
        await ctx.when_all([ctx.call_activity(rests) for _ in range(3)])

    run(runs("fans_out"), app=app, activities_max=2)
    (line,) = lines(caplog)
    assert (line["event"], line["limit"], line["maximum"]) == ("waiting_for_room", "activities_max", 2)


def test_a_worker_that_comes_and_goes_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def story(engine: Engine) -> None:
        await engine.client.start("theirs", instance_id="i")
        async with engine.dispatcher.connect(Worker("here", "some-sdk", stateful=False)) as items:
            await anext(items)
            await anyio.sleep(40)
            await anext(items)

    async def main() -> None:
        async with Engine(None, data=MemoryStore(), clock=LoopClock()) as engine:
            await story(engine)

    run_virtually(main)
    found = lines(caplog)
    assert [line["event"] for line in found] == ["worker_connected", "turn_sent_again", "worker_disconnected"]
    assert all(line["worker"] == "here" for line in found)
    assert {"instance_id": "i", "workflow": "theirs"}.items() <= found[1].items()
    assert (found[2]["found"], found[2]["duration_ms"] >= 40_000) == (1, True)


@pytest.mark.parametrize("who", ["an SDK's workflow", "the app's workflow"])
def test_the_attempts_of_a_worker_say_how_long_they_took(who: str, caplog: pytest.LogCaptureFixture) -> None:
    app = None
    if who == "the app's workflow":
        app = App("shop")

        @app.workflow
        async def theirs(ctx: WorkflowContext) -> Any:
            return await ctx.call_activity("elsewhere")

    async def main() -> None:
        async with Engine(app, data=MemoryStore(), clock=LoopClock()) as engine, anyio.create_task_group() as tasks:
            tasks.start_soon(work, engine)
            await engine.client.start("theirs", instance_id="i")
            await engine.client.wait("i")
            tasks.cancel_scope.cancel()

    async def work(engine: Engine) -> None:
        """A worker whose activities fail after 2 s, and whose turns take 1 s."""
        dispatcher = engine.dispatcher
        failure = FailureDetails(error_type="CardDeclined", message="no")
        async with dispatcher.connect(Worker("here", "some-sdk", stateful=False)) as items:
            async for item in items:
                if isinstance(item, ActivityItem):
                    await anyio.sleep(2)
                    await dispatcher.complete_activity(ActivityAnswer("i", item.task_id, item.token, None, failure))
                    continue
                assert isinstance(item, WorkflowItem)
                await anyio.sleep(1)
                has_failed = any(isinstance(timed.event, TaskFailed) for timed in item.new)
                asked = ExecutionCompleted(2, 1, None, None) if has_failed else TaskScheduled(1, "elsewhere", None, "k")
                await dispatcher.complete_workflow(WorkflowAnswer("i", item.token, (asked,)))

    run_virtually(main)
    (line,) = [line for line in lines(caplog) if line["event"] == "activity_failed"]
    assert line["activity"] == "elsewhere"
    assert 2_000 <= line["duration_ms"] < 2_100


def test_the_attempt_of_an_activity_without_a_waiter_says_so_too(caplog: pytest.LogCaptureFixture) -> None:
    app = App("shop")

    @app.activity
    async def fails_late(ctx: ActivityContext) -> None:
        await anyio.sleep(2)
        raise CardDeclined

    @app.workflow
    async def careless(ctx: WorkflowContext) -> None:
        ctx.call_activity(fails_late)

    async def story(engine: Engine) -> None:
        await runs("careless")(engine)
        await anyio.sleep(3)

    run(story, app=app)
    (line,) = [line for line in lines(caplog) if line["event"] == "activity_failed"]
    assert 2_000 <= line["duration_ms"] < 2_100
