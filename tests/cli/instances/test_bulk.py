"""An action on all matching instances shows the number first, then the question, then the progress."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from perdure.api.management.bulk import BulkPlan, InstanceError, OperationInfo
from perdure.cli.instances import acting, bulk, connection
from perdure.cli.instances.bulk import progress
from perdure.client.errors import ServerRefused, ServerUnreachable

from ...support.cli.fake_client import FakeClient
from .conftest import Run

Fake = Callable[..., FakeClient]
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def operation(**more: Any) -> OperationInfo:
    fields: dict[str, Any] = {
        "id": "op",
        "state": "COMPLETED",
        "action": "purge",
        "matches": 3,
        "more": False,
        "done": 3,
        "failed": 0,
        "skipped": 0,
        "errors": [],
        "created": NOW,
        "updated": NOW,
        "ended": NOW,
        "actor": "ada",
        "reason": None,
    }
    return OperationInfo(**{**fields, **more})


PLAN = BulkPlan(matches=3, more=False, sample=[], plan="p")


def test_all_that_match_are_reached(run: Run, new_id: str) -> None:
    for n in range(3):
        run("start", "waits", "--id", f"{new_id}-{n}")
    said = run("terminate", "--all-matching", "--id-prefix", new_id, "--yes", "--reason", "test", "--rate", "500")
    assert (said.code, said.out) == (0, "terminate COMPLETED: 3 done, of 3\n")
    assert "3 instances" in said.err
    assert len(run("ls", "--id-prefix", new_id, "--status", "terminated", "-o", "ids").lines) == 3
    begun = run("purge", "--all-matching", "--id-prefix", new_id, "--yes", "--no-wait")
    assert begun.out.strip() in run("operations").out


def test_nothing_that_matches_is_said(run: Run, new_id: str) -> None:
    said = run("purge", "--all-matching", "--id-prefix", new_id, "--yes")
    assert (said.code, said.out, said.err) == (0, "", "No instance matches.\n")


@pytest.mark.parametrize("action", ["suspend", "resume", "terminate", "purge", "rerun"])
def test_an_action_on_all_that_match_prints_one_object_of_json_however_many_these_are(
    run: Run, new_id: str, action: str
) -> None:
    selected = (action, "--all-matching", "--id-prefix", new_id, "--yes", "-o")
    # If none matches, the output has the fields of an operation, so that a script may read its counts,
    none = run(*selected, "json")
    assert (none.code, none.json["id"], none.json["done"], none.json["matches"]) == (0, None, 0, 0)
    assert run(*selected, "ids").out == ""
    # and if some match, it is the operation, with or without a wait.
    run("start", "waits", "--id", new_id)
    begun = run(*selected, "json", "--no-wait").json
    assert begun["action"] == action
    assert none.json.keys() <= begun.keys()
    assert run(*selected, "json").json.keys() >= none.json.keys()


@pytest.mark.parametrize(("answer", "begun"), [("y\n", True), ("n\n", False), ("", False)])
def test_a_person_sees_the_number_and_is_asked(
    run: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch, answer: str, begun: bool
) -> None:
    monkeypatch.setattr(acting, "at_a_terminal", lambda: True)
    client = fake(plan_bulk=PLAN, bulk=operation(), operation=operation())
    said = run("purge", "--all-matching", "--status", "completed", given=answer)
    assert "purge 3 instances?" in said.err
    assert said.code == (0 if begun else 1)
    assert [name for name, _, _ in client.asked] == ["plan_bulk", *(["bulk", "operation"] if begun else [])]
    assert client.asked[0][2] == {
        "rate": None,
        "reason": None,
        "recurse": True,
        "force": False,
        "status": ["completed"],
    }


def test_the_progress_is_followed_and_failures_are_named(run: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LOOK_S", 0)
    steps = iter(
        [
            operation(state="RUNNING", done=1),
            operation(done=1, failed=2, errors=[InstanceError(id="a", message="it has not ended")]),
        ]
    )
    fake(plan_bulk=PLAN, bulk=operation(), operation=lambda _: next(steps))
    said = run("purge", "--all-matching", "--yes")
    assert (said.code, said.out) == (1, "purge COMPLETED: 1 done, 2 failed, of 3\n")
    assert "Error: a: it has not ended" in said.err


def test_the_progress_is_followed_over_a_restart_of_the_daemon(
    run: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "AGAIN_S", 0)
    away = ServerUnreachable("http://x", "refused", sent=False)
    steps: list[Any] = [away, ServerRefused(503, "ERR_HOST_STOPPING", "it stops"), operation(), operation()]

    def look(_: str) -> OperationInfo:
        if isinstance(step := steps.pop(0), Exception):
            raise step
        return step  # type: ignore[no-any-return]

    fake(plan_bulk=PLAN, bulk=operation(), operation=look)
    assert run("purge", "--all-matching", "--yes").code == 0
    # The wait has a limit.
    monkeypatch.setattr(connection, "PATIENCE_S", 0)
    steps[:] = [away] * 3
    assert run("purge", "--all-matching", "--yes").code == 5


def test_a_count_that_stopped_is_said_to_be_more(run: Run, fake: Fake) -> None:
    fake(plan_bulk=BulkPlan(matches=100_000, more=True, sample=[], plan="p"), bulk=operation(), operation=operation())
    assert "more than 100,000 instances" in run("purge", "--all-matching", "--yes").err


def test_how_far_an_operation_is_fits_into_a_line() -> None:
    assert progress(operation(state="RUNNING", done=0)) == "purge RUNNING: 0 done, of 3"
    assert progress(operation(done=1_000, skipped=2, matches=1_002, more=True)) == (
        "purge COMPLETED: 1,000 done, 2 skipped, of 1,002+"
    )
