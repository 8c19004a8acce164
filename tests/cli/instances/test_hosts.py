"""`perdure hosts`: a line for each host, without guesses about a host that is away."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from perdure.actors.release import own_release
from perdure.api.management.overview import HostList, HostView
from perdure.cli.instances.hosts import state, table_of

from ...support.cli.fake_client import FakeClient
from .conftest import Run

NOW = datetime(2026, 11, 26, 21, 0, tzinfo=UTC)
SERVING = HostView(
    name="host-0a",
    ready=True,
    version="1.2.3",
    machine="alpha",
    address="10.0.0.7:50123",
    state="serving",
    beat=77,
    silent=0.25,
    kills=1,
    pid=4711,
    began=NOW - timedelta(minutes=20),
    shards=512,
    activations=7,
    turns=900,
    commits=30,
    workers=2,
    passed_on=5,
    lacks=["activity charge", "workflow order"],
    awaiting=3,
)
AWAY = HostView(name="host-0b", ready=False, state="serving", machine="beta", address="10.0.0.8:50123", shards=512)


def test_the_host_of_a_daemon_is_listed(run: Run) -> None:
    said = run("hosts")
    header, line = said.lines
    assert header.split()[:3] == ["NAME", "STATE", "MACHINE"]
    assert line.split()[1] == "ready"
    assert own_release() in line
    [listed] = run("hosts", "-o", "json").json["items"]
    assert listed["ready"] is True
    assert listed["version"] == own_release()
    assert run("hosts", "-o", "ids").lines == [listed["name"]]


def test_a_table_has_a_line_for_each_and_says_what_is_not_known() -> None:
    found = HostList(items=[SERVING, AWAY], shards=1024, free=0)
    _, first, second = table_of(found, NOW, wide=False).splitlines()
    assert first.split() == ["host-0a", "serving", "alpha", "1.2.3", "512", "7", "900", "2", "20m"]
    assert second.split() == ["host-0b", "away", "beta", "-", "512", "-", "-", "-", "-"]
    _, first, second = table_of(found, NOW, wide=True).splitlines()
    assert first.split()[9:] == ["4711", "10.0.0.7:50123", "77", "0.2s", "1", "30", "5", "2", "3"]
    assert second.split()[9:] == ["-", "10.0.0.8:50123", "-", "-", "-", "-", "-", "-", "-"]


def test_shards_without_an_owner_are_told(run: Run, fake: Callable[..., FakeClient]) -> None:
    fake(report=lambda what: HostList(items=[SERVING], shards=1024, free=3))
    said = run("hosts")
    assert "3 of 1024 shards have no owner now." in said.err
    assert len(said.lines) == 2


@pytest.mark.parametrize(
    ("host", "word"),
    [
        (HostView(name="h", ready=True), "ready"),
        (HostView(name="h", ready=False), "away"),
        (HostView(name="h", ready=True, state="leaving"), "leaving"),
        (HostView(name="h", ready=False, state="leaving"), "leaving"),
        (HostView(name="h", ready=True, state="serving"), "serving"),
        (HostView(name="h", ready=False, state="serving"), "away"),
        (HostView(name="h", ready=False, state="uncertain"), "uncertain"),
    ],
)
def test_a_word_says_how_a_host_is(host: HostView, word: str) -> None:
    assert state(host) == word
