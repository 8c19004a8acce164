"""Time and chance of code in a world are the world's, in any process, and the machine's again behind it."""

import asyncio
import datetime as dt
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from datetime import UTC, date, datetime
from random import seed as imported_seed
from time import sleep as imported_sleep
from typing import Any

import anyio
import anyio.to_thread
import pytest

from perdure import ActivityContext, App
from perdure.testing import World

from ..shop import calm, succeed

NEW_YEAR_2026_S = 1_767_225_600


def sensed(*, sense: Any = None, plain: bool = False) -> list[Any]:
    """What an activity of a world has seen."""
    app, seen = App("senses"), list[Any]()

    if plain:

        @app.activity
        def look(ctx: ActivityContext) -> None:
            seen.append(sense())
    else:

        @app.activity(name="look")
        async def look_async(ctx: ActivityContext) -> None:
            found = sense()
            seen.append(await found if asyncio.iscoroutine(found) else found)

    @app.workflow
    async def w(ctx: Any) -> None:
        await ctx.call_activity("look")

    async def story(world: World) -> None:
        await world.client.run("w", instance_id="o")

    succeed(calm(app, story))
    return seen


DATES = [
    lambda: time.time(),  # noqa: PLW0108  the function of that moment
    lambda: time.time_ns() / 1e9,
    lambda: time.mktime(time.localtime()),
    lambda: datetime.now(UTC).timestamp(),
    lambda: datetime.now().timestamp(),
    lambda: dt.datetime.now(dt.UTC).timestamp(),
    lambda: datetime.today().timestamp(),
    lambda: datetime.utcnow().replace(tzinfo=UTC).timestamp(),
    lambda: time.clock_gettime(time.CLOCK_REALTIME),
    lambda: time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9,
    lambda: time.mktime(time.strptime(time.strftime("%Y-%m-%d %H:%M:%S"), "%Y-%m-%d %H:%M:%S")),
    lambda: time.mktime(time.strptime(time.asctime())),
    lambda: uuid.uuid1().time / 1e7 - 12_219_292_800,
]


@pytest.mark.parametrize("sense", DATES)
@pytest.mark.parametrize("plain", [False, True])
def test_the_date_is_the_worlds(sense: Any, plain: bool) -> None:
    [at_s] = sensed(sense=sense, plain=plain)
    assert 0 <= at_s - NEW_YEAR_2026_S < 2


@pytest.mark.parametrize(
    "sense",
    [
        lambda: time.monotonic(),  # noqa: PLW0108  the function of that moment
        lambda: time.process_time(),  # noqa: PLW0108
        lambda: time.thread_time(),  # noqa: PLW0108
        lambda: time.thread_time_ns() / 1e9,
        lambda: time.clock_gettime(time.CLOCK_MONOTONIC),
    ],
)
def test_how_long_it_has_been_is_up_to_the_world(sense: Any) -> None:
    first, second = sensed(sense=sense)[0], sensed(sense=sense)[0]
    assert first == second < 1


def test_today_is_the_worlds() -> None:
    assert sensed(sense=lambda: (date.today(), dt.date.today()))[0] == (date(2026, 1, 1), date(2026, 1, 1))


def test_what_dates_are_made_of_is_the_standard_librarys() -> None:
    def sense() -> list[Any]:
        made = datetime(2020, 1, 2, tzinfo=UTC)
        assert isinstance(made, datetime)
        assert issubclass(datetime, date)
        return [type(datetime.now()), type(made), type(datetime.fromisoformat("2020-01-02")), type(date.today())]

    assert sensed(sense=sense)[0] == [datetime, datetime, datetime, date]


CHANCES = [
    random.random,
    lambda: random.randint(0, 10**9),
    uuid.uuid4,
    uuid.uuid1,
    lambda: os.urandom(100),
    secrets.token_hex,
    lambda: secrets.randbelow(10**9),
    lambda: random.SystemRandom().random(),
    lambda: random.Random().random(),
    lambda: (random.seed(), random.random()),
    lambda: (imported_seed(), random.random()),
    lambda: os.getrandom(8),
    tempfile.mktemp,
]


@pytest.mark.parametrize("sense", CHANCES)
def test_chance_is_the_same_in_each_world_and_another_outside(sense: Any) -> None:
    first, second = sensed(sense=sense)[0], sensed(sense=sense)[0]
    assert first == second
    assert sense() != first


def test_chance_is_the_same_in_another_process() -> None:
    program = f"""
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
import random, os, uuid, asyncio
from perdure import App
from perdure.testing.simulation.choices import Choices
from perdure.testing.stories.plan import SimulationPlan
from perdure.testing.stories.trial.running import WorldRunner
app = App("a")
@app.activity
async def look(ctx): print(random.random(), os.urandom(4).hex(), uuid.uuid1(), uuid.uuid4())
@app.workflow
async def w(ctx): await ctx.call_activity(look)
async def story(world): await world.client.run(w, instance_id="o")
assert WorldRunner(SimulationPlan(story=story, apps=[app]), {{}}).run(Choices()).error is None
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert said.pop().strip()


@pytest.mark.parametrize("sleep", [lambda: time.sleep(60), lambda: imported_sleep(60)])
@pytest.mark.parametrize("plain", [False, True])
def test_a_sleep_that_blocks_takes_no_real_time(sleep: Any, plain: bool) -> None:
    def sense() -> float:
        began = time.monotonic()
        sleep()
        return time.monotonic() - began

    began_s = time.perf_counter()
    assert sensed(sense=sense, plain=plain)[0] == pytest.approx(60)
    assert time.perf_counter() - began_s < 30


def test_a_sleep_on_the_event_loop_holds_all_of_its_host_up() -> None:
    app, seen = App("blocked"), dict[str, float]()

    @app.activity
    async def block(ctx: ActivityContext) -> None:
        time.sleep(60)  # noqa: ASYNC251  that is what is tested

    @app.activity
    async def tick(ctx: ActivityContext) -> None:
        await anyio.sleep(1)
        seen["ticked"] = time.monotonic()

    @app.workflow
    async def w(ctx: Any) -> None:
        await ctx.when_all([ctx.call_activity(tick), ctx.call_activity(block)])

    async def story(world: World) -> None:
        await world.client.run("w", instance_id="o")

    succeed(calm(app, story))
    assert seen["ticked"] >= 60


@pytest.mark.parametrize("in_thread", [asyncio.to_thread, lambda work: anyio.to_thread.run_sync(work)])  # noqa: PLW0108
def test_a_function_in_a_thread_is_of_the_world(in_thread: Any) -> None:
    def work() -> tuple[float, bool]:
        time.sleep(5)
        return time.time(), threading.current_thread() is threading.main_thread()

    at_s, main = sensed(sense=lambda: in_thread(work))[0]
    assert 5 <= at_s - NEW_YEAR_2026_S < 7
    assert not main


def test_all_is_the_machines_again_behind_a_world() -> None:
    before = (time.time, time.sleep, os.urandom, random.getstate(), anyio.to_thread.run_sync, datetime, dt)
    sensed(sense=time.time)
    assert before == (time.time, time.sleep, os.urandom, random.getstate(), anyio.to_thread.run_sync, datetime, dt)
    assert time.time() > NEW_YEAR_2026_S
    assert "_generate_time_safe" in vars(uuid)


def test_a_thread_that_is_not_of_the_world_has_the_machines_time() -> None:
    # Given a thread of a test runner's, say, that reads the date while a world runs,
    # and with bare locks, as it waits in real time,
    go, done, read = threading.Lock(), threading.Lock(), list[float]()
    go.acquire()
    done.acquire()

    def other() -> None:
        go.acquire(timeout=10)
        read.append(time.perf_counter())
        done.release()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()

    def sense() -> float:
        go.release()
        done.acquire(timeout=10)
        return time.perf_counter()

    # then it is not the world's.
    [inside] = sensed(sense=sense)
    assert inside < 2
    assert read[0] != inside
    assert read[0] > 2 or time.perf_counter() < 2


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_sleep_that_is_none_is_refused_as_it_is_outside(seconds: float) -> None:
    def sense() -> str:
        with pytest.raises(ValueError, match=r".") as refused:
            time.sleep(seconds)
        return str(refused.value)

    said = sensed(sense=sense)[0]
    assert said == sense()


def test_code_in_a_thread_of_the_story_is_of_the_world() -> None:
    seen: list[float] = []

    def sense() -> None:
        time.sleep(3_600)
        seen.append(time.monotonic())

    async def story(world: World) -> None:
        await asyncio.to_thread(sense)

    succeed(calm(App("threads"), story))
    assert 3_600 <= seen[0] < 3_601
