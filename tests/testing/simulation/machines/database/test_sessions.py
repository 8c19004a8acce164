"""Sessions of the stand-in in virtual time: what becomes of a statement whose connection breaks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perdure.actors.store.postgres.driver import DatabaseSession, Lost, Refused, Statement
from perdure.actors.store.postgres.schema import enter_apps, make_ready
from perdure.actors.store.postgres.statements import BEAT, JOIN, LOOK
from perdure.actors.store.postgres.url import parse_url
from perdure.actors.store.presence.apps import AppNames
from perdure.testing.simulation.choices import Choices, read_schedule
from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.machines.database.machine import URL, SimDatabase

SETTINGS = {"search_path": "perdure", "application_name": "test", "idle_in_transaction_session_timeout": "1000"}

Story = Callable[[SimDatabase, DatabaseSession], Awaitable[None]]


def run(story: Story, schedule: str = "") -> None:
    """Let something happen to a session with a server that has host 11, and to which faults come behind that."""

    async def whole() -> None:
        database = SimDatabase(Choices())
        session = await database.link().connect(SETTINGS)
        await make_ready(session, parse_url(URL), shards=2, now_us=1)
        await session.run(JOIN, (11, 0, "name", "place", "", "1", 1, 2, 1, []))
        database.server.choices = Choices(schedule=read_schedule(schedule))
        async with asyncio.timeout(1_000):
            await story(database, session)

    loop: Any = SimLoop()  # type: ignore[abstract]
    try:
        loop.run(whole())
    finally:
        loop.close()


async def beat_of(database: SimDatabase) -> int:
    session = await database.link().connect(SETTINGS)
    ((_, beat, *_),) = await session.run(LOOK, (11,))
    session.terminate()
    return int(beat)


@pytest.mark.parametrize(
    ("schedule", "at_once", "later"),
    [
        ("database.cut#0", 0, 0),  # before it, and it never comes
        ("database.cut#0=2", 0, 1),  # before it, and it comes late
        ("database.cut#0=3", 0, 1),  # very late
        ("database.cut#0=4", 1, 1),  # behind it
    ],
)
def test_a_statement_happens_once_or_never_wherever_its_connection_breaks(
    schedule: str, at_once: int, later: int
) -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        with pytest.raises(Lost):
            await session.run(BEAT, (11,))
        assert session.lost
        assert await beat_of(database) == at_once
        await asyncio.sleep(30)
        assert await beat_of(database) == later

    run(story, schedule)


@pytest.mark.parametrize(("schedule", "there"), [("", 1), ("database.late#0", 0), ("database.late#0=2", 1)])
def test_what_a_session_has_sent_before_it_was_cut_off_comes_or_does_not(schedule: str, there: int) -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        asyncio.get_running_loop().call_soon(session.terminate)
        with pytest.raises(Lost):
            await session.run(BEAT, (11,))
        await asyncio.sleep(1)
        assert await beat_of(database) == there

    run(story, schedule)


@pytest.mark.parametrize(("fault", "error"), [(1, Refused), (2, Refused), (3, Lost)])
def test_a_connection_is_refused(fault: int, error: type[Exception]) -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        with pytest.raises(error):
            await database.link().connect(SETTINGS)
        await database.link().connect(SETTINGS)

    run(story, f"database.connect#0={fault}")


def test_a_session_that_froze_within_a_transaction_is_ended_by_the_server() -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        await session.run(Statement("begin", "BEGIN"))
        await session.run(BEAT, (11,))
        other = await database.link().connect(SETTINGS)
        began_s = asyncio.get_running_loop().time()
        await other.run(BEAT, (11,))
        assert 0.9 < asyncio.get_running_loop().time() - began_s < 1.1
        with pytest.raises(Lost):
            await session.run(LOOK, (11,))

    run(story)


def test_a_statement_that_was_sent_together_with_a_lock_sees_what_was_committed_before_it_had_that() -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        # Given two sessions that enter an app at once, of which one waits for the lock of the other,
        other = await database.link().connect(SETTINGS)
        url = parse_url(URL)
        await asyncio.gather(enter_apps(session, url, AppNames(("shop",))), enter_apps(other, url, AppNames(("bank",))))
        # then each app has a number of its own.
        assert sorted((await enter_apps(session, url, AppNames())).values()) == [0, 1]

    run(story)
