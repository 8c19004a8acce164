"""A daemon of several hosts, from its first port to the end of its last process.

The rule: this process, the parent of the hosts, holds the ports and the folder of the hosts' sockets, which outlive a
host. It takes no part in the hosts' work, so that no error of a host can end it, and imports neither the servers nor
the app. `perdure run --processes` calls `supervise`.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import wait
from tempfile import TemporaryDirectory
from typing import NoReturn

from ...actors.errors import PerdureError
from ...actors.store.postgres.url import is_url
from ...actors.store.sqlite.layout import make_ready
from ...api.token_file import read_tokens
from ..config import Config
from ..loader import ImportFailed
from ..process.early_signals import STOP_SIGNALS
from ..process.hangup import Hangup, is_left_to_us
from ..stopping import LEAVE_S
from ..supervision import Failed
from .host_processes import HostProcesses, Target
from .member import main
from .ports import take_ports
from .signals import Signals
from .supervisor import Supervisor

logger = logging.getLogger(__name__)

# How long a host may take to stop beyond the grace.
STOP_MARGIN_S = 10.0


class HostFailed(PerdureError):
    """A host could not start, so the daemon cannot start."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return self.why


def supervise(config: Config, announce: Callable[[str], None], target: Target = main) -> None:
    """Run a daemon of several hosts until a signal or a request stops it.

    Args:
        announce: Called with the ready line, once, when all hosts are ready.
        target: The main function of a host's process.

    Raises:
        CannotListen: A port cannot be taken.
        TokenFileBad: The file of tokens cannot be used.
        StoreError: The store cannot be used, or is for another number of hosts.
        ImportFailed, HostFailed: A host could not start; the message says why.
        SystemExit: A host was killed or failed during the stop.
    """
    if config.api_token_file is not None:
        read_tokens(config.api_token_file)  # one error for a bad file, instead of one from each host
    hangup = (signal.SIGHUP,) if config.api_token_file is not None or is_left_to_us() else ()
    with Signals(*hangup) as signals, ExitStack() as held:
        config = take_ports(config, held)
        if not is_url(config.data):
            # Before the first host starts, because each host would make a new file if its own is missing.
            make_ready(config.data, parts=config.processes)
        directory = held.enter_context(private_directory(config.processes))
        patience_s = config.limits.stop_grace_s + STOP_MARGIN_S + (LEAVE_S if is_url(config.data) else 0)
        processes = held.enter_context(HostProcesses(config, directory, target, patience_s=patience_s))
        supervisor = Supervisor(
            processes,
            config.processes,
            announce=announce,
            patience_s=patience_s,
            loop_age_max_s=config.loop_age_max_s(),
        )
        hang_up = Hangup(lambda: supervisor.stop(time.monotonic())).act
        supervisor.start(time.monotonic())
        watch(supervisor, processes, signals, hang_up if config.api_token_file is None else supervisor.reload)
    if supervisor.failed is not None:
        raise_failed(supervisor.failed)
    if not supervisor.in_order:
        sys.exit(1)
    logger.info("stopped")


def raise_failed(failed: Failed) -> NoReturn:
    """Raise the error for a host that has failed: `ImportFailed` with the app's traceback, else `HostFailed`."""
    raise ImportFailed(failed.why) if failed.is_traceback else HostFailed(failed.why)


def watch(
    supervisor: Supervisor, processes: HostProcesses, signals: Signals, hang_up: Callable[[], None] = lambda: None
) -> None:
    """Pass signals, messages of hosts, ends of hosts and the time to a supervisor, until all hosts have ended.

    Args:
        hang_up: Called at SIGHUP.
    """
    while not supervisor.done:
        wait([signals.reader, *processes.pipes()], supervisor.wait_s(time.monotonic()))
        # The order matters. Signals are read first: a host that ends after the call of `ended` sends a SIGCHLD, which
        # wakes the next round. Ends are read before messages and passed on after them, so that the supervisor gets the
        # last message of a host before the host's end.
        received = signals.received()
        ended = processes.ended()
        now_s = time.monotonic()
        for index, message in processes.messages():
            supervisor.handle_message(index, message, now_s)
        for index, code in ended:
            processes.forget(index)
            supervisor.handle_end(index, code, now_s)
        for number in received:
            if number == signal.SIGHUP:
                hang_up()
            if number in STOP_SIGNALS:
                supervisor.handle_signal(signal.Signals(number).name, now_s)
        supervisor.act(time.monotonic())


SOCKET_PATH_BYTES_MAX = 100  # 103 on macOS, 107 on Linux


def private_directory(processes: int) -> "TemporaryDirectory[str]":
    """Make a folder for the hosts' sockets, which only this user may enter.

    The system limits the length of a socket's path. If the path would be too long in the usual folder for temporary
    files, the folder is made in /tmp.
    """
    directory = TemporaryDirectory(prefix="perdure-")
    if len(os.fsencode(f"{directory.name}/{processes - 1}")) > SOCKET_PATH_BYTES_MAX:
        directory.cleanup()
        directory = TemporaryDirectory(prefix="perdure-", dir="/tmp")
    return directory
