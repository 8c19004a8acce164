"""`perdure top`."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest
from rich.console import Console

from perdure.api.management.instances import CountGroup, CountResult, InstanceSummary, WaitingFor
from perdure.api.management.overview import AttentionView, ConcernView
from perdure.cli.instances import top as top_module
from perdure.cli.instances.connection import REFUSED
from perdure.cli.instances.top import frame
from perdure.client.errors import ServerUnreachable, TokenRefused

from ...support.processes.daemon import Daemon
from ...support.processes.shop import TOKEN
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


def test_without_a_terminal_it_prints_once_and_ends(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    said = run("top")
    assert said.code == 0
    assert said.out.count("Running, the last changed first") == 1


def test_without_a_terminal_and_with_every_it_prints_until_it_is_stopped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a daemon that is restarted between two looks, and then refuses the request,
    errors = [None, None, ServerUnreachable("http://x", "refused", sent=False), None, TokenRefused(401, "", "Who?")]
    looks = iter(errors)

    async def look(client: object) -> str:
        if (error := next(looks)) is not None:
            raise error
        return "a picture"

    monkeypatch.setattr(top_module, "look", look)
    monkeypatch.setattr(anyio, "sleep", lambda seconds: anyio.lowlevel.checkpoint())
    said = run("top", "--every", "0.2")
    # then each look is printed, and the refusal ends it.
    lines = [line.rstrip() for line in said.lines]
    assert [line for line in lines if line == "a picture"] == ["a picture"] * 3
    assert "http://x cannot be reached: refused" in said.out
    assert said.code == REFUSED
    assert said.err == "Error: Who? Give a token with --token-file or PERDURE_API_TOKEN.\n"


def test_at_a_terminal_it_goes_on(daemon: Daemon) -> None:
    window, line = os.openpty()
    environment = {**os.environ, "PERDURE_SERVER": daemon.url, "PERDURE_API_TOKEN": TOKEN, "TERM": "xterm"}
    command = [sys.executable, "-m", "perdure", "top", "--every", "0.2"]
    with subprocess.Popen(command, stdin=line, stdout=line, stderr=line, env=environment) as process:
        os.close(line)
        try:
            shown = b""
            while shown.count(b"Workflows") < 3:  # the third look
                shown += os.read(window, 65536)
            process.send_signal(signal.SIGINT)
            with suppress(OSError):  # the end of the terminal
                while os.read(window, 65536):
                    pass
            assert process.wait(30) == 128 + signal.SIGINT
        finally:
            process.kill()
            os.close(window)
