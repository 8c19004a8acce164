"""Tables that are there before a world begins are those that a host would have made."""

from collections.abc import Mapping
from typing import Any

from perdure.actors.store.cluster import FORMAT_MAX
from perdure.actors.store.postgres.driver import DatabaseSession
from perdure.actors.store.postgres.schema import enter_apps, make_ready, raise_format
from perdure.actors.store.postgres.url import parse_url
from perdure.actors.store.presence.apps import AppNames
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.machines.database.machine import URL, SimDatabase

from .test_sessions import SETTINGS

APPS, SHARDS, NOW_US = ("first", "second"), 3, 7


def contents(database: SimDatabase) -> Mapping[str, Any]:
    return {table.name: [version.row for version in table.all()] for table in database.core.all_tables()}


async def made_by_a_host(database: SimDatabase) -> None:
    session: DatabaseSession = await database.link().connect(SETTINGS)
    await make_ready(session, parse_url(URL), shards=SHARDS, now_us=NOW_US)
    await enter_apps(session, parse_url(URL), AppNames(APPS))
    await raise_format(session, FORMAT_MAX)


def test_tables_that_are_there_beforehand_have_the_rows_that_a_host_makes() -> None:
    # Given a database whose tables a host has made, on its way with statements that take time,
    by_host, beforehand = SimDatabase(Choices()), SimDatabase(Choices())
    loop: Any = SimLoop()  # type: ignore[abstract]
    try:
        loop.run(made_by_a_host(by_host))
    finally:
        loop.close()
    # when another one gets them before anything happens,
    beforehand.make_tables(shards=SHARDS, now_us=NOW_US, apps=APPS)
    # then it has the same, and no session is left.
    assert contents(beforehand) == contents(by_host)
    assert {name for name, rows in contents(beforehand).items() if rows} == {"meta", "shards"}
    assert not beforehand.core.backends
