"""A process that has imported a daemon's modules, and daemons that are copies of it.

The rule: the process does nothing but import and fork. A copy begins where a fresh daemon reads its command line; it
takes a sixth of the processor's time of a fresh one, because the imports take the rest.

`tests/support/processes/daemon.py` asks for copies. It starts fresh daemons where variables work earlier than a copy
gets them, where another command runs the daemon, and where a test asks for one because the start is its claim.
"""

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from ..paths import ROOT

ORDER_BYTES_MAX = 2**17  # the arguments and the variables of one daemon
NUMBER_BYTES = 4
SLICE_S = 0.1  # after which another thread may look The imports of a start on files, and of one on a database.
IMPORTED = (
    "perdure.__main__",
    "perdure.cli.main",
    "perdure.cli.run",
    "perdure.actors.store.sqlite.in_use",
    "perdure.daemon.daemon",
    "perdure.daemon.process.log_fence",
    "perdure.daemon.process.process_fence",
    "perdure.daemon.process.signal_fence",
    "perdure.actors.on_database",
    "perdure.actors.store.postgres.cluster_store",
    "anyio._backends._asyncio",
    "anyio._core._fileio",
    "uvicorn.lifespan.off",
    "uvloop",
)
# Variables that work before a copy has them.
EARLY = ("PYTHON", "LD_", "LC_", "LANG", "COVERAGE_", "MALLOC_")


class Copy:
    """A daemon that is a copy of the template, with what tests use of `subprocess.Popen`.

    Args:
        stdout: The end of the pipe from which its standard output is read.
        told: The end of the pipe that tells its number, and its exit code when it has ended. It is closed then.
    """

    def __init__(self, stdout: BinaryIO, told: int) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._told = told
        self._reading = threading.Lock()
        self.pid = _number(os.read(told, NUMBER_BYTES))

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code.

        Args:
            timeout: In seconds; None for ever.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        if (code := self._ended(timeout)) is None:
            raise subprocess.TimeoutExpired(["perdure"], timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Tell it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, within_s: float | None) -> int | None:
        until_s = None if within_s is None else time.monotonic() + within_s
        while self.returncode is None:
            left_s = SLICE_S if until_s is None else min(SLICE_S, max(0.0, until_s - time.monotonic()))
            self._look(left_s)
            if until_s is not None and time.monotonic() >= until_s:
                break
        return self.returncode

    def _look(self, for_s: float) -> None:
        with self._reading:  # by one thread, which closes the pipe when it has the code
            if self.returncode is None and select.select([self._told], [], [], for_s)[0]:
                self.returncode = _number(os.read(self._told, NUMBER_BYTES))
                os.close(self._told)


class Template:
    """The process whose copies become daemons. It ends with the process that started it."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def copy(self, arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], stderr: int) -> Copy:
        """Start `perdure` with arguments.

        Args:
            folder: Its working folder.
            env: All of its variables.
            stderr: A descriptor.
        """
        order = json.dumps({"arguments": list(arguments), "folder": str(folder), "env": dict(env)}).encode()
        read_out, out = os.pipe()
        read_told, told = os.pipe()
        try:
            socket.send_fds(self._orders, [order], [out, stderr, told])
        finally:
            os.close(out)
            os.close(told)
        return Copy(os.fdopen(read_out, "rb"), read_told)

    def close(self) -> None:
        """End it. Running daemons continue."""
        self._orders.close()
        self._process.wait()


@cache
def template() -> Template:
    """The template of this process."""
    return Template()


def close_template() -> None:
    """End the template of this process, if there is one; the CPU time of its copies is added to this process."""
    if template.cache_info().currsize:
        template().close()
        template.cache_clear()


def begin(
    arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], stderr: int, fresh: bool = False
) -> Copy | subprocess.Popen[bytes]:
    """Start `perdure` with arguments, its standard output a pipe: as a copy, if its variables allow it.

    Args:
        folder: Its working folder.
        env: All of its variables.
        stderr: A descriptor.
        fresh: Whether Python itself has to start.
    """
    if not fresh and is_like_this_one(env):
        return template().copy(arguments, folder=folder, env=env, stderr=stderr)
    command = [sys.executable, "-m", "perdure", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=folder, env=env)


def is_like_this_one(env: Mapping[str, str]) -> bool:
    """Whether a copy can have these variables: none of them works before a copy gets it."""
    return sys.platform == "linux" and _early(env) == _early(os.environ) and "COVERAGE_PROCESS_CONFIG" not in env


def _early(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(EARLY)}


def _number(told: bytes) -> int:
    assert len(told) == NUMBER_BYTES, "the process that waits for a daemon has ended"
    return int.from_bytes(told, "big", signed=True)


# In the template itself.


def become_a_daemon(orders: socket.socket) -> bool:
    """Fork at each order; return True in the copy, the daemon's process, and False when no more orders come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, which end this
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, ORDER_BYTES_MAX, 3)
        if not order:
            return False
        if os.fork() == 0:
            orders.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _fork_and_wait(*descriptors)
            _settle(**json.loads(order))
            return True
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(number: int, frame: FrameType | None) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _fork_and_wait(out: int, err: int, told: int) -> None:
    """Fork once more; return in the new process. This one waits for it, and tells its number and its exit code."""
    if (pid := os.fork()) == 0:
        for descriptor, place in ((out, 1), (err, 2)):
            os.dup2(descriptor, place)
            os.close(descriptor)
        os.close(told)
        return
    for descriptor in (out, err):  # whose readers are to see the end of the daemon
        os.close(descriptor)
    with suppress(BrokenPipeError):
        os.write(told, pid.to_bytes(NUMBER_BYTES, "big"))
        _, status = os.waitpid(pid, 0)
        os.write(told, os.waitstatus_to_exitcode(status).to_bytes(NUMBER_BYTES, "big", signed=True))
    os._exit(0)


def _settle(arguments: list[str], folder: str, env: dict[str, str]) -> None:
    """Put this process into the state of `python -m perdure` at its start."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    main = sys.modules["__main__"] = sys.modules["perdure.__main__"]
    sys.argv[:] = [str(main.__file__), *arguments]
    sys.path[0] = folder
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _import_all() -> None:
    from perdure.daemon.process.garbage_collector import frozen_imports  # noqa: PLC0415  tests import this module too

    with frozen_imports():
        for name in IMPORTED:
            importlib.import_module(name)


if __name__ == "__main__":
    _import_all()
    with socket.socket(fileno=int(sys.argv[1])) as wanted:
        is_daemon = become_a_daemon(wanted)
    if is_daemon:
        sys.modules["perdure.__main__"].main()
