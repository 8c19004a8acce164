"""The fence around a world: an error for code that does something real, with its line and the remedy.

The rule: nothing real is done. An attempt raises an error where it is made, and ends the world too, because code may
handle the error.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from ...simulation.loop import SimLoop
from ..errors import Escaped
from .senses import Senses
from .switch import Switch
from .where import PACKAGE, OwnCode, who_asks

NO_NETWORK = "There is no network in a simulation: give it a fake with `world.outside`."
NO_PROCESSES = "There are no processes in a simulation: give it a fake with `world.outside`."
NO_THREADS = (
    "Threads side by side do not repeat: call `asyncio.to_thread` or `anyio.to_thread.run_sync`, or give it a fake "
    "with `world.outside`."
)
NO_LOCKS = (
    "A lock of a file outlives no kill of a simulation, and is held by one process for all hosts: give it a fake with "
    "`world.outside`."
)


class Fence:
    """The fence around the code of a world.

    Args:
        senses: Know which code is of a world.
        own: Knows which line is the user's.

    Attributes:
        escaped: The error of the first attempt.
    """

    def __init__(self, senses: Senses, own: OwnCode) -> None:
        self.escaped: Escaped | None = None
        self._senses = senses
        self._own = own

    def begin(self) -> None:
        """Watch a new world."""
        self.escaped = None

    def check(self) -> None:
        """End the world if there was an attempt.

        Raises:
            Escaped
        """
        if self.escaped is not None:
            raise self.escaped

    def switches(self) -> list[Switch]:
        """The names to replace, with their substitutes."""
        found = [
            Switch(socket.socket, name, self._fenced(_own(socket.socket, name), _connecting, NO_NETWORK))
            for name in ("connect", "connect_ex", "sendto")
        ]
        found.append(Switch(socket.socket, "bind", self._fenced(socket.socket.bind, _binding, NO_NETWORK)))
        found += [
            Switch(socket, name, self._fenced(getattr(socket, name), _looking_up, NO_NETWORK))
            for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex")
        ]
        found.append(
            Switch(subprocess.Popen, "__init__", self._fenced(subprocess.Popen.__init__, _starting, NO_PROCESSES))
        )
        found += [
            Switch(os, name, self._fenced(getattr(os, name), _running(name), NO_PROCESSES))
            for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system")
            if hasattr(os, name)
        ]
        found.append(Switch(threading.Thread, "start", self._thread_start(threading.Thread.start)))
        if (fcntl := _fcntl()) is not None:
            found += [
                Switch(fcntl, name, self._fenced(getattr(fcntl, name), _locking, NO_LOCKS))
                for name in ("flock", "lockf")
            ]
        return found

    def _thread_start(self, real: Any) -> Any:
        def start(thread: Any) -> Any:
            # The world's own threads are real ones too, of which one runs at a time.
            if self._senses.here is None or sys._getframe(1).f_code.co_filename.startswith(PACKAGE):
                return real(thread)
            return self._escape(f"started the thread {thread.name!r}", NO_THREADS)

        return start

    def on_loop(self, loop: SimLoop) -> None:
        """Put the fence around what a loop gives."""

        def network(host: Any = None, port: Any = None, *rest: Any, **named: Any) -> Any:
            self._escape(f"opened a connection to {_place((host, port))}", NO_NETWORK)

        def create_connection(protocol: Any, host: Any = None, port: Any = None, *rest: Any, **named: Any) -> Any:
            self._escape(f"opened a connection to {_place((host, port))}", NO_NETWORK)

        def listen(*given: Any, **named: Any) -> Any:
            self._escape("listened for connections", NO_NETWORK)

        def process(*given: Any, **named: Any) -> Any:
            self._escape("started a process", NO_PROCESSES)

        made: Any = loop
        made.getaddrinfo = network
        made.create_connection = create_connection
        made.create_unix_connection = made.sock_connect = create_connection
        made.create_datagram_endpoint = create_connection
        made.create_server = made.create_unix_server = listen
        made.subprocess_exec = made.subprocess_shell = process

    def _fenced(self, real: Any, told: Callable[..., str], instead: str) -> Any:
        def fenced(*given: Any, **named: Any) -> Any:
            if self._senses.here is None:
                return real(*given, **named)
            return self._escape(told(*given, **named), instead)

        return fenced

    def _escape(self, what: str, instead: str) -> Any:
        frame = sys._getframe(2)
        escaped = Escaped(who_asks(frame), what, self._own.line(frame), instead)
        self.escaped = self.escaped or escaped
        world: Any = self._senses.world
        if world is not None:
            world.touched()
        raise escaped


def _own(kind: Any, name: str) -> Any:
    return getattr(kind, name)


def _connecting(sock: Any, address: Any = None, *rest: Any, **named: Any) -> str:
    return f"opened a connection to {_place(rest[-1] if rest and isinstance(address, bytes) else address)}"


def _binding(sock: Any, address: Any = None, *rest: Any) -> str:
    return f"bound a socket to {_place(address)}"


def _looking_up(host: Any = None, port: Any = None, *rest: Any, **named: Any) -> str:
    return f"opened a connection to {_place((host, port))}"


def _starting(process: Any, args: Any = "", *rest: Any, **named: Any) -> str:
    return f"started the process {args if isinstance(args, str) else ' '.join(map(str, args))!r}"


def _running(name: str) -> Callable[..., str]:
    def told(command: Any = "", *rest: Any, **named: Any) -> str:
        return f"started a process with os.{name}{f' {command!r}' if command else ''}"

    return told


def _locking(*given: Any, **named: Any) -> str:
    return "locked a file"


def _place(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        host = host.decode() if isinstance(host, bytes) else host
        return f"{host}:{port}" if port is not None else str(host)
    return str(address)


def _fcntl() -> Any:
    try:
        import fcntl  # noqa: PLC0415  not on Windows
    except ImportError:
        return None
    return fcntl
