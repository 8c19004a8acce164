"""pgbouncer in transaction mode in front of a server of tests, where it is installed."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from perdure.actors.store.postgres.settings import SESSION

from .postgres import PostgresServer

WAIT_S = 20.0
ROLE = "pooled"


def pooler_installed() -> str | None:
    """The path of the program; None: it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Pooler:
    """A pooler on a port of this machine."""

    def __init__(self, server: PostgresServer, schema: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"postgresql://{ROLE}@127.0.0.1:{self.port}/postgres?schema={schema}&prepare=off"
        server.sql(f"DROP ROLE IF EXISTS {ROLE}; CREATE ROLE {ROLE} LOGIN SUPERUSER")
        for name, value in {**SESSION, "search_path": schema}.items():
            server.sql(f"ALTER ROLE {ROLE} SET {name} = '{value}'")
        self._folder = server.folder
        (self._folder / "users.txt").write_text(f'"{ROLE}" ""\n')
        self._config = self._folder / "pgbouncer.ini"
        self._config.write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={server.port} dbname=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self._folder}/users.txt\npool_mode = transaction\n"
            "default_pool_size = 20\nserver_login_retry = 1\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = pooler_installed()
        assert program is not None
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        with open(self._folder / "pgbouncer.log", "ab") as log:
            self._process = subprocess.Popen([program, *user, self._config], stdout=log, stderr=log)
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.02)
        raise RuntimeError((self._folder / "pgbouncer.log").read_text()[-2000:])

    def kill(self) -> None:
        """End it at once; all connections through it are lost."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def pooler(server: PostgresServer, *, schema: str) -> Iterator[Pooler]:
    """A pooler until the block ends."""
    pooler = Pooler(server, schema)
    pooler.start()
    try:
        yield pooler
    finally:
        pooler.kill()
