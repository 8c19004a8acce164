"""`perdure top`."""

from datetime import UTC, datetime, timedelta

from rich.console import Console

from perdure.api.management.instances import CountGroup, CountResult, InstanceSummary, WaitingFor
from perdure.api.management.overview import AttentionView, ConcernView
from perdure.cli.instances.top import frame

from .conftest import Run

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def summary(instance_id: str, status: str, *waiting: WaitingFor) -> InstanceSummary:
    return InstanceSummary(
        **dict.fromkeys(("custom_status", "ended", "parent", "root"), None),  # type: ignore[arg-type]
        id=instance_id,
        name="order",
        status=status,
        created=NOW - timedelta(minutes=3),
        updated=NOW - timedelta(seconds=5),
        generation=0,
        tags={},
        app_id="shop",
        waiting_for=list(waiting),
    )


def test_one_look_shows_counts_what_runs_and_what_needs_a_look() -> None:
    activity = WaitingFor(
        kind="activity", name="charge", since=NOW, due=None, attempt=2, event_id=1, state="running", child_id=None
    )
    counted = CountResult(
        counts=[
            CountGroup(count=1_000, status="RUNNING", name="order"),
            CountGroup(count=2, status="FAILED", name="ship"),
        ],
        more=False,
    )
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    none = ConcernView(count=0, more=False, items=[])
    attention = AttentionView(
        stalled=none,
        set_aside=none,
        failed=ConcernView(count=2, more=True, items=[]),
        waiting=none,
        timers_overdue=none,
        workers_gone=ConcernView(count=1, more=False, items=[]),
    )
    running, failed = [summary("a\x1b", "RUNNING", activity)], [summary("b", "FAILED")]
    console.print(frame("http://x", counted, running, failed, attention, NOW))
    console.file.close()
    text = console.export_text()
    assert "1,000 RUNNING  2 FAILED" in text
    assert "2+ failed within the last hour, 1 without their worker" in text
    assert "a\\x1b" in text
    assert "activity charge running attempt 2" in text
    assert "Needs a look" in text
    assert "3m" in text


def test_once_is_one_look_at_a_daemon(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    said = run("top", "--once")
    assert said.code == 0
    assert "waits" in said.out
    assert "event approval" in said.out


def test_a_daemon_that_is_not_there_is_5(run: Run) -> None:
    assert run("top", "--once", "--server", "127.0.0.1:1").code == 5
