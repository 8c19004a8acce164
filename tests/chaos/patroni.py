"""Two PostgreSQL servers under Patroni, which stores its leader in etcd; Debian has both (`patroni`, `etcd-server`).

If they are not in the path, `PATRONI` and `ETCD` give their paths; `PATRONI` may have arguments after the program.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from ..support.postgres import PostgresServer

PATRONI = shlex.split(os.environ.get("PATRONI", shutil.which("patroni") or ""))
ETCD = os.environ.get("ETCD", shutil.which("etcd") or "")
WAIT_S = 90.0
TTL_S = 20  # Patroni's minimum: a leader that has been silent for this time is replaced

CONFIG = """
scope: chaos
name: {name}
restapi: {{listen: "127.0.0.1:{api}", connect_address: "127.0.0.1:{api}"}}
etcd3: {{host: "127.0.0.1:{etcd}"}}
bootstrap:
  dcs:
    ttl: {ttl}
    loop_wait: 2
    retry_timeout: 5
    synchronous_mode: true
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: false
      parameters: {{wal_level: logical, max_connections: 60, fsync: "off", unix_socket_directories: "{folder}"}}
  initdb: [{{encoding: UTF8}}, no-sync]
  pg_hba: ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust", "local all all trust"]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: "{folder}/data"
  bin_dir: "{bin}"
  pgpass: "{folder}/pgpass"
  authentication: {{superuser: {{username: postgres}}, replication: {{username: postgres}}}}
"""


class Member:
    """One server and its Patroni."""

    def __init__(self, server: PostgresServer, name: str, etcd: int) -> None:
        self.name, self.port, self._server = name, server.port, server
        self.api = free_port()
        self.config = server.folder / "patroni.yml"
        values: Mapping[str, Any] = {
            "name": name, "api": self.api, "etcd": etcd, "ttl": TTL_S, "port": server.port,
            "folder": server.folder, "bin": server.bin,
        }  # fmt: skip
        self.config.write_text(CONFIG.format(**values))
        shutil.rmtree(server.data)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = self._server.popen([*PATRONI, str(self.config)], "patroni.log")

    def leads(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.api}/leader", timeout=5).status_code == 200
        return False

    def follows_synchronously(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.api}/synchronous", timeout=5).status_code == 200
        return False

    def lose_machine(self) -> None:
        """End the server and its Patroni as a power cut would."""
        self.close()

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        with suppress(OSError, ValueError):
            os.kill(int((self._server.data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)

    def told(self) -> str:
        with suppress(OSError):
            return (self._server.folder / "patroni.log").read_text()[-1500:]
        return ""


@contextmanager
def governed(servers: tuple[PostgresServer, PostgresServer], folder: Path) -> Iterator[tuple[Member, Member]]:
    """Run etcd and two members; the first leads, and the second follows synchronously."""
    client, peer = free_port(), free_port()
    urls = [f"http://127.0.0.1:{port}" for port in (client, peer)]
    command = [ETCD, "--data-dir", str(folder / "etcd"), "--listen-client-urls", urls[0], "--advertise-client-urls"]
    command += [urls[0], "--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1]]
    command += ["--initial-cluster", f"default={urls[1]}"]
    with open(folder / "etcd.log", "wb") as log:
        etcd = subprocess.Popen(command, stdout=log, stderr=log)
    members = Member(servers[0], "one", client), Member(servers[1], "two", client)
    try:
        members[0].start()
        wait_for(members[0].leads, members[0])
        members[1].start()
        wait_for(members[1].follows_synchronously, members[1])
        yield members
    finally:
        for member in members:
            member.close()
        etcd.kill()
        etcd.wait()


def wait_for(fact: Any, member: Member) -> None:
    end_s = time.monotonic() + WAIT_S
    while not fact():
        assert time.monotonic() < end_s, member.told()
        time.sleep(0.2)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    return port
