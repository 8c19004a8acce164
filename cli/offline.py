"""Offline engines: the instances of a store that no daemon has, for a command that looks at them or steers them.

The rule: nothing begins. The engines have no app and no servers, recover nothing and fire no timer; what the command
asks for is committed, and what follows from it elsewhere happens with the next daemon at the latest.

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
from ..actors.store.part import Part
from ..actors.store.postgres.url import is_url
from ..actors.store.sqlite.files import parts_of
from ..runtime.engine import Engine
from ..runtime.operations.facade import Facade
from ..runtime.settings import Opening

DORMANT = Opening(dormant=True)


@asynccontextmanager
async def offline(data: str) -> AsyncIterator[Facade]:
    """Open a store, all its parts, and give the facade to its instances.

    Raises:
        StoreLocked: A daemon has it.
        StoreFailed: There is no store, or a part of it is missing.
    """
    parts = 1 if is_url(data) else len(parts_of(data))
    if parts == 1:
        async with Engine(data=data, opening=DORMANT) as engine:
            yield engine.facade
        return
    # A short name: the path of a socket has about a hundred bytes.
    directory = tempfile.mkdtemp(prefix="perdure-")
    try:
        members = [FixedMembership(part=Part(index, parts), directory=directory) for index in range(parts)]
        engines = [Engine(data=data, opening=DORMANT, membership=member) for member in members]
        async with all_open(engines):
            yield engines[0].facade
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def all_open(engines: Sequence[Engine]) -> AsyncIterator[None]:
    """Run engines, each in a task of its own because each waits for the others, until the block ends."""
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
