"""A store is copied with the calls between its apps that are under way, and these continue in the copy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from perdure import App, Engine, Settings, WorkflowContext
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.cli.main import main
from perdure.runtime.settings import Opening, OtherApp

from ...support.postgres import PostgresServer, installed

pytestmark = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")

OPEN = ["call@bank", "workflow"]  # the types of actors with work in flight; a child that waits for an event has none


@pytest.fixture
def server(postgres_server: Callable[[int], PostgresServer]) -> PostgresServer:
    return postgres_server(max(installed()))


class Apps:
    """A shop that calls a bank.

    Attributes:
        pays: Whether an activity of the bank ends.
    """

    def __init__(self) -> None:
        self.shop, self.bank = App("shop"), App("bank")
        self.pays = False
        self.begun = anyio.Event()

        @self.shop.workflow
        async def order(ctx: WorkflowContext, n: int) -> Any:
            child = ctx.call_child_workflow("hold", input=n, app_id="bank")
            paid = await ctx.call_activity("pay", input=n, app_id="bank")
            return [paid, await child]

        @self.bank.activity
        async def pay(ctx: Any, n: int) -> int:
            self.begun.set()
            while not self.pays:
                await anyio.sleep_forever()
            return n + 1

        @self.bank.workflow
        async def hold(ctx: WorkflowContext, n: int) -> Any:
            return await ctx.wait_for_external_event("go")

    def engine(self, data: Any) -> Engine:
        """An engine that has both."""
        opening = Opening(others=(OtherApp("bank", self.bank),))
        return Engine(self.shop, data=data, settings=Settings(app_id="shop", stop_grace_s=0), opening=opening)


async def begin(data: Any) -> None:
    """Leave a store in which the shop waits for an activity of the bank, and for a child there."""
    apps = Apps()
    async with apps.engine(data) as engine:
        await engine.facade.start("order", instance_id="o", input="1")
        await apps.begun.wait()
        while await engine.facade.of_app("bank").inspect("o:0001") is None:
            await anyio.sleep(0.01)


async def finish(data: Any) -> str | None:
    """Let the bank do its part, and return the result."""
    apps = Apps()
    apps.pays = True
    async with apps.engine(data) as engine:
        await engine.facade.of_app("bank").raise_event("o:0001", "go", "7")
        with anyio.fail_after(30):
            return (await engine.facade.wait("o")).output


async def types_of(store: Any) -> list[str]:
    """The types of the actors with work in flight."""
    await store.open()
    try:
        return sorted({address.type for address in await store.active()})
    finally:
        await store.close()


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["store", *map(str, words)])


def copied(source: object, target: object) -> None:
    """Copy a store, and check the copy."""
    for ran in (run("copy", "--from", source, "--to", target), run("check", "--data", target)):
        assert ran.exit_code == 0, ran.output


def test_what_apps_have_asked_each_other_goes_on_in_a_copy_and_in_the_copy_of_that(
    tmp_path: Path, server: PostgresServer
) -> None:
    # Given a store in a file, in which an app waits for another one,
    first, url, back = tmp_path / "first.db", server.url(), tmp_path / "back.db"
    anyio.run(begin, first)
    # when it is copied into a database, and that into another file,
    copied(first, url)
    copied(url, back)
    # then the calls under way are in each copy,
    assert anyio.run(types_of, PostgresStore(url)) == OPEN
    assert anyio.run(types_of, SqliteStore(back)) == OPEN
    # and continue in each, as soon as its apps run.
    assert anyio.run(finish, str(back)) == "[2,7]"
    assert anyio.run(finish, url) == "[2,7]"


def test_notes_of_flights_are_of_hosts_and_no_copy_has_them(tmp_path: Path, server: PostgresServer) -> None:
    # Given a database with notes of a host that is gone,
    url = server.url()
    schema = url.partition("schema=")[2]
    anyio.run(begin, url)
    row = "(11, 'workflow', 'o', '', {}, 1, 5.0, 2, 2, 1, 0.5, false)"
    server.sql(f"INSERT INTO {schema}.flights VALUES {row.format(0)}, {row.format(1).replace('(11', '(12')}")
    assert run("check", "--data", url).exit_code == 0
    # when it is copied to a file, and that to another database,
    copied(url, tmp_path / "there.db")
    copied(tmp_path / "there.db", other := server.url())
    # then nothing is suspect there, and all calls continue.
    assert server.sql(f"SELECT count(*) FROM {other.partition('schema=')[2]}.flights").strip() == "0"
    assert anyio.run(finish, other) == "[2,7]"
