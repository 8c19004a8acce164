"""A server of PostgreSQL and a copy of it that can take over."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..support.postgres import PostgresServer, PostgresServers
from ..whole.chaos.decoding import begin_decoding

WAIT_S = 30.0
DECODES_ON_COPIES = 16  # the first release whose copies decode their log, and go on with it when they are promoted
SETTINGS = {"wal_level": "logical", "hot_standby_feedback": "on", "max_wal_senders": "8", "wal_keep_size": "256MB"}


class Pair:
    """A server and its copy, which has all commits of the server when it is made."""

    def __init__(self, servers: PostgresServers, release: int) -> None:
        self.release = release
        self.old = servers.new(release, **SETTINGS)
        self.copy = servers.new(release, **SETTINGS)

    @property
    def log(self) -> PostgresServer | None:
        """The server whose log is decoded: the copy, which outlives the other; None if its release cannot decode."""
        return self.copy if self.release >= DECODES_ON_COPIES else None

    def start(self) -> None:
        """Start both, and begin to decode the log of the copy."""
        self.old.start()
        shutil.rmtree(self.copy.data)
        self.copy.run(
            *("pg_basebackup", "-D", str(self.copy.data), "-h", "127.0.0.1", "-p", str(self.old.port)),
            *("-U", "postgres", "-R", "-C", "-S", "copy", "-c", "fast", "--no-sync"),
        )
        self.copy.start()
        if self.log is not None:
            # A slot on a copy waits for a record in the log that its server writes at intervals.
            with self.old.every(0.2, "SELECT pg_log_standby_snapshot()"):
                begin_decoding(self.copy)

    def follow_synchronously(self) -> None:
        """Acknowledge no commit from now on that the copy does not have."""
        self.old.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.old.sql("SELECT pg_reload_conf()")
        end_s = time.monotonic() + WAIT_S
        while self.old.sql("SELECT sync_state FROM pg_stat_replication") != "sync":
            assert time.monotonic() < end_s, "the copy does not follow"
            time.sleep(0.05)

    def fall_behind(self) -> None:
        """Disconnect the copy from its server."""
        self.copy.sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.copy.sql("SELECT pg_reload_conf()")
        end_s = time.monotonic() + WAIT_S
        while self.copy.sql("SELECT count(*) FROM pg_stat_wal_receiver") != "0":
            assert time.monotonic() < end_s, "the copy still follows"
            time.sleep(0.05)

    def fail_over(self) -> None:
        """End the server as a lost machine would, and have the copy take over."""
        self.old.crash()
        self.copy.sql("SELECT pg_promote()")

    def url(self, schema: str) -> str:
        """The address of the store: it names both servers, and the store is at the one that leads."""
        both = f"127.0.0.1:{self.old.port},127.0.0.1:{self.copy.port}"
        return f"postgresql://postgres@{both}/postgres?schema={schema}"

    def close(self) -> None:
        self.old.close()
        self.copy.close()


@contextmanager
def paired(servers: PostgresServers, release: int) -> Iterator[Pair]:
    """Start a server and a copy of it, and end both."""
    pair = Pair(servers, release)
    try:
        pair.start()
        yield pair
    finally:
        pair.close()
