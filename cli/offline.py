"""Offline engines: give commands access to the instances of a store while no daemon has it open.

The rule: no work of instances begins. The engines have no app and no servers, do not recover and fire no timers. The
changes of the command are committed; their effects on other instances happen with the next daemon at the latest.

`cli/stores/instances.py` uses it.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.abc import TaskStatus

from ..actors.cluster.membership import FixedMembership
from ..actors.errors import PerdureError
from ..actors.store.errors import StoreFailed
from ..actors.store.part import Part
from ..actors.store.postgres.url import is_url
from ..actors.store.sqlite.files import parts_of
from ..runtime.engine import Engine
from ..runtime.operations.facade import Facade
from ..runtime.settings import Opening

DORMANT = Opening(dormant=True)


@asynccontextmanager
async def offline(data: str, app_id: str | None = None) -> AsyncIterator[Facade]:
    """Open all parts of a store, and yield the facade of the instances of an app.

    Args:
        app_id: None: the first app.

    Raises:
        StoreLocked: A daemon has the store open.
        StoreFailed: The store, or a part of it, is missing.
    """
    parts = 1 if is_url(data) else len(parts_of(data))
    if parts == 1:
        async with Engine(data=data, opening=DORMANT) as engine:
            yield facade_of(engine, app_id)
        return
    # A short name, because the path of a socket is limited to about a hundred bytes.
    directory = tempfile.mkdtemp(prefix="perdure-")
    try:
        members = [FixedMembership(part=Part(index, parts), directory=directory) for index in range(parts)]
        engines = [Engine(data=data, opening=DORMANT, membership=member) for member in members]
        async with all_open(engines):
            yield facade_of(engines[0], app_id)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def facade_of(engine: Engine, app_id: str | None) -> Facade:
    """Return the facade of the instances of an app in a store.

    Raises:
        StoreFailed: The store has no such app.
    """
    names = engine.directory.names
    if app_id is None or names.get(app_id) == 0:
        return engine.facade
    if app_id not in engine.apps:
        raise StoreFailed(f"the store has no app ID {app_id!r}; it has {', '.join(map(repr, names)) or 'none'}")
    return engine.apps[app_id].facade


@asynccontextmanager
async def all_open(engines: Sequence[Engine]) -> AsyncIterator[None]:
    """Run engines until the block ends, each in its own task because each waits for the others."""
    failed: list[PerdureError] = []
    stop = anyio.Event()

    async def run(engine: Engine, *, task_status: TaskStatus[None]) -> None:
        try:
            async with engine:
                task_status.started()
                await stop.wait()
        except PerdureError as error:
            failed.append(error)
            raise

    try:
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as opening:
                for engine in engines:
                    opening.start_soon(partial(tasks.start, partial(run, engine)))
            try:
                yield
            finally:
                stop.set()
    except BaseExceptionGroup:
        if failed:
            raise failed[0] from None
        raise
