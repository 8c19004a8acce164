"""`perdure repair`."""

from collections.abc import Callable

import msgspec
import pytest

from perdure.client.errors import ServerRefused

from ...support.cli.fake_client import FakeClient
from .conftest import Run

Fake = Callable[..., FakeClient]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["retry", "--event-id", "3"], {"event_id": 3, "result": None, "failure": None, "reason": None}),
        (
            ["complete", "--event-id", "3", "--result", '"paid"', "--reason", "by phone"],
            {"event_id": 3, "result": msgspec.Raw(b'"paid"'), "failure": None, "reason": "by phone"},
        ),
        (
            ["fail", "--event-id", "3", "--failure", "no", "--failure-type", "ValueError"],
            {"event_id": 3, "result": None, "failure": {"message": "no", "type": "ValueError"}, "reason": None},
        ),
        (["fire", "--event-id", "3"], {"event_id": 3, "result": None, "failure": None, "reason": None}),
        (["release"], {"event_id": None, "result": None, "failure": None, "reason": None}),
    ],
)
def test_each_repair_is_asked_for(run: Run, fake: Fake, arguments: list[str], asked: dict[str, object]) -> None:
    client = fake(repair={})
    assert run("repair", "order-17", *arguments).out == f"order-17 {arguments[0]}: done\n"
    assert client.asked == [("repair", ("order-17", arguments[0]), asked)]


def test_an_activity_that_hangs_is_answered_in_its_place(run: Run, new_id: str) -> None:
    # Given an instance that waits for an activity which never answers,
    run("start", "hangs", "--id", new_id)
    (entry,) = run("show", new_id, "-o", "json").json["waiting_for"]
    event_id = str(entry["event_id"])
    # when a person answers in its place, then the instance continues.
    said = run("repair", new_id, "complete", "--event-id", event_id, "--result", "null", "--reason", "seen to")
    assert said.out == f"{new_id} complete: done\n"
    assert run("wait", new_id, "--timeout", "10s").out == "COMPLETED\n"
    # An answered activity is not answered again.
    assert run("repair", new_id, "retry", "--event-id", event_id).code == 4
    assert run("audit", "--id", new_id, "-o", "json").json[0]["reason"] == "seen to"


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry"],
        ["release", "--event-id", "3"],
        ["fail", "--event-id", "3"],
        ["fire", "--event-id", "3", "--failure", "x"],
        ["retry", "--event-id", "3", "--result", "1"],
        ["mend", "--event-id", "3"],
    ],
)
def test_what_does_not_go_together_is_2(run: Run, arguments: list[str]) -> None:
    assert run("repair", "order-17", *arguments).code == 2


def test_a_refusal_says_what_to_do_instead(run: Run, fake: Fake) -> None:
    fake(repair=ServerRefused(409, "ERR_REPAIR_REFUSED", "order-17: it failed at event 4: use rerun"))
    said = run("repair", "order-17", "retry", "--event-id", "3")
    assert said.code == 4
    assert "use rerun" in said.err
