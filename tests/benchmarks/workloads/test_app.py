"""The app under test does next to nothing, and reports beside its results what it is asked for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from perdure import Engine, Settings
from perdure.benchmarks.workloads import app as under_test

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Forget the opened files of the variables: a process opens them once, but each test needs new ones."""
    under_test.opened.cache_clear()
    yield
    under_test.opened.cache_clear()


async def test_each_workflow_returns_what_can_be_checked() -> None:
    async with Engine(under_test.app, data=":memory:") as engine:
        assert await engine.client.run("chain", input=5) == 5
        assert await engine.client.run("fan_out", input=100) == 5_050
        assert await engine.client.run("hello", input=["Rome", "Oslo"]) == ["Hello Rome!", "Hello Oslo!"]
        assert await engine.client.run("carry", input="a text") == "a text"
        assert await engine.client.run("rest", input=1) == 1
        late_us = await engine.client.run("sleeper", input=datetime.now(UTC) + timedelta(milliseconds=20))
    assert late_us >= 0


async def test_two_instances_throw_a_ball_forth_and_back() -> None:
    engine = Engine(under_test.app, data=":memory:")
    under_test.client.set(engine.client)
    async with engine:
        assert await engine.client.run("ping", input=3, instance_id="one") == 3
        thrown_back = await engine.client.get("one-pong")
    assert thrown_back is not None
    assert thrown_back.output == 3


async def test_the_end_of_the_code_and_each_body_are_told_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(under_test.PIPE, str(tmp_path / "over"))
    monkeypatch.setenv(under_test.LOG, str(tmp_path / "bodies"))
    async with Engine(under_test.app, data=":memory:") as engine:
        await engine.client.run("chain", input=2, instance_id="one")
    assert (tmp_path / "over").read_text() == "one\n"
    assert (tmp_path / "bodies").read_text() == "one 1\none 2\n"


async def test_a_timed_chain_says_when_its_steps_ran_once_the_event_has_come() -> None:
    async with Engine(under_test.app, data=":memory:") as engine:
        instance_id = await engine.client.start("timed_chain", input=3)
        await engine.client.raise_event(instance_id, under_test.GO)
        ran_us = (await engine.client.wait(instance_id)).output
    assert len(ran_us) == 3
    assert ran_us == sorted(ran_us)


async def test_an_instance_that_is_held_goes_on_when_nothing_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an instance whose second step is held,
    log = tmp_path / "bodies"
    log.touch()
    monkeypatch.setenv(under_test.LOG, str(log))
    monkeypatch.setenv(under_test.HOLD, "1")
    settings = Settings(stop_grace_s=0)
    async with Engine(under_test.app, data=tmp_path / "store.db", settings=settings) as engine:
        await engine.client.start("interrupted", input=0, instance_id="one")
        with anyio.fail_after(5):
            while "one 2" not in log.read_text():
                await anyio.lowlevel.checkpoint()
    # when an engine without the hold comes,
    monkeypatch.delenv(under_test.HOLD)
    monkeypatch.setenv(under_test.PIPE, str(tmp_path / "over"))
    async with Engine(under_test.app, data=tmp_path / "store.db") as engine:
        assert (await engine.client.wait("one")).output == 3
    # then it runs the held step, and reports it.
    assert log.read_text() == "one 1\none 2\none 2\none 3\n"
    assert (tmp_path / "over").read_text() == "one\n"
