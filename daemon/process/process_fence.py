"""A fence around the functions with which code of the app could stop, replace or disable the daemon's process.

The rule: a call whose damage could not be traced to its step is refused. The code gets a PermissionError like any other
error: its activity or workflow fails. A call that ends the process at once is allowed, because the next process finds
the step that did it (`actors/hosting/quarantine.py`), and because users simulate crashes that way. So `os._exit` and
signals such as SIGKILL, SIGABRT and SIGSEGV pass. Refused are:

* Signals for an orderly stop, to the process itself, to its group or to the thread of the event loop: no operator sent
  them. The daemon would stop in order and suspect no instance, and the same code would stop the next daemon.
* Signals that suspend the process, such as SIGSTOP: the process would neither end nor answer.
* Any signal to the supervisor of a host.
* `os.exec*`, which replaces the daemon by another program: if that runs on, the end of the daemon stays hidden.
* `os.close`, `os.dup2` and `os.closerange` of descriptors of the daemon. The next file that is opened would get the
  number of the descriptor, and the data that the daemon writes to its store or to a client.
* `threading.settrace` and `threading.setprofile`: a function that raises would end each new thread.
* `sys.addaudithook`: a hook cannot be removed, and a hook that raises breaks every audited call in the process.
* `sys.set_asyncgen_hooks` in the thread of the event loop, which has set these hooks: each request calls them.
* Limits of the process (setrlimit(2)) below their present values: the daemon could lack files, memory or threads.

`sys.settrace` and `sys.setprofile` pass, and are noted: if code of the app leaves a function behind, the daemon removes
it from the thread of the event loop (`daemon/process/interpreter_guard.py`).

In a forked child the fence does nothing. Code that calls the C library itself gets past the fence. `daemon/serve.py`
puts the fence up, and `daemon/daemon.py` says which descriptors are the daemon's.
"""

import _thread
import errno
import os
import resource
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from types import FrameType
from typing import Any, NamedTuple

from ...actors.waiting.ownership import CodeOwner, owner
from .early_signals import STOP_SIGNALS
from .hangup import is_ours
from .inheritance import open_descriptors
from .interpreter_guard import limits_of_the_process
from .signal_fence import name_of

PACKAGE = __name__.partition(".")[0] + "."
LIBRARIES = ("filelock.",)  # they work for the daemon, and only with descriptors that they have opened
EVENT_LOOP = f"{PACKAGE}daemon.event_loop"
ASYNCIO = "asyncio.base_events"  # sets the hooks of asynchronous generators when its loop begins and ends

# Signals that suspend the process unless a program has set their action. SIGSTOP always does.
STANDS_STILL = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
STANDARD_STREAMS_LAST = 2


class FileIdentity(NamedTuple):
    """The identity of an open file, to compare descriptors."""

    device: int
    inode: int
    kind: int


class ProcessFence:
    """Judges calls of user code that could break the daemon's process.

    Args:
        supervisor: The process of the supervisor, if this one is a host of several.

    Attributes:
        tracers: The last functions that code of the app has set in the thread of the event loop, with `sys.settrace`
            and `sys.setprofile`.
    """

    def __init__(self, supervisor: int | None = None) -> None:
        self.tracers: dict[str, object] = {}
        self._process = os.getpid()
        self._supervisor = supervisor
        self._begun = False
        self._before = frozenset(identities())
        self._of_the_app: frozenset[int] = frozenset()
        self._descriptors: dict[int, FileIdentity] = {}
        self._is_ours: Callable[[int], bool] = lambda descriptor: False

    def imported(self) -> None:
        """Note that the app has been imported: the files that were opened during the import are the app's."""
        self._of_the_app = frozenset(identities()) - self._before

    def begin(self, is_ours: Callable[[int], bool]) -> None:
        """Note that the event loop runs, and no code of the app does yet: all other open files are the daemon's.

        Args:
            is_ours: Whether a descriptor that is opened from now on is the daemon's (`Inheritance.is_ours`).
        """
        self._begun, self._is_ours = True, is_ours
        others = {*range(STANDARD_STREAMS_LAST + 1), *self._of_the_app}
        self._descriptors = {each: identity for each, identity in identities().items() if each not in others}

    # Each method judges a call: it returns the sentence that refuses the call, or None if the call is allowed.

    def kill(self, process: int, number: int) -> str | None:
        """Judge `os.kill`, of this process, its group or its supervisor."""
        own = process in (self._process, 0, -1) or process == -os.getpgrp()
        return self._signal(number) if own else self._signal_to_supervisor(process)

    def killpg(self, group: int, number: int) -> str | None:
        """Judge `os.killpg`, of the group of this process."""
        return self._signal(number) if group in (0, os.getpgrp()) else None

    def raise_signal(self, number: int) -> str | None:
        """Judge `signal.raise_signal`."""
        return self._signal(number)

    def pthread_kill(self, thread: int, number: int) -> str | None:
        """Judge `signal.pthread_kill`, which reaches the process through any thread."""
        return self._signal(number)

    def settrace(self, function: object) -> None:
        """Note `sys.settrace`, which passes."""
        self._note("settrace", function)

    def setprofile(self, function: object) -> None:
        """Note `sys.setprofile`, which passes."""
        self._note("setprofile", function)

    def set_asyncgen_hooks(self, *_: object, **__: object) -> str | None:
        """Judge `sys.set_asyncgen_hooks`, which is refused in the thread of the event loop."""
        own = threading.current_thread() is threading.main_thread()
        return "sets functions that the daemon's event loop would call" if own else None

    def addaudithook(self, function: object) -> str:
        """Judge `sys.addaudithook`, which is refused."""
        return "sets a function that would be called for all that the daemon does"

    def trace_threads(self, function: object) -> str | None:
        """Judge `threading.settrace` and `setprofile`, which are refused unless they take a function away."""
        return "sets a function that threads of the daemon would call too" if function is not None else None

    def setrlimit(self, limit: int, values: tuple[int, int]) -> str | None:
        """Judge `resource.setrlimit`: a limit that the daemon needs may not become worse."""
        names = [
            each.name for each in limits_of_the_process() if each.number == limit and each.worse(values, each.read())
        ]
        return f"lowers {names[0]}, which holds for the daemon too" if names else None

    def prlimit(self, process: int, limit: int, values: tuple[int, int] | None = None, /) -> str | None:
        """Judge `resource.prlimit` of this process, as `setrlimit`."""
        own = values is not None and process in (0, self._process)
        return self.setrlimit(limit, values) if own and values is not None else None

    def interrupt_main(self, number: int = signal.SIGINT) -> str | None:
        """Judge `_thread.interrupt_main`, with a signal that would stop the daemon."""
        return self._signal(number) if number in STOP_SIGNALS else None

    def execute(self, path: object, *_: object) -> str | None:
        """Judge the `os.exec` functions: all are refused."""
        return "puts another program into the place of the daemon: use subprocess, or fork first"

    def close(self, descriptor: int) -> str | None:
        """Judge `os.close`, of the daemon's descriptors and the standard streams."""
        if 0 <= descriptor <= STANDARD_STREAMS_LAST:
            return "closes a standard stream of the daemon's: put another file into its place with os.dup2"
        return self.dup2(-1, descriptor)

    def dup2(self, descriptor: int, target: int, *_: object, **__: object) -> str | None:
        """Judge `os.dup2`, which closes its target."""
        # All code may use standard streams, as long as they are open.
        return f"closes descriptor {target}, which is the daemon's" if self._has(target) else None

    def closerange(self, low: int, high: int) -> str | None:
        """Judge `os.closerange`, if a descriptor of the daemon's is in the range."""
        within = [each for each in list(open_descriptors()) if low <= each < high]
        ours = sum(each <= STANDARD_STREAMS_LAST or self._has(each) for each in within)
        return f"closes {ours} descriptors that are the daemon's" if ours else None

    def stands_for(self, caller: FrameType) -> bool:
        """Whether code of the app makes a call, in the daemon's process.

        Args:
            caller: The frame of the call. For a callback that is a C function it is a frame of the event loop.
        """
        if not self._begun or os.getpid() != self._process:
            return False
        module = str(caller.f_globals.get("__name__"))
        if module in (EVENT_LOOP, ASYNCIO):
            return owner() is not CodeOwner.PROCESS
        return not module.startswith((PACKAGE, *LIBRARIES))

    def _has(self, descriptor: int) -> bool:
        """Whether a descriptor is the daemon's. Its number may belong to another file by now."""
        known = self._descriptors.get(descriptor)
        return (known is not None and identity_of(descriptor) == known) or self._is_ours(descriptor)

    def _note(self, name: str, function: object) -> None:
        # A debugger that was attached meanwhile is no code of the app.
        if threading.current_thread() is threading.main_thread() and owner() is not CodeOwner.PROCESS:
            self.tracers[name] = function

    def _signal(self, number: int) -> str | None:
        if not _stops(number):
            return None
        return f"sends {name_of(number)} to the daemon's own process: code of the app does not stop the daemon"

    def _signal_to_supervisor(self, process: int) -> str | None:
        if process != self._supervisor:
            return None
        return "sends a signal to the daemon's supervisor: code of the app does not stop the daemon"


# Each fenced function, with the method that judges its calls.
FENCED: tuple[tuple[Any, str, Callable[..., str | None]], ...] = (
    (os, "kill", ProcessFence.kill),
    (os, "killpg", ProcessFence.killpg),
    (os, "execv", ProcessFence.execute),
    (os, "execve", ProcessFence.execute),
    (os, "close", ProcessFence.close),
    (os, "dup2", ProcessFence.dup2),
    (os, "closerange", ProcessFence.closerange),
    (resource, "setrlimit", ProcessFence.setrlimit),
    (resource, "prlimit", ProcessFence.prlimit),
    (signal, "raise_signal", ProcessFence.raise_signal),
    (signal, "pthread_kill", ProcessFence.pthread_kill),
    (_thread, "interrupt_main", ProcessFence.interrupt_main),
    (sys, "settrace", ProcessFence.settrace),
    (sys, "setprofile", ProcessFence.setprofile),
    (sys, "set_asyncgen_hooks", ProcessFence.set_asyncgen_hooks),
    (sys, "addaudithook", ProcessFence.addaudithook),
    (threading, "settrace", ProcessFence.trace_threads),
    (threading, "setprofile", ProcessFence.trace_threads),
    (threading, "settrace_all_threads", ProcessFence.trace_threads),
    (threading, "setprofile_all_threads", ProcessFence.trace_threads),
)


@contextmanager
def process_fenced(supervisor: int | None = None) -> Iterator[ProcessFence]:
    """Put the fence up until the block ends.

    Args:
        supervisor: As for `ProcessFence`.
    """
    fence = ProcessFence(supervisor)
    there = [each for each in FENCED if hasattr(*each[:2])]  # not every system has all of them
    originals = [(module, name, getattr(module, name)) for module, name, _ in there]
    for module, name, refusal in there:
        setattr(module, name, _fenced(module, name, partial(refusal, fence), fence))
    try:
        yield fence
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


def _fenced(module: Any, name: str, refusal: Callable[..., str | None], fence: ProcessFence) -> Callable[..., Any]:
    original: Callable[..., Any] = getattr(module, name)

    @wraps(original)
    def fenced(*args: Any, **options: Any) -> Any:
        if fence.stands_for(sys._getframe(1)) and (why := refusal(*args, **options)) is not None:
            raise PermissionError(errno.EPERM, f"{module.__name__}.{name}() {why}")
        return original(*args, **options)

    return fenced


def identities() -> dict[int, FileIdentity]:
    """Return the identity of the file of each descriptor of this process."""
    found = {each: identity_of(each) for each in list(open_descriptors())}
    return {each: identity for each, identity in found.items() if identity is not None}


def identity_of(descriptor: int) -> FileIdentity | None:
    """Return the identity of the file of a descriptor; None if the descriptor is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return FileIdentity(status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode))


def _stops(number: int) -> bool:
    """Whether a signal would stop this process in order, or suspend it."""
    if number in STOP_SIGNALS:
        return signal.getsignal(number) is not signal.SIG_IGN  # a host of several ignores them
    if number == signal.SIGHUP:
        return is_ours()
    return number == signal.SIGSTOP or (number in STANDS_STILL and signal.getsignal(number) is signal.SIG_DFL)
