"""`perdure store ls`, `terminate`, `purge`, `release`: their output, their changes, and their exit codes."""

import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import click
import pytest
from click.testing import CliRunner, Result

from perdure import App, Engine, Status, WorkflowContext
from perdure.actors.address import Address
from perdure.actors.store.audit import AuditFilter
from perdure.cli.main import main
from perdure.cli.stores.instances import INSTANCE_COMMANDS, STATUSES, InstanceLine, table
from perdure.runtime.history.audit import AuditEntry, unpack_audit
from perdure.runtime.settings import Opening


def store(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["store", *arguments])


def make_app() -> App:
    app = App("shop")

    @app.workflow
    async def order(ctx: WorkflowContext) -> str:
        await ctx.wait_for_external_event("paid")
        return "shipped"

    @app.workflow
    async def quick(ctx: WorkflowContext) -> str:
        return "done"

    return app


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A store with a finished instance, a running one, and one that is set aside."""
    path = str(tmp_path / "p.db")

    async def fill() -> None:
        async with Engine(make_app(), data=path) as engine:
            for name, instance_id in (("quick", "finished"), ("order", "running"), ("order", "poison")):
                await engine.facade.start(name, instance_id=instance_id)
            await engine.facade.wait("finished")
        async with Engine(make_app(), data=path, opening=Opening(set_aside=("poison",))) as engine:
            await engine.facade.wait("poison", lambda status: status is Status.STALLED)

    anyio.run(fill)
    return path


def listed(data: str, *arguments: str) -> dict[str, dict[str, object]]:
    result = store("ls", "--json", "--data", data, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return {line["id"]: line for line in json.loads(result.stdout)}


def status(data: str, instance_id: str) -> object:
    return listed(data)[instance_id]["status"]


def test_ls_lists_all_instances_with_why_they_are_set_aside(data: str) -> None:
    lines = listed(data)
    assert {name: (line["workflow"], line["status"], line["set_aside"]) for name, line in lines.items()} == {
        "finished": ("quick", "COMPLETED", False),
        "running": ("order", "RUNNING", False),
        "poison": ("order", "STALLED", True),
    }
    assert "by request" in str(lines["poison"]["reason"])
    assert lines["running"]["reason"] is None
    assert all(str(line["created_at"])[-8:-1].strip(".0123456789") == "" for line in lines.values())


def test_ls_draws_a_table(data: str) -> None:
    lines = store("ls", "--data", data).stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["ID", "WORKFLOW", "STATUS"],
        ["finished", "quick", "COMPLETED"],
        ["poison", "order", "STALLED"],
        ["running", "order", "RUNNING"],
    ]
    assert "set aside by request" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--status", "running"], {"running"}),
        (["--status", "RUNNING,Stalled"], {"running", "poison"}),
        (["--status", "completed", "--status", "stalled"], {"finished", "poison"}),
        (["--status", "set_aside"], {"poison"}),
        (["--status", "failed"], set()),
    ],
)
def test_ls_takes_statuses(data: str, arguments: list[str], expected: set[str]) -> None:
    assert set(listed(data, *arguments)) == expected


def test_ls_gives_ids_for_other_commands(data: str) -> None:
    result = store("ls", "-o", "ids", "--status", "running,completed", "--data", data)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "finished\nrunning\n", "")


def test_what_is_done_to_a_store_stands_in_the_audit_with_the_reason(data: str) -> None:
    # Given instances that are released, terminated and purged with a reason, while no daemon has the store,
    for command, instance_id in (("release", "poison"), ("terminate", "running"), ("purge", "finished")):
        assert store(command, instance_id, "--data", data, "--reason", f"to {command}").exit_code == 0

    # when a daemon opens it,
    async def read() -> set[tuple[str, str, str, str, str | None]]:
        async with Engine(make_app(), data=data) as engine:
            page = await engine.management.audits.page(AuditFilter(), cursor=None, limit=10)
            return {(each.instance_id, each.action, each.actor, each.door, each.reason) for each in page.entries}

    # then its audit has the person and the reason.
    assert anyio.run(read) >= {
        ("poison", "release", "offline", "offline", "to release"),
        ("running", "terminate", "offline", "offline", "to terminate"),
        ("finished", "purge", "offline", "offline", "to purge"),
    }


@pytest.mark.parametrize("command", INSTANCE_COMMANDS, ids=lambda command: str(command.name))
def test_the_help_of_each_command_ends_with_an_example(command: click.Command) -> None:
    name = str(command.name)
    assert store(name, "--help").stdout.splitlines()[-2:][0] == "  Example:"
    assert f"    perdure store {name} " in store(name, "--help").stdout


def test_an_unknown_status_is_a_wrong_command_line(data: str) -> None:
    result = store("ls", "--status", "dead", "--data", data)
    assert result.exit_code == 2
    assert "'DEAD' is no status" in result.stderr


def test_the_statuses_are_those_that_an_instance_can_have() -> None:
    assert set(STATUSES) == {each.name for each in Status} - {"CONTINUED_AS_NEW"}


def test_an_instance_that_is_set_aside_is_released_and_continues_in_the_next_daemon(data: str) -> None:
    result = store("release", "poison", "--data", data)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "poison is released.\n", "")
    assert status(data, "poison") == "RUNNING"

    async def go_on() -> object:
        async with Engine(make_app(), data=data) as engine:
            await engine.facade.raise_event("poison", "paid")
            return (await engine.facade.wait("poison")).output

    assert anyio.run(go_on) == '"shipped"'


def test_an_instance_that_is_set_aside_is_terminated(data: str) -> None:
    assert store("terminate", "poison", "running", "--data", data).exit_code == 0
    assert {status(data, "poison"), status(data, "running")} == {"TERMINATED"}


def test_what_has_ended_is_not_said_to_be_terminated(data: str) -> None:
    result = store("terminate", "finished", "--data", data)
    assert (result.exit_code, result.stdout) == (0, "finished was already COMPLETED.\n")
    assert status(data, "finished") == "COMPLETED"


def test_what_is_finished_or_set_aside_is_purged_and_nothing_else_without_force(data: str) -> None:
    result = store("purge", "finished", "running", "poison", "--data", data)
    assert result.exit_code == 4
    assert result.stdout == "finished is purged.\npoison is purged.\n"
    assert result.stderr == "Error: running: it has not ended. Terminate it first, or purge it with --force.\n"
    assert set(listed(data)) == {"running"}
    assert store("purge", "--force", "running", "--data", data).exit_code == 0
    assert listed(data) == {}


@pytest.mark.parametrize("command", ["terminate", "purge", "release"])
def test_an_instance_that_is_not_there_is_said_by_its_id_and_the_others_are_done(data: str, command: str) -> None:
    result = store(command, "nobody", "poison", "--data", data)
    assert result.exit_code == 3
    assert "nobody: there is no such instance" in result.stderr
    assert result.stdout.startswith("poison is ")


def test_only_instances_that_are_set_aside_are_released(data: str) -> None:
    result = store("release", "running", "--data", data)
    assert result.exit_code == 4
    assert "'running' is RUNNING and not set aside" in result.stderr


@pytest.mark.parametrize("command", ["terminate", "purge", "release"])
def test_an_id_must_be_said(data: str, command: str) -> None:
    assert store(command, "--data", data).exit_code == 2


@pytest.mark.parametrize("command", [("ls",), ("terminate", "x"), ("purge", "x"), ("release", "x")])
def test_a_store_that_a_daemon_has_or_that_is_not_there_is_one_line(
    data: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    missing = tmp_path / "missing.db"
    result = store(*command, "--data", str(missing))
    assert (result.exit_code, result.stderr) == (1, f"Error: there is no store at {missing}\n")
    assert not missing.exists()

    async def meanwhile() -> Result:
        async with Engine(make_app(), data=data):
            return await anyio.to_thread.run_sync(partial(store, *command, "--data", data))

    result = anyio.run(meanwhile)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert f"{data} is in use" in line


def damage(data: str, statement: str) -> None:
    with closing(sqlite3.connect(data)) as database, database:
        database.execute(statement, (Address("workflow", "running").id,))


DAMAGES = {
    "its record": "UPDATE actors SET record = x'99' WHERE id = ?",
    "its history": "UPDATE log SET entry = x'99' WHERE key = (SELECT key FROM actors WHERE id = ?)",
}


@pytest.mark.parametrize("statement", DAMAGES.values(), ids=DAMAGES)
def test_an_instance_that_cannot_be_read_is_listed_and_can_be_purged(data: str, statement: str) -> None:
    damage(data, statement)
    line = listed(data)["running"]
    assert (line["status"], line["set_aside"]) == ("STALLED", False)
    assert "cannot be read" in str(line["reason"])
    for command in ("terminate", "release"):
        assert store(command, "running", "--data", data).exit_code == 4
    result = store("purge", "running", "--data", data)
    assert (result.exit_code, result.stderr) == (0, "")
    assert set(listed(data)) == {"finished", "poison"}


def test_cells_are_one_line_each() -> None:
    line = InstanceLine("a\nb", "w\x1b[31m", "RUNNING", None, None, False, None)
    assert table([line]).splitlines()[1].split() == ["a\\nb", "w\\x1b[31m", "RUNNING"]


@pytest.fixture
def stalled(data: str) -> str:
    """The same store, in which the running instance does not fit its code any more."""
    changed = App("changed")

    @changed.workflow
    async def order(ctx: WorkflowContext) -> str:
        await ctx.create_timer(1)
        return "late"

    async def stall() -> None:
        async with Engine(changed, data=data) as engine:
            await engine.facade.raise_event("running", "paid")
            await engine.facade.wait("running", lambda status: status is Status.STALLED)

    anyio.run(stall)
    return data


def test_a_stalled_instance_is_terminated(stalled: str) -> None:
    assert listed(stalled)["running"]["set_aside"] is False
    assert store("terminate", "running", "--data", stalled).output == "running is terminated.\n"
    assert status(stalled, "running") == "TERMINATED"


def test_a_stalled_instance_is_purged_without_force(stalled: str) -> None:
    assert store("purge", "running", "--data", stalled).output == "running is purged.\n"
    assert "running" not in listed(stalled)


def test_the_audit_says_that_it_was_done_offline(data: str) -> None:
    for command in (("release", "poison"), ("terminate", "running"), ("purge", "finished")):
        assert store(*command, "--data", data).exit_code == 0

    async def audited() -> list[AuditEntry]:
        async with Engine(data=data, opening=Opening(dormant=True)) as engine:
            page = await engine.store.audit(AuditFilter(), cursor=None, limit=10)
            return [unpack_audit(row.body) for row in reversed(page.rows)]

    rows = [(row.instance_id, row.action, row.actor, row.door) for row in anyio.run(audited)]
    assert rows == [
        ("poison", "set-aside", "offline", "offline"),
        ("poison", "release", "offline", "offline"),
        ("running", "terminate", "offline", "offline"),
        ("finished", "purge", "offline", "offline"),
    ]
