"""`perdure suspend`, `resume`, `terminate`, `purge` and `rerun`."""

import json
from collections.abc import Callable

import msgspec
import pytest

from perdure.api.management.actions import ActionDone
from perdure.cli.instances.acting import PAST

from ...support.cli.fake_client import FakeClient
from .conftest import Run

Fake = Callable[..., FakeClient]


def test_an_instance_is_suspended_resumed_terminated_and_purged(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    for action, past, status in (
        ("suspend", "suspended", "SUSPENDED"),
        ("resume", "resumed", "RUNNING"),
        ("terminate", "terminated", "TERMINATED"),
    ):
        said = run(action, new_id, "--reason", "test")
        assert (said.code, said.out) == (0, f"{new_id} {past}\n")
        assert run("wait", new_id, "--until", status.lower()).out == f"{status}\n"
    assert run("purge", new_id).out == f"{new_id} purged\n"
    assert run("show", new_id).code == 3


def test_a_purge_of_what_has_not_ended_is_refused_without_force(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    said = run("purge", new_id)
    assert said.code == 4
    assert new_id in said.err
    assert run("purge", new_id, "--force").code == 0


@pytest.mark.parametrize("shape", ["table", "json", "ids"])
@pytest.mark.parametrize(
    ("before", "action", "status"),
    [
        (["suspend"], "suspend", "SUSPENDED"),
        ([], "resume", "RUNNING"),
        *((["terminate"], action, "TERMINATED") for action in ("suspend", "resume", "terminate")),
    ],
)
def test_what_was_so_already_is_said_to_be_so_and_is_no_error(
    run: Run, new_id: str, before: list[str], action: str, status: str, shape: str
) -> None:
    # Given an instance that is already in the state of the action, or has ended,
    run("start", "waits", "--id", new_id)
    run("wait", new_id, "--until", "running")
    for each in before:
        run(each, new_id)
    # when the action is requested, its output differs from that of a change, and the command succeeds.
    said = run(action, new_id, "-o", shape)
    assert (said.code, said.err) == (0, "")
    if shape == "json":
        assert said.json == {"action": action, "id": new_id, "already": status}
    else:
        assert said.out == (f"{new_id}\n" if shape == "ids" else f"{new_id} was already {status}\n")
    # The audit has exactly the changes.
    assert [row["action"] for row in run("audit", "--id", new_id, "-o", "json").json] == before


def test_a_resumption_of_a_family_has_changed_something_if_a_child_was_suspended(run: Run, new_id: str) -> None:
    run("start", "parent", "--id", new_id)
    while run("show", f"{new_id}-child").code:
        pass
    run("suspend", f"{new_id}-child")
    assert run("resume", new_id).out == f"{new_id} was already RUNNING\n"
    assert run("resume", new_id, "--recurse").out == f"{new_id} resumed\n"
    assert run("resume", new_id, "--recurse").out == f"{new_id} was already RUNNING\n"


def test_descendants_go_along_and_are_counted(run: Run, new_id: str) -> None:
    run("start", "parent", "--id", new_id)
    while run("show", f"{new_id}-child").code:
        pass
    run("terminate", new_id, "--output", "[1]")
    run("wait", f"{new_id}-child")
    assert run("show", new_id, "--result").out.endswith("Result:\n[1]\n")
    assert run("purge", new_id).out == f"{new_id} purged (2 instances)\n"


def test_ids_come_from_another_command(run: Run, new_id: str) -> None:
    ids = [f"{new_id}-{n}" for n in range(3)]
    for each in ids:
        run("start", "waits", "--id", each)
    listed = run("ls", "--id-prefix", new_id, "-o", "ids", "--order", "created").out
    assert run("terminate", "-", given=listed).lines == [f"{each} terminated" for each in ids]
    assert run("terminate", "-", given="").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give IDs"),
        (["x", "--all-matching"], "select twice"),
        (["--all-matching"], "--yes"),
        (["x", "--status", "failed"], "go with --all-matching"),
        (["x", "--rate", "5"], "go with --all-matching"),
        (["x", "--no-wait"], "go with --all-matching"),
    ],
)
@pytest.mark.parametrize("action", ["suspend", "purge", "rerun"])
def test_what_selects_nothing_or_twice_is_2(run: Run, action: str, arguments: list[str], words: str) -> None:
    said = run(action, *arguments)
    assert said.code == 2
    assert words in said.err


def test_a_result_is_not_given_to_all_that_match(run: Run, fake: Fake) -> None:
    client = fake()
    said = run("terminate", "--all-matching", "--yes", "--output", "1")
    assert said.code == 2
    assert "--output is the result of a single instance" in said.err
    assert client.asked == []


def test_an_action_is_asked_for_with_its_options(run: Run, fake: Fake) -> None:
    client = fake(act=ActionDone(id="i"))
    run("suspend", "i", "--recurse", "--reason", "r")
    run("terminate", "i", "--no-recurse", "--output", '"o"')
    run("purge", "i", "--force")
    assert [(arguments, named) for _, arguments, named in client.asked] == [
        (("suspend", "i"), {"reason": "r", "recurse": True}),
        (("terminate", "i"), {"reason": None, "recurse": False, "output": msgspec.Raw(b'"o"')}),
        (("purge", "i"), {"reason": None, "recurse": True, "force": True}),
    ]


def test_a_rerun_prints_the_new_id_or_what_would_be_kept(run: Run, new_id: str) -> None:
    run("start", "order", "--id", new_id, "--input", "500", "--wait")
    # A rerun with the same input fails again; one with another input does not.
    again = run("rerun", new_id, "--input", "5", "--id", f"{new_id}-again", "--reason", "a smaller one")
    assert (again.code, again.out) == (0, f"{new_id}-again\n")
    assert run("wait", f"{new_id}-again").out == "COMPLETED\n"
    assert run("rerun", new_id, "--from-event", "1", "--dry-run").lines == ["repeated     1  activity  charge"]
    said = run("rerun", new_id, "--from-event", "1")
    assert run("wait", said.out.strip()).code == 1
    assert len(run("rerun", new_id, f"{new_id}-again").lines) == 2
    run("start", "waits", "--id", f"{new_id}-w")
    assert run("rerun", f"{new_id}-w").code == 4


@pytest.mark.parametrize(
    "arguments", [["a", "b", "--from-event", "4"], ["--all-matching", "--yes", "--id", "x"], ["a", "b", "--dry-run"]]
)
def test_what_a_rerun_can_say_of_one_only_is_2_for_several(run: Run, arguments: list[str]) -> None:
    assert run("rerun", *arguments).code == 2


MORE: dict[str, dict[str, object]] = {"event": {"name": "another"}, "purge": {"affected": 1}}


@pytest.mark.parametrize("shape", ["ids", "json", "table", "wide"])
def test_each_command_that_changes_something_says_what_in_the_form_that_is_asked_for(
    run: Run, new_id: str, shape: str
) -> None:
    def said(*arguments: str) -> str:
        ran = run(*arguments, "-o", shape)
        assert ran.code == 0, ran.err
        return ran.out

    def object_of(text: str, **more: object) -> None:
        assert json.loads(text) == {"id": new_id, **more}

    run("start", "waits", "--id", new_id)
    outs = {action: said(action, new_id) for action in ("suspend", "resume")}
    outs["event"] = said("event", new_id, "another", "--input", "1")
    outs["terminate"] = said("terminate", new_id)
    again = said("rerun", new_id)
    outs["purge"] = said("purge", new_id)
    for action, out in outs.items():
        if shape == "json":
            object_of(out, action=action, **MORE.get(action, {}))
        elif shape == "ids":
            assert out == f"{new_id}\n"
        else:
            assert out == ("" if action == "event" else f"{new_id} {PAST[action]}\n")
    new = json.loads(again)["id"] if shape == "json" else again.strip()
    assert new not in ("", new_id)
    # For several instances, the outputs json and ids show the operation.
    out = said("terminate", "--all-matching", "--id-prefix", new, "--yes")
    operations = json.loads(run("operations", "-o", "json").out)["items"]
    newest = {"json": lambda: json.loads(out)["id"], "ids": out.strip}.get(shape)
    assert newest is None or newest() == operations[0]["id"]
