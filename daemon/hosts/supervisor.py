"""The supervisor: decides when the hosts of a daemon start, stop and are killed.

The rule: it neither waits nor reads a clock. `daemon/hosts/processes.py` waits, and calls a method here for each
event, with the time.
"""

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ...actors.cluster.membership import name_of
from ...journal.journal import Journal
from ...journal.vocabulary import HOST_CONTINUED, HOST_ENDED, HOST_KILLED
from ..supervision import Beat, Failed, FromHost, Ready, Reload, ShutdownAsked, Stop, ToHost

logger = logging.getLogger(__name__)

# The pause between the end of a host and its next start.
PAUSE_S_MIN = 0.1
PAUSE_S_MAX = 5.0
# A ready host that has been silent for this time hangs, or was stopped by a signal.
SILENT_S = 5.0
# The same for a host that starts: on a busy machine the import of the app and the opening of the store take long.
STARTING_SILENT_S = 60.0
GO_ON_S = 2.0  # how long a stopped host that was continued has for its next beat
LOOK_S = 1.0  # how often the supervisor checks the beats of the hosts
# If a check is later than this, the supervisor itself did not run, and it blames no host for the time between.
LATE_S = 2.0
GOOD_AFTER_S = 10.0  # after this time as a ready host the pause is the shortest again


class Processes(Protocol):
    """The processes of hosts by host number (`daemon/hosts/host_processes.py`)."""

    def start(self, index: int) -> None:
        """Start the process of a host.

        Raises:
            OSError: The system cannot make a process.
        """
        ...

    def send(self, index: int, message: ToHost) -> None:
        """Send a message to a host. The host may have ended already."""
        ...

    def kill(self, index: int) -> None:
        """End a host and the processes that it started, at once."""
        ...

    def go_on(self, index: int) -> bool:
        """Continue a host that a signal has stopped, and the processes that the host started.

        Returns:
            Whether the host was stopped.
        """
        ...


@dataclass(slots=True)
class SupervisedHost:
    """The supervisor's record of a host."""

    index: int
    running: bool = False  # it has a process
    ready_since_s: float | None = None
    was_ready: bool = False  # at least once, so its app and its file can be used
    pause_s: float = PAUSE_S_MIN  # between its end and its next start
    start_at_s: float | None = None  # None: no start is due
    beat_at_s: float | None = None  # when its last message came; None: it has not begun to beat
    told_to_go_on: bool = False  # since its last message

    @property
    def name(self) -> str:
        """The host's name in logs, such as `host-2`."""
        return name_of(self.index)

    @property
    def is_ready(self) -> bool:
        """Whether the host has reported that it is ready, and has not ended."""
        return self.ready_since_s is not None


class Supervisor:
    """Decides when hosts start, stop and are killed.

    Every `now_s` is a time of one monotonic clock, in seconds.

    Args:
        count: How many hosts there are.
        announce: Called with the ready line, once, when all hosts are ready.
        patience_s: How long a stop may take before the hosts are killed.
        loop_age_max_s: How long the event loop of a host may be blocked before the host is killed; 0: for ever.
    """

    def __init__(
        self,
        processes: Processes,
        count: int,
        *,
        announce: Callable[[str], None],
        patience_s: float,
        loop_age_max_s: float = 0.0,
    ) -> None:
        self.failed: Failed | None = None  # why the daemon could not start
        self.in_order = True  # during the stop every host ended by itself, with exit code 0
        self._processes = processes
        self._hosts = [SupervisedHost(index) for index in range(count)]
        self._announce = announce
        self._announced = False
        self._patience_s = patience_s
        self._loop_age_max_s = loop_age_max_s
        self._looked_at_s: float | None = None
        self._stopping = False
        self._kill_at_s: float | None = None
        self._journal = Journal(__name__)

    @property
    def done(self) -> bool:
        """Whether the daemon was told to stop and every host has ended."""
        return self._stopping and not any(host.running for host in self._hosts)

    def wait_s(self, now_s: float) -> float | None:
        """Return the time until `act` has something to do; None if only an event can change that."""
        times_s = [host.start_at_s for host in self._hosts] + [self._kill_at_s]
        if self._looked_at_s is not None and any(host.beat_at_s is not None for host in self._hosts):
            times_s.append(self._looked_at_s + LOOK_S)
        return min((max(0.0, time_s - now_s) for time_s in times_s if time_s is not None), default=None)

    def start(self, now_s: float) -> None:
        """Start all hosts."""
        for host in self._hosts:
            if not self._stopping:
                self._start(host, now_s)

    def act(self, now_s: float) -> None:
        """Start and kill the hosts whose time for it has come."""
        self._look(now_s)
        for host in self._hosts:
            if host.start_at_s is not None and host.start_at_s <= now_s:
                self._start(host, now_s)
        if self._kill_at_s is not None and self._kill_at_s <= now_s:
            logger.error("hosts have not stopped in %g s: they are killed", self._patience_s)
            self.kill()

    def handle_message(self, index: int, message: FromHost, now_s: float) -> None:
        """React to a message of a host."""
        host = self._hosts[index]
        match message:
            case Ready(line):
                self._mark_ready(host, line, now_s)
            case Failed() if host.was_ready:
                logger.error("%s cannot start: %s", host.name, message.why)
            case Failed():
                self._fail(message, now_s)
            case ShutdownAsked(force):
                self.stop(now_s, force=force)
            case Beat(loop_age_s):
                self._hear(host, loop_age_s, now_s)

    def handle_end(self, index: int, code: int, now_s: float) -> None:
        """React to the end of a host's process.

        Args:
            code: The exit code; -9 if signal 9 killed it.
        """
        host = self._hosts[index]
        host.running = False
        host.beat_at_s = None
        if self._stopping:
            self.in_order &= code == 0
        else:
            self._restart_or_fail(host, f"ended {describe_exit(code)}", now_s)

    def handle_signal(self, name: str, now_s: float) -> None:
        """Stop in order at the first signal, and at once at the second.

        Args:
            name: The name of the signal, for the log.
        """
        if self._stopping:
            logger.warning("stopped at once by a second signal, %s; what was acknowledged is in the store", name)
            self.kill()
        else:
            logger.info("stopping because of %s; a second signal stops at once", name)
            self.stop(now_s)

    def reload(self) -> None:
        """Tell all hosts to read the tokens again. A host that starts later reads them at its start."""
        for host in self._hosts:
            if host.running:
                self._processes.send(host.index, Reload())

    def stop(self, now_s: float, *, force: bool = False) -> None:
        """Tell all hosts to stop in order. May be called again, to force the stop.

        Args:
            force: Do not wait for running activities.
        """
        if not self._stopping:
            self._stopping = True
            self._kill_at_s = now_s + self._patience_s
        for host in self._hosts:
            host.start_at_s = None
            if host.running:
                self._processes.send(host.index, Stop(force))

    def kill(self) -> None:
        """End all hosts at once."""
        self.in_order = False
        self._kill_at_s = None
        for host in self._hosts:
            if host.running:
                self._processes.kill(host.index)

    def _hear(self, host: SupervisedHost, loop_age_s: float, now_s: float) -> None:
        if not host.running:
            return
        host.beat_at_s = now_s
        host.told_to_go_on = False
        if self._loop_age_max_s and loop_age_s > self._loop_age_max_s:
            self._tell_killed(host, f"the event loop of {host.name} has been blocked for {loop_age_s:.1f} s")
            self._kill(host)

    def _look(self, now_s: float) -> None:
        """Kill the hosts that have been silent for too long.

        A host that a signal has stopped is continued first: a killed host would lose the connections and data that the
        kernel has handed to it, and would begin its activities anew.
        """
        late_s = now_s - self._looked_at_s - LOOK_S if self._looked_at_s is not None else 0.0
        self._looked_at_s = now_s
        for host in self._hosts:
            if host.beat_at_s is None:
                continue
            if late_s > LATE_S - LOOK_S:
                host.beat_at_s += late_s
            silent_s = now_s - host.beat_at_s
            if silent_s <= SILENT_S:
                continue
            if not host.told_to_go_on and self._processes.go_on(host.index):
                host.told_to_go_on = True
                self._journal.write(HOST_CONTINUED, host=host.name, silent_s=silent_s)
                continue
            if silent_s <= (SILENT_S if host.is_ready else STARTING_SILENT_S) + GO_ON_S * host.told_to_go_on:
                continue
            self._tell_killed(host, f"{host.name} has sent no beat for {silent_s:.1f} s")
            self._kill(host)

    def _tell_killed(self, host: SupervisedHost, reason: str) -> None:
        self._journal.write(HOST_KILLED, host=host.name, reason=reason)

    def _kill(self, host: SupervisedHost) -> None:
        host.beat_at_s = None
        self._processes.kill(host.index)

    def _start(self, host: SupervisedHost, now_s: float) -> None:
        host.start_at_s = host.ready_since_s = host.beat_at_s = None
        host.told_to_go_on = False
        try:
            self._processes.start(host.index)
            host.running = True
        except OSError as error:
            self._restart_or_fail(host, f"cannot have a process: {error}", now_s)

    def _restart_or_fail(self, host: SupervisedHost, what: str, now_s: float) -> None:
        if host.was_ready:
            self._start_later(host, what, now_s)
        else:
            self._fail(Failed(f"{host.name} {what}, before it was ready."), now_s)

    def _start_later(self, host: SupervisedHost, what: str, now_s: float) -> None:
        if host.ready_since_s is not None and now_s - host.ready_since_s >= GOOD_AFTER_S:
            host.pause_s = PAUSE_S_MIN
        self._journal.write(HOST_ENDED, host=host.name, how=what, pause_s=host.pause_s)
        host.ready_since_s = None
        host.start_at_s = now_s + host.pause_s
        host.pause_s = min(2 * host.pause_s, PAUSE_S_MAX)

    def _mark_ready(self, host: SupervisedHost, line: str, now_s: float) -> None:
        if host.was_ready:
            logger.info("%s is ready again", host.name)
        host.ready_since_s = now_s
        host.was_ready = True
        if not (self._announced or self._stopping) and all(each.is_ready for each in self._hosts):
            self._announced = True
            self._announce(line)

    def _fail(self, failed: Failed, now_s: float) -> None:
        if not self._stopping:  # during a stop a host may fail because the others stop
            self.failed = failed
            self.stop(now_s)


def describe_exit(code: int) -> str:
    """Say how a process ended, by its exit code."""
    return f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
