"""Code of the app cannot stop, replace or cut off the daemon's process; the daemon and forked children still can."""

import _thread
import ctypes
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from perdure.actors.store.errors import StoreLocked
from perdure.actors.store.sqlite.identity import Hold
from perdure.actors.waiting.ownership import CodeOwner, call_as
from perdure.daemon.process.hangup import HangupHandler
from perdure.daemon.process.inheritance import path_of
from perdure.daemon.process.process_fence import FENCED, ProcessFence, process_fenced

NOT_OURS = 2**22 + 1  # no process has this number


@pytest.fixture
def fence() -> Iterator[ProcessFence]:
    with process_fenced(supervisor=NOT_OURS) as fence:
        fence.begin(lambda descriptor: False)
        yield fence


@pytest.fixture
def listening(fence: ProcessFence) -> Iterator[int]:
    """A descriptor that belongs to the daemon."""
    reading, writing = os.pipe()
    fence.begin(lambda descriptor: descriptor == writing)
    yield reading
    fence.begin(lambda descriptor: False)
    fence._descriptors.clear()
    os.close(reading)
    os.close(writing)


def nothing(*_: object) -> None:
    pass


LOWER = (16, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

REFUSED: dict[str, Callable[[], object]] = {
    "SIGTERM to itself": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGINT to itself": lambda: os.kill(os.getpid(), signal.SIGINT),
    "SIGSTOP to itself": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "SIGTSTP to itself": lambda: os.kill(os.getpid(), signal.SIGTSTP),
    "SIGTTOU to itself": lambda: signal.raise_signal(signal.SIGTTOU),
    "killpg of its own": lambda: os.killpg(0, signal.SIGSTOP),
    "SIGTERM to its group": lambda: os.kill(0, signal.SIGTERM),
    "SIGTERM to its group, by number": lambda: os.kill(-os.getpgrp(), signal.SIGTERM),
    "SIGTERM to all": lambda: os.kill(-1, signal.SIGTERM),
    "killpg": lambda: os.killpg(os.getpgrp(), signal.SIGTERM),
    "the supervisor": lambda: os.kill(NOT_OURS, signal.SIGTERM),
    "SIGKILL to the supervisor": lambda: os.kill(NOT_OURS, signal.SIGKILL),
    "raise_signal": lambda: signal.raise_signal(signal.SIGINT),
    "pthread_kill": lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM),
    "interrupt_main": lambda: _thread.interrupt_main(signal.SIGINT),
    "execv": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606  it is refused
    "execve": lambda: os.execve("/bin/true", ["true"], {}),  # noqa: S606  it is refused
    "execlp": lambda: os.execlp("true", "true"),  # noqa: S606  it is refused
    "execvpe": lambda: os.execvpe("true", ["true"], {}),  # noqa: S606  it is refused
    "setrlimit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, LOWER),
    "closerange": lambda: os.closerange(3, 4096),
    "set_asyncgen_hooks": lambda: sys.set_asyncgen_hooks(firstiter=nothing),
    "a hook of the audit": lambda: sys.addaudithook(nothing),
    "standard error": lambda: os.close(2),
    "closerange of standard streams": lambda: os.closerange(0, 3),
    "threading.settrace": lambda: threading.settrace(nothing),
    "threading.setprofile": lambda: threading.setprofile(nothing),
}
if sys.platform.startswith("linux"):
    REFUSED["prlimit"] = lambda: resource.prlimit(0, resource.RLIMIT_NOFILE, LOWER)


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_what_would_end_the_daemon_is_refused_with_a_sentence(listening: int, call: Callable[[], object]) -> None:
    with pytest.raises(PermissionError, match=r"^\[Errno 1\] \w+\.\w+\(\) (sends|puts|lowers|closes|sets) "):
        call()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) != LOWER
    os.fstat(listening)


def send_with(handler: Any) -> None:
    """Set a handler for a signal, and send the signal."""
    signal.signal(signal.SIGUSR1, handler)
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)


def in_a_thread(function: Callable[..., object]) -> None:
    failed: list[BaseException] = []

    def call() -> None:
        try:
            function(None, None)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert failed == []


PASSES: dict[str, Callable[[], object]] = {
    "a look": lambda: os.kill(os.getpid(), 0),
    "a signal that does nothing": lambda: os.kill(os.getpid(), signal.SIGURG),
    "a signal with a handler": lambda: send_with(nothing),
    "a signal that is ignored": lambda: send_with(signal.SIG_IGN),
    "a higher limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)),
    "another limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])),
    "a file of its own": lambda: os.close(os.open(os.devnull, os.O_RDONLY)),
    "a copy of its own": lambda: os.close(os.dup2(1, 200)),
    "no function for threads": lambda: threading.settrace(None),
    "hooks of a thread of its own": lambda: in_a_thread(sys.set_asyncgen_hooks),
    "another standard error": lambda: os.dup2(2, 2),
    "a range without any": lambda: os.closerange(4000, 4096),
}


@pytest.mark.parametrize("call", PASSES.values(), ids=PASSES)
def test_what_ends_nothing_passes(listening: int, call: Callable[[], object]) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    try:
        call()
    finally:
        signal.signal(signal.SIGUSR1, before)


ENDS_AT_ONCE = (
    "SIGKILL",
    "SIGABRT",
    "SIGSEGV",
    "SIGBUS",
    "SIGILL",
    "SIGFPE",
    "SIGQUIT",
    "SIGHUP",
    "SIGUSR1",
    "SIGRTMAX",
)


@pytest.mark.parametrize("name", ENDS_AT_ONCE)
def test_a_signal_that_ends_the_process_at_once_passes(fence: ProcessFence, name: str) -> None:
    # The next process finds the culprit, as it does after an os._exit.
    number = getattr(signal, name)
    assert fence.kill(os.getpid(), number) is fence.killpg(0, number) is fence.raise_signal(number) is None


def test_a_hangup_that_would_stop_the_daemon_is_refused(fence: ProcessFence) -> None:
    before = signal.signal(signal.SIGHUP, HangupHandler())
    try:
        assert "sends SIGHUP" in (fence.kill(os.getpid(), signal.SIGHUP) or "")
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_function_that_is_called_for_all_others_is_noted_if_it_is_the_apps(fence: ProcessFence) -> None:
    before = sys.getprofile()
    sys.setprofile(nothing)
    sys.setprofile(before)
    assert fence.tracers == {"setprofile": before}
    call_as(CodeOwner.PROCESS, sys.setprofile, nothing)
    sys.setprofile(None)
    assert fence.tracers == {"setprofile": None}


def test_another_process_is_told_what_code_of_the_app_says(fence: ProcessFence) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(NOT_OURS - 1, signal.SIGTERM)


CLOSES: dict[str, Callable[[int], object]] = {
    "close": lambda descriptor: os.close(descriptor),  # noqa: PLW0108  the one of this moment
    "dup2": lambda descriptor: os.dup2(1, descriptor),
}


@pytest.mark.parametrize("closes", CLOSES.values(), ids=CLOSES)
def test_a_descriptor_is_the_daemons_as_long_as_it_is_of_the_same_file(
    fence: ProcessFence, closes: Callable[[int], object]
) -> None:
    # Given a file that the app has opened while it was imported, and one that the daemon has opened since,
    of_the_app = os.open(os.devnull, os.O_RDONLY)
    fence.imported()
    ours = os.open(__file__, os.O_RDONLY)
    fence.begin(lambda descriptor: False)
    # when code of the app closes them, then the second is refused,
    closes(of_the_app)
    with pytest.raises(PermissionError, match=f"closes descriptor {ours}, which is the daemon's"):
        closes(ours)
    # until the daemon has closed it, and its number is another file's.
    ctypes.CDLL(None).close(ours)
    os.dup2(1, ours)
    closes(ours)
    fence.begin(lambda descriptor: False)
    for descriptor in (of_the_app, ours):
        ctypes.CDLL(None).close(descriptor)


def test_the_lock_of_a_store_that_another_has_is_no_codes_of_the_app(fence: ProcessFence, tmp_path: Path) -> None:
    # Given a store that is locked, and a fence to which all open files of the store are the daemon's,
    path = str(tmp_path / "p.db")
    taken = Hold.take(path)
    fence.begin(lambda descriptor: path_of(descriptor).startswith(path))
    # when it is locked once more, then the error says that it is in use, and the lock can be released.
    with pytest.raises(StoreLocked, match="in use by another"):
        Hold.take(path)
    taken.release()
    Hold.take(path).release()


def as_in(module: str, function: Any) -> Callable[[], object]:
    """A function as it would be in another module."""
    return FunctionType(function.__code__, {**globals(), "__name__": module})


def test_the_daemon_and_forked_children_do_as_ever(fence: ProcessFence, tmp_path: Path) -> None:
    # Given code in a module with a name of the daemon's,
    stop = as_in("perdure.daemon.daemon", lambda: os.kill(os.getpid(), signal.SIGUSR1))
    came: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: came.append(number))
    try:
        stop()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert came == [signal.SIGUSR1]
    # and a forked child, then neither is refused.
    child = os.fork()
    if child == 0:
        os.execv("/bin/sh", ["sh", "-c", f"echo done > {tmp_path / 'done'}"])  # noqa: S606  of this test
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "done").read_text() == "done\n"


def test_a_callback_that_is_a_function_of_cs_is_whose_it_was(fence: ProcessFence) -> None:
    # The frame below such a callback is that of the daemon's loop.
    run = as_in("perdure.daemon.event_loop", lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(PermissionError):
        run()
    before = signal.signal(signal.SIGTERM, nothing)
    try:
        call_as(CodeOwner.PROCESS, run)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_while_the_app_is_imported_and_after_the_end_nothing_is_refused() -> None:
    originals = [getattr(module, name) for module, name, _ in FENCED if hasattr(module, name)]
    with process_fenced():
        assert os.kill is not originals[0]
        with pytest.raises(FileNotFoundError):
            # A program may replace itself while it starts.
            os.execv("/nowhere", ["nowhere"])  # noqa: S606  there is none
    assert [getattr(module, name) for module, name, _ in FENCED if hasattr(module, name)] == originals
