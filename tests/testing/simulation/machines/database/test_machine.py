"""A server of the stand-in crashes, stands still, and is out of reach; what was committed is there."""

import asyncio

import pytest

from perdure.actors.store.postgres.driver import DatabaseSession, Lost, Refused
from perdure.actors.store.postgres.statements import BEAT, LOOK, REVIVE
from perdure.testing.simulation.machines.database.machine import STARTING_S, SimDatabase

from .test_sessions import SETTINGS, beat_of, run


def test_a_server_that_crashes_refuses_until_it_has_started_and_has_what_was_committed() -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        await session.run(BEAT, (11,))
        database.restart(1.0)
        with pytest.raises(Lost):
            await session.run(BEAT, (11,))
        with pytest.raises(Lost):
            await database.link().connect(SETTINGS)
        await asyncio.sleep(1.0)
        with pytest.raises(Refused, match="starting up"):
            await database.link().connect(SETTINGS)
        await asyncio.sleep(STARTING_S)
        assert await beat_of(database) == 1

    run(story)


@pytest.mark.parametrize(("schedule", "there"), [("", 0), ("database.unheard#0", 1)])
def test_a_commit_on_its_way_to_the_disk_is_there_after_a_crash_or_is_not(schedule: str, there: int) -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        asyncio.get_running_loop().call_later(0.000_5, database.restart, 0.1)
        with pytest.raises(Lost):
            await session.run(BEAT, (11,))
        await asyncio.sleep(1)
        assert await beat_of(database) == there

    run(story, schedule)


def test_a_copy_that_takes_the_place_of_a_server_has_another_timeline() -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        database.restart(0.1, promoted=True)
        await asyncio.sleep(1)
        session = await database.link().connect(SETTINGS)
        assert await session.run(REVIVE, (11,)) == [(1, "00000002")]

    run(story)


def test_a_server_that_stands_still_keeps_its_connections() -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        database.freeze(20.0)
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(Lost, match="does not answer"):
            await database.link().connect(SETTINGS)
        assert (await session.run(LOOK, (11,)))[0][:2] == (11, 0)
        assert asyncio.get_running_loop().time() - began_s >= 20.0

    run(story)


@pytest.mark.parametrize(("back_only", "there"), [(False, 0), (True, 1)])
def test_a_silence_that_lasts_ends_a_session_at_both_ends(back_only: bool, there: int) -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        database.links[0].silence(20.0, there=not back_only)
        with pytest.raises(Lost, match="does not answer"):
            await session.run(BEAT, (11,))
        await asyncio.sleep(30)
        assert await beat_of(database) == there
        assert not database.links[0].sessions

    run(story)


def test_a_short_silence_only_makes_a_statement_late() -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        database.links[0].silence(2.0)
        assert (await session.run(BEAT, (11,)))[0][:3] == (11, 0, 1)
        assert asyncio.get_running_loop().time() >= 2.0

    run(story)


def test_a_copy_that_followed_no_more_takes_the_place_without_what_it_has_not_had() -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        heard: list[object] = []
        database.when_behind.append(lambda: heard.append("behind"))
        database.when_lost.append(heard.append)
        await session.run(BEAT, (11,))
        # Given a copy that follows no more from now on,
        database.fall_behind(1.0, 0.5)
        database.fall_behind(0.1, 0.0)  # it stays at what it has
        await session.run(BEAT, (11,))
        await session.run(BEAT, (11,))
        assert heard == ["behind"]
        # when it takes the server's place, then it has what it had,
        await asyncio.sleep(2)
        assert await beat_of(database) == 1
        assert (heard, database.losses) == (["behind", 2], 1)
        session = await database.link().connect(SETTINGS)
        assert await session.run(REVIVE, (11,)) == [(1, "00000002")]
        # and goes on from there.
        await session.run(BEAT, (11,))
        assert await beat_of(database) == 2

    run(story)


def test_a_server_that_is_down_or_calm_is_replaced_by_no_copy_that_is_behind() -> None:
    async def story(database: SimDatabase, session: DatabaseSession) -> None:
        await session.run(BEAT, (11,))
        database.fall_behind(0.1, 0.0)
        database.restart(1.0)
        await asyncio.sleep(2)
        database.fall_behind(0.1, 0.0)
        database.choices.calmed = True
        await asyncio.sleep(1)
        assert await beat_of(database) == 1
        assert (database.core.timeline, database.losses) == ("00000001", 0)

    run(story)
