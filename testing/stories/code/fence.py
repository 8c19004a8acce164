"""The fence around a world: an error for code that does something real, with its line and the remedy.

The rule: nothing real is done. An attempt raises an error where it is made, and ends the world too, because code may
handle the error.
"""

import _thread
import asyncio
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
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
NO_SIGNALS = "There are no signals in a simulation, and its process is that of the tests: `world.kill` ends a host."
NO_END = (
    "Nothing can happen to it meanwhile, as the event loop of its host stands still: await it, or give the wait a "
    "timeout."
)
WORLDS_LOOP = (
    "The event loop is the world's, and has no part of the machine: leave it as it is, or give the code that needs it "
    "a fake with `world.outside`."
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
            Switch(where, name, self._fenced(getattr(where, name), told, instead))
            for where, names, told, instead in _fenced_names()
            for name in names.split()
            if hasattr(where, name)
        ]
        found.append(Switch(threading.Thread, "start", self._thread_start(threading.Thread.start)))
        return found

    def endless(self) -> None:
        """Refuse a wait in the event loop that nothing can end.

        Raises:
            Escaped
        """
        self._escape("waited in the event loop for another thread, without an end", NO_END)

    def _thread_start(self, real: Any) -> Any:
        def start(thread: Any) -> Any:
            # The world's own threads are real ones too, of which one runs at a time.
            if self._senses.here is None:
                return real(thread)
            if sys._getframe(1).f_code.co_filename.startswith(PACKAGE):
                with self._senses.outside():
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
        for name in _lacking(type(loop)):
            setattr(made, name, self._lacking(name))
        made.getaddrinfo = network
        made.create_connection = create_connection
        made.create_unix_connection = made.sock_connect = create_connection
        made.create_datagram_endpoint = create_connection
        made.create_server = made.create_unix_server = listen
        made.subprocess_exec = made.subprocess_shell = process

    def _lacking(self, name: str) -> Callable[..., Any]:
        def lacking(*given: Any, **named: Any) -> Any:
            self._escape(f"called {name} of the event loop", WORLDS_LOOP)

        return lacking

    def _fenced(self, real: Any, told: Callable[..., str | None], instead: str) -> Any:
        def fenced(*given: Any, **named: Any) -> Any:
            deed = told(*given, **named) if self._senses.here is not None else None
            return real(*given, **named) if deed is None else self._escape(deed, instead)

        return fenced

    def _escape(self, what: str, instead: str) -> Any:
        frame = sys._getframe(2)
        escaped = Escaped(who_asks(frame), what, self._own.line(frame), instead)
        self.escaped = self.escaped or escaped
        world: Any = self._senses.world
        if world is not None:
            world.touched()
        raise escaped


def _fenced_names() -> "list[tuple[Any, str, Callable[..., str | None], str]]":
    """The fenced names: where they stand, the names, the words for a call (None: it is harmless), and the remedy."""
    fcntl = _module("fcntl")
    return [
        (socket.socket, "connect connect_ex sendto", _connecting, NO_NETWORK),
        (socket.socket, "sendmsg", _sending, NO_NETWORK),
        (socket.socket, "bind", _binding, NO_NETWORK),
        (socket.socket, "listen", _told("listened for connections"), NO_NETWORK),
        (socket, "getaddrinfo gethostbyname gethostbyname_ex gethostbyaddr", _looking_up, NO_NETWORK),
        (socket, "getnameinfo", _looking_up_pair, NO_NETWORK),
        (subprocess.Popen, "__init__", _starting, NO_PROCESSES),
        *((os, name, _running(name), NO_PROCESSES) for name in PROCESSES),
        # Of multiprocessing; `subprocess` has it by a name of its own.
        (_module("_posixsubprocess"), "fork_exec", _told("started a process"), NO_PROCESSES),
        *((os, name, _told(f"called os.{name}"), NO_SIGNALS) for name in ("kill", "killpg", "_exit", "abort")),
        *((signal, name, _told(f"called signal.{name}"), NO_SIGNALS) for name in SIGNALS),
        (signal, "signal", _handling, NO_SIGNALS),
        # `_thread.start_joinable_thread` since Python 3.13.
        (_thread, "start_new_thread start_joinable_thread", _told("started a thread"), NO_THREADS),
        (ThreadPoolExecutor, "submit", _told("gave work to a pool of threads"), NO_THREADS),
        (_pool_of_processes(), "submit", _told("gave work to a pool of processes"), NO_PROCESSES),
        (fcntl, "flock lockf", _told("locked a file"), NO_LOCKS),
        (fcntl, "fcntl", _controlling, NO_LOCKS),
        (os, "lockf", _told("locked a file"), NO_LOCKS),
    ]


PROCESSES = ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "execv", "execve")
SIGNALS = (
    *("alarm", "setitimer", "siginterrupt", "set_wakeup_fd"),
    *("raise_signal", "pthread_kill", "pause", "sigwait", "sigwaitinfo", "sigtimedwait"),
)


def _lacking(kind: type[SimLoop]) -> list[str]:
    """The methods of an event loop that a loop of a world does not have."""
    abstract = asyncio.AbstractEventLoop
    return [
        name for name in vars(abstract) if not name.startswith("_") and getattr(kind, name) is getattr(abstract, name)
    ]


def _told(what: str) -> Callable[..., str]:
    return lambda *given, **named: what


def _handling(number: int, *rest: Any) -> str | None:
    # A debugger takes Ctrl-C while the code that it has stopped goes on.
    return "called signal.signal" if number != signal.SIGINT else None


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


def _sending(sock: Any, buffers: Any = None, extra: Any = None, flags: Any = 0, address: Any = None) -> str | None:
    return f"sent to {_place(address)}" if address is not None else None


def _looking_up_pair(address: Any = None, flags: Any = 0) -> str:
    return f"opened a connection to {_place(address)}"


def _controlling(file: Any, command: int, *rest: Any) -> str | None:
    fcntl = _module("fcntl")
    locks = {getattr(fcntl, name, None) for name in ("F_SETLK", "F_SETLKW", "F_OFD_SETLK", "F_OFD_SETLKW")}
    return "locked a file" if command in locks else None


def _place(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        host = host.decode() if isinstance(host, bytes) else host
        return f"{host}:{port}" if port is not None else str(host)
    return str(address)


def _module(name: str) -> Any:
    """A module of the standard library that not every system has."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _pool_of_processes() -> type[Executor] | None:
    """The pool of processes, if the program has one: its module takes long to import."""
    return getattr(sys.modules.get("concurrent.futures.process"), "ProcessPoolExecutor", None)
