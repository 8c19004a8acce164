"""`perdure operations` and `perdure audit`."""

from collections.abc import Callable

import pytest

from perdure.api.management.bulk import OperationList

from ...support.cli.fake_client import FakeClient
from .conftest import Run
from .test_bulk import operation

Fake = Callable[..., FakeClient]


def test_operations_are_listed_shown_and_canceled(run: Run, fake: Fake) -> None:
    client = fake(
        operations=OperationList(items=[operation(done=1)], cursor=None),
        operation=operation(state="RUNNING", done=1),
        cancel_operation=operation(state="CANCELED", done=1),
    )
    header, row = run("operations").lines
    assert header.split() == ["ID", "ACTION", "STATE", "DONE", "FAILED", "OF", "AGE", "ACTOR"]
    assert row.split()[:6] == ["op", "purge", "COMPLETED", "1", "0", "3"]
    assert run("operations", "-o", "json").json["items"][0]["id"] == "op"
    assert run("operations", "show", "op").out == "purge RUNNING: 1 done, of 3\n"
    assert run("operations", "cancel", "op").out == "purge CANCELED: 1 done, of 3\n"
    assert [name for name, _, _ in client.asked] == ["operations", "operations", "operation", "cancel_operation"]


@pytest.mark.parametrize("arguments", [["cancel"], ["show"], ["list", "op"], ["stop", "op"]])
def test_what_is_not_said_whole_is_2(run: Run, arguments: list[str]) -> None:
    assert run("operations", *arguments).code == 2


def test_an_operation_that_does_not_exist_is_3(run: Run) -> None:
    assert run("operations", "show", "nosuch").code == 3


def test_the_audit_is_a_table_or_json(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    run("suspend", new_id, "--reason", "stock is counted")
    run("resume", new_id)
    header, *rows = run("audit", "--id", new_id).lines
    assert header.split() == ["AT", "ACTOR", "DOOR", "ACTION", "ID", "REASON", "OPERATION"]
    assert [row.split()[2:6] for row in rows] == [
        ["ada", "api", "resume", new_id],
        ["ada", "api", "suspend", new_id],
    ]
    assert "stock is counted" in rows[1]
    said = run("audit", "--id", new_id, "--limit", "1", "-o", "json")
    assert [row["action"] for row in said.json] == ["resume"]
    assert "There are more" in said.err
    assert run("audit", "--id", new_id, "--action", "suspend", "--actor", "nobody", "-o", "json").json == []
    assert run("audit", "--action", "dance").code == 2
