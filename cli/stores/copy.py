"""`perdure store copy`: copies a store between files and PostgreSQL databases.

The rule: the source is not changed, and a copy becomes a store only after it was compared with its source. An
interrupted copy goes on when the command is called again.

`actors/store/copying/copying.py` does the work; `cli/store.py` has the command in its group.
"""

import glob
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import click

from ..parsing import parse_path
from ..run_flags import checked

if TYPE_CHECKING:
    from ...actors.store.copying.copying import Source, Totals
    from ...actors.store.sqlite.store import SqliteStore


def store_option(flag: str, name: str, text: str) -> click.Option:
    """Make an option that takes the address of a store."""
    return click.Option([flag, name], type=str, required=True, metavar="PATH", help=text, callback=checked(parse_path))


@click.command(
    params=[
        store_option("--from", "source", "The store to copy: a file, or the address of a database."),
        store_option("--to", "target", "The new store: a file that does not exist, or the address of a database."),
    ]
)
def copy(source: str, target: str) -> None:
    """Copy a store to a new one, in a file or on a database.

    No daemon may use either. The source does not change; of a store of several processes all files are read, and the
    copy has one file. The whole content is copied: instances, histories, timers, lists, the audit. At the end both are
    read and compared. If the command is interrupted, call it again: it continues.

    Never start a daemon on both: the work under way would be done twice.

    For example: perdure store copy --from perdure.db --to postgresql://me@db.example.com/orders
    """
    import anyio  # noqa: PLC0415  `perdure store --help` needs no loop

    totals = anyio.run(_copy, source, target)
    from ...actors.store.postgres.url import without_password  # noqa: PLC0415  as above

    click.echo(f"{without_password(source)} is copied to {without_password(target)}, and both are the same: {totals}.")


async def _copy(source_at: str, target_at: str) -> "Totals":
    from ...actors.store.copying import copying  # noqa: PLC0415  as above
    from ...actors.store.postgres.url import is_url  # noqa: PLC0415  as above

    def told(copied: int) -> None:
        click.echo(f"\r{copied:,} instances", nl=False, err=True)

    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(_held(source_at))
        if is_url(target_at):
            totals = await _to_database(source, target_at, told)
        else:
            totals = await _to_file(source, target_at, told)
    click.echo(err=True)
    assert isinstance(totals, copying.Totals)
    return totals


@asynccontextmanager
async def _held(at: str) -> AsyncIterator["Source"]:
    """Lock a store, so that no other process works on it, and read it."""
    from ...actors.store.copying.sqlite_source import SqliteSource  # noqa: PLC0415  as above
    from ...actors.store.postgres.exporting import snapshot_of  # noqa: PLC0415  as above
    from ...actors.store.postgres.store import PostgresStore  # noqa: PLC0415  as above
    from ...actors.store.postgres.url import is_url, parse_url  # noqa: PLC0415  as above
    from ...actors.store.sqlite.files import holding  # noqa: PLC0415  as above

    if not is_url(at):
        with holding(at) as files:
            yield SqliteSource(files)
        return
    async with snapshot_of(parse_url(at)):
        pass  # the opening would make a missing one
    store = PostgresStore(at)
    await store.open()
    try:
        async with snapshot_of(store.url) as source:
            yield source
    finally:
        await store.close()


async def _to_database(source: "Source", at: str, told: Callable[[int], None]) -> "Totals":
    from ...actors.store.copying import copying  # noqa: PLC0415  as above
    from ...actors.store.postgres.exporting import snapshot_of  # noqa: PLC0415  as above
    from ...actors.store.postgres.store import PostgresStore  # noqa: PLC0415  as above

    store = PostgresStore(at, copying=True)
    await store.open()
    try:
        await store.begin_copy()
        await copying.copy(source, store, told=told)
        async with snapshot_of(store.url) as copied:
            totals = await _compared(source, copied)
        await store.end_copy()
        await copying.finish(store)
    finally:
        await store.close()
    return totals


async def _to_file(source: "Source", at: str, told: Callable[[int], None]) -> "Totals":
    """Copy into a file of another name, which is renamed to the store when it is complete."""
    from ...actors.store.copying import copying  # noqa: PLC0415  as above
    from ...actors.store.copying.sqlite_source import SqliteSource  # noqa: PLC0415  as above
    from ...actors.store.sqlite import maintenance  # noqa: PLC0415  as above
    from ...actors.store.sqlite.files import refuse_existing  # noqa: PLC0415  as above
    from ...actors.store.sqlite.store import SqliteStore  # noqa: PLC0415  as above

    refuse_existing([at], "exists already")
    unfinished = f"{at}.copying"
    await _with(SqliteStore(unfinished), lambda store: copying.copy(source, store, told=told))
    totals = await _compared(source, SqliteSource([unfinished]))
    await _with(SqliteStore(unfinished), copying.finish)
    maintenance.backup(unfinished, at)
    for path in glob.glob(f"{glob.escape(unfinished)}*"):
        os.remove(path)
    return totals


async def _with(store: "SqliteStore", work: "Callable[[SqliteStore], Awaitable[None]]") -> None:
    await store.open()
    try:
        await work(store)
    finally:
        await store.close()


async def _compared(source: "Source", copied: "Source") -> "Totals":
    from ...actors.store.copying import copying  # noqa: PLC0415  as above

    totals = await copying.totals_of(source)
    copying.require_equal(totals, await copying.totals_of(copied))
    return totals
