"""`perdure show`, `history`, `tree` and `wait`."""

from collections.abc import Callable

import click
import pytest

from perdure.api.management.instances import FailedStep, FailureReport, InstanceTree
from perdure.cli.instances import connection
from perdure.cli.instances.showing import branches, event_row, failure
from perdure.client.errors import ServerUnreachable

from ...support.cli.fake_client import FakeClient
from .conftest import Run


def test_a_description_says_what_is_waited_for(run: Run, new_id: str) -> None:
    run("start", "hangs", "--id", new_id)
    said = click.unstyle(run("show", new_id).out)
    assert said.startswith(f"{new_id}  RUNNING")
    header, row = said.partition("Waits for:\n")[2].splitlines()[:2]
    assert header.split()[:3] == ["EVENT", "ID", "KIND"]
    assert row.split()[:3] == ["1", "activity", "hang"]
    assert run("show", new_id, "-o", "json").json["waiting_for"][0]["name"] == "hang"


def test_what_has_failed_stands_on_top_with_its_cause(run: Run, new_id: str) -> None:
    assert run("start", "order", "--id", new_id, "--input", "500", "--wait").code == 1
    paragraphs = click.unstyle(run("show", new_id).out).split("\n\n")
    assert paragraphs[0] == f"{new_id}  FAILED"
    assert paragraphs[1].startswith("Failed: Activity 'charge' (1) failed on attempt 1")
    assert "ValueError: too much" in paragraphs[1]


def test_payloads_are_shown_when_they_are_asked_for(run: Run, new_id: str) -> None:
    run("start", "order", "--id", new_id, "--input", "12.5", "--wait")
    assert "12.5" not in run("show", new_id).out.partition("Workflow")[2]
    said = run("show", new_id, "--input", "--result")
    assert said.out.endswith('Input:\n12.5\n\nResult:\n{"total":12.5}\n')
    assert run("show", new_id, "--result", "-o", "json").json["result"] == '{"total":12.5}'


def test_a_history_is_a_table_or_daprs_events(run: Run, new_id: str) -> None:
    run("start", "order", "--id", new_id, "--input", "12.5", "--wait")
    lines = run("history", new_id).lines
    assert lines[0].split() == ["EVENT", "ID", "TIME", "EVENT", "WHAT"]
    assert any(line.split()[0] == "1" and "taskScheduled" in line and "charge" in line for line in lines)
    newest = run("history", new_id, "--newest", "--limit", "1")
    assert "COMPLETED" in newest.lines[1]
    assert "There are more" in newest.err
    events = run("history", new_id, "--limit", "0", "-o", "json").json
    assert {"executionStarted", "executionCompleted"} <= {name for event in events for name in event}


def test_a_tree_shows_the_children(run: Run, new_id: str) -> None:
    run("start", "parent", "--id", new_id)
    while "child" not in (said := run("tree", new_id)).out:
        pass
    assert said.lines == [f"{new_id}  parent  RUNNING", f"└─ {new_id}-child  waits  RUNNING"]
    assert run("tree", new_id, "-o", "json").json["children"][0]["name"] == "waits"


def test_a_wait_ends_as_the_instance_does(run: Run, new_id: str) -> None:
    run("start", "order", "--id", new_id, "--input", "1")
    said = run("wait", new_id)
    assert (said.code, said.out) == (0, "COMPLETED\n")
    run("start", "order", "--id", f"{new_id}-f", "--input", "500")
    said = run("wait", f"{new_id}-f")
    assert (said.code, said.out) == (1, "FAILED\n")
    assert "too much" in said.err
    run("start", "waits", "--id", f"{new_id}-w")
    assert run("wait", f"{new_id}-w", "--until", "running,suspended").out == "RUNNING\n"
    assert run("wait", f"{new_id}-w", "--until", "running", "-o", "json").json["id"] == f"{new_id}-w"


def test_a_wait_goes_on_over_a_restart_of_the_daemon(
    run: Run, fake: Callable[..., FakeClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "AGAIN_S", 0)
    steps: list[Exception] = [
        ServerUnreachable("http://x", "cut off", sent=True),
        ServerUnreachable("http://x", "refused", sent=False),
    ]

    def wait_for(instance_id: str, **_: object) -> None:
        if steps:
            raise steps.pop(0)

    fake(wait_for=wait_for)
    assert run("wait", "i", "--timeout", "1s").code == 6
    # The wait for an id that never existed ends at once.
    steps.append(ServerUnreachable("http://x", "refused", sent=False))
    assert run("wait", "i").code == 5


@pytest.mark.parametrize("command", ["show", "history", "tree", "wait"])
def test_an_instance_that_does_not_exist_is_3(run: Run, command: str) -> None:
    said = run(command, "nobody")
    assert said.code == 3
    assert "nobody" in said.err


def test_every_command_takes_each_word_for_its_output(run: Run, new_id: str) -> None:
    run("start", "order", "--id", new_id, "--input", "1", "--wait")
    for output in ("table", "wide", "json"):
        for name in ("show", "history", "tree", "wait"):
            assert run(name, new_id, "-o", output).code == 0
        for name in ("ls", "count", "operations", "audit"):
            assert run(name, "-o", output).code == 0
    for name in ("show", "tree", "wait"):
        assert run(name, new_id, "-o", "ids").lines == [new_id]
    assert run("history", new_id, "-o", "ids").lines == ["1", "2"]
    run("purge", new_id)
    assert run("audit", "--id", new_id, "-o", "ids").lines == [new_id]


def test_a_failure_names_the_step_and_its_cause() -> None:
    step = FailedStep(name="charge", id=3, attempt=2)
    cause = FailureReport(type="OSError", message="no route", traceback="  File x\n")
    report = FailureReport(type="TaskFailedError", message="no\x1b", traceback=None, activity=step, cause=cause)
    assert failure(report).splitlines() == [
        "Failed: Activity 'charge' (3) failed on attempt 2: TaskFailedError: no\\x1b",
        "Caused by: OSError: no route",
        "  File x",
    ]


def test_a_tree_that_is_cut_off_says_so() -> None:
    def node(name: str, *children: InstanceTree, more: bool = False) -> InstanceTree:
        return InstanceTree(id=name, name="w", status="RUNNING", children=list(children), more=more)

    assert list(branches(node("a", node("b", node("c")), node("d", more=True)))) == [
        "a  w  RUNNING",
        "├─ b  w  RUNNING",
        "│  └─ c  w  RUNNING",
        "└─ d  w  RUNNING",
        "   └─ …",
    ]


@pytest.mark.parametrize(
    ("event", "row"),
    [
        (
            {"eventId": 3, "timestamp": "t", "timerCreated": {"fireAt": "2026-11-27T00:00:00Z"}},
            (3, "t", "timerCreated", "2026-11-27T00:00:00Z"),
        ),
        (
            {
                "key": "k",
                "eventId": -1,
                "timestamp": "t",
                "eventRaised": {"name": "go", "input": '"ab'},
                "payloadBytes": 900,
            },
            (None, "t", "eventRaised", 'go "ab… (900 bytes)'),
        ),
        (
            {
                "eventId": -1,
                "timestamp": "t",
                "taskFailed": {"taskScheduledId": 4, "failureDetails": {"errorType": "E", "errorMessage": "m"}},
            },
            (None, "t", "taskFailed", "of 4 E: m"),
        ),
    ],
)
def test_an_event_is_a_line(event: dict[str, object], row: tuple[object, ...]) -> None:
    assert event_row(event) == row
