"""A reader who runs the commands of a page: a folder, a terminal for daemons, and one for all other commands.

The rule: the commands of the page are run, with other ports. Daemons are processes of their own; the other commands of
Perdure
run in this one, because a process for each would take half a second; all other commands are given to bash.
`tests/docs/` has the
readers.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from click.testing import CliRunner

from perdure.cli.main import main

from ..processes.template import Copy, begin
from .blocks import Command

PATIENCE_S = 30.0
DAEMONS = ("run", "daprd")
ADDRESS = re.compile(r"\b(?:127\.0\.0\.1|localhost):(\d+)")
READY = re.compile(r"http=http://127\.0\.0\.1:(\d+)")
PORTS = re.compile(r"--(?:(?:dapr-)?(?:http|grpc)-port)[ =]\d+")
METRICS = re.compile(r"--metrics-port[ =](\d+)")


class Said(NamedTuple):
    """The output of a command, and its end."""

    text: str
    code: int


class Reader:
    """Does the commands of a page.

    Args:
        folder: Where the reader works. It is the home too, so that `~` is a folder of the test.
        sdk: A Python with Dapr's SDK, for `python app.py`.
    """

    def __init__(self, folder: Path, sdk: Path | None = None) -> None:
        self.folder = folder
        self._sdk = sdk
        self._environment = {**os.environ, "HOME": str(folder)}
        self._environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self._exported: dict[str, str] = {}
        self._ports: dict[str, str] = {}  # the ports of the page -> the real ones
        self._daemons: list[Copy | subprocess.Popen[bytes]] = []
        self._apps: list[subprocess.Popen[bytes]] = []
        (folder / ".curlrc").write_text("silent\nfail-with-body\nmax-time = 20\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        for app in self._apps:
            app.kill()
            app.wait(PATIENCE_S)

    def do(self, command: Command) -> Said:
        """Do a command; a daemon is left running when it is ready."""
        words = shlex.split(command.text)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self._exported[name] = value
            if command.language == "sh":  # one terminal; in `console` the daemon has another one
                self._environment[name] = value
            return Said("", 0)
        if words == ["python", "app.py"]:
            return self._run_app()
        if words[0] == "uvicorn":
            return self._serve(words)
        if words[0] == "perdure" and words[1] in DAEMONS and "--install" not in words:
            return self._begin(command.text.removesuffix(" &"))
        if words[0] == "perdure":
            return self._in_process(command.text)
        return self.shell(command.text)

    def shell(self, script: str) -> Said:
        """Run lines of a shell, up to the first that fails."""
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._with_real_ports(script)],
            cwd=self.folder,
            env={**self._environment, **self._exported},
            check=False,
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE_S,
        )
        return Said(ran.stdout + (ran.stderr if ran.returncode else ""), ran.returncode)

    # Daemons.

    def _begin(self, command: str) -> Said:
        said = METRICS.search(command)
        command = PORTS.sub(lambda found: re.sub(r"\d+$", "0", found[0]), command)
        environment = dict(self._environment)
        if " daprd" in command:
            # The same ports again after a kill: a connected app connects to them again.
            for name, port in (("http", "3500"), ("grpc", "50001")):
                self._ports.setdefault(port, str(free_port()))
                command += f" --dapr-{name}-port={self._ports[port]}"
            command += "" if said else " --metrics-port=0"
        else:
            environment |= {"PERDURE_HTTP_PORT": "0"} | ({} if "--grpc-port" in command else {"PERDURE_GRPC_PORT": "0"})
        if said:
            self._ports[said[1]] = str(free_port())
            command = METRICS.sub(f"--metrics-port={self._ports[said[1]]}", command)
        log = self.folder / "daemon.log"
        with log.open("w") as errors:
            words = shlex.split(self._with_real_ports(command))
            daemon = begin(words[1:], folder=self.folder, env=environment, stderr=errors.fileno())
        self._daemons.append(daemon)
        assert daemon.stdout is not None
        line = daemon.stdout.readline().decode()
        if (at := READY.search(line)) is None:
            return Said(line + log.read_text(), daemon.wait(PATIENCE_S))
        self._ports["3500"] = at[1]
        return Said(line, 0)

    def _serve(self, words: Sequence[str]) -> Said:
        """Start a web server, at another port than on the page; a running one is killed first."""
        self.kill()
        said, real = words[words.index("--port") + 1], free_port()
        self._ports[said] = str(real)
        with (self.folder / "web.log").open("a") as errors:
            server = subprocess.Popen(
                [sys.executable, "-m", *[str(real) if word == said else word for word in words]],
                stdout=subprocess.PIPE, stderr=errors, cwd=self.folder, env=self._environment,
            )  # fmt: skip
        self._daemons.append(server)

        def listens() -> bool:
            assert server.poll() is None, (self.folder / "web.log").read_text()
            with socket.socket() as asking:
                return asking.connect_ex(("127.0.0.1", real)) == 0

        within(listens)
        return Said("", 0)

    def _run_app(self) -> Said:
        """Begin an app with Dapr's SDK, which finds the daemon by its variables."""
        assert self._sdk is not None
        ports = {"DAPR_HTTP_PORT": self._ports["3500"], "DAPR_GRPC_PORT": self._ports["50001"]}
        with (self.folder / "app.log").open("a") as log:
            app = subprocess.Popen(
                [str(self._sdk), "app.py"], stdout=log, stderr=log, cwd=self.folder, env={**self._environment, **ports}
            )
        self._apps.append(app)
        return Said("", 0)

    @property
    def url(self) -> str:
        """The address of the daemon that was begun last."""
        return f"http://127.0.0.1:{self._ports.get('3500', '1')}"

    def kill(self) -> None:
        """End all daemons as a power cut would."""
        for daemon in self._daemons:
            with suppress(ProcessLookupError):
                daemon.kill()
        self._wait()

    def stop(self) -> list[int]:
        """End all daemons as Ctrl-C does; return how they ended."""
        for daemon in self._daemons:
            daemon.send_signal(signal.SIGINT)
        return self._wait()

    def begin_anew(self) -> None:
        """End all daemons, and delete their stores."""
        self.kill()
        for path in self.folder.glob("*.db*"):
            path.unlink()

    def _wait(self) -> list[int]:
        codes = []
        while self._daemons:
            daemon = self._daemons.pop()
            codes.append(daemon.wait(PATIENCE_S))
            assert daemon.stdout is not None
            daemon.stdout.close()
        return codes

    # Other commands.

    def _with_real_ports(self, text: str) -> str:
        return ADDRESS.sub(lambda found: f"127.0.0.1:{self._ports.get(found[1], found[1])}", text)

    def _in_process(self, command: str) -> Said:
        """Run commands of Perdure, joined by pipes; the last may write into a file."""
        command, _, target = command.partition(" > ")
        given: str | None = None
        result = None
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            for part in self._with_real_ports(command).split(" | "):
                words = [word.replace("~", str(self.folder), 1) for word in shlex.split(part)[1:]]
                environment = {"PERDURE_SERVER": self.url, "COLUMNS": "100", **self._exported}
                result = CliRunner().invoke(main, words, input=given, env=environment)
                given = result.stdout
        finally:
            os.chdir(before)
        assert result is not None
        if target:
            path = Path(target.replace("~", str(self.folder), 1))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(result.stdout)
            return Said("", result.exit_code)
        return Said(result.output, result.exit_code)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def within(condition: Callable[[], bool]) -> None:
    """Wait for an action of the daemon."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def words_of(command: str) -> Sequence[str]:
    """The words of a command, without variables before it."""
    words = shlex.split(command)
    while words and re.fullmatch(r"\w+=\S*", words[0]):
        del words[0]
    return words
