"""The code of the other hosts: which workflows and activities their apps have, by name.

The rule: a host announces the names of its own app only, as a whole list with a growing number. For AWAITED_S, a living
host that has announced nothing yet may have any name. A name is waited for equally long when its last host has left, or
has announced that it leaves, because that host may come back.

`runtime/hosted_app.py` has one, where there are other hosts. `runtime/activities/elsewhere.py` and `awaited.py` look up
names in it that this host does not have.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import anyio

from ....actors.cluster.method import HostMethod
from ....actors.cluster.outbound import Outbound
from ....actors.cluster.peers import AppPeers
from ....actors.errors import HostLost, HostSilent, HostUnreachable, PerdureError
from ....actors.waiting.signal import Signal
from ....actors.waiting.task_keeper import TaskKeeper
from ...authoring.app import App

logger = logging.getLogger(__name__)

AGAIN_S = 0.1  # before a host is asked again
# How long a name is waited for after its last host has left. A host that is restarted, on the same machine or by an
# orchestrator on another one, is back within this time.
AWAITED_S = 60.0


class CodeKind(StrEnum):
    """What has a name."""

    WORKFLOW = "workflow"
    ACTIVITY = "activity"


class CodeNames(NamedTuple):
    """The names that the app of a host has."""

    number: int  # of the list; of one process, one with a smaller number is older
    workflows: Sequence[str]
    activities: Sequence[str]
    leaving: bool = False  # the host ends soon: it performs nothing more, and its names are waited for


# The names that a host has.
NAMES = HostMethod("code.names", (), CodeNames)
# Takes the name of the announcing host: its names have changed.
CHANGED = HostMethod("code.changed", (str, CodeNames), None)


class _Told(NamedTuple):
    """The last announcement of a host."""

    number: int
    names: Mapping[CodeKind, frozenset[str]]


NOTHING = _Told(-1, dict.fromkeys(CodeKind, frozenset()))


class CodeOfHosts(TaskKeeper):
    """The names that the apps of the other hosts have.

    Args:
        app: The code of this host; None: it has none, and does not wait for the announcements of hosts.
        peers: The other hosts that have the app.
    """

    def __init__(self, app: App | None, peers: AppPeers) -> None:
        self._app = app
        self._peers = peers
        self._number = 0  # of the list of this host
        self._leaving = False
        self._told: dict[str, _Told] = {}  # of hosts that live
        self._unknown: dict[str, float] = {}  # living hosts without an announcement -> until when they are waited for
        self._gone: dict[tuple[CodeKind, str], float] = {}  # names that no host has any more -> the same
        self._known: Mapping[CodeKind, frozenset[str]] = NOTHING.names  # of all announcements
        self._followers: list[Callable[[], None]] = []
        self._due = Signal()  # there is something new to wait for
        peers.answer(NAMES, self._names)
        peers.answer(CHANGED, self._changed)
        peers.listen(self._connection_changed)
        peers.watch(self._hosts_changed)

    # Questions.

    def may_have(self, kind: CodeKind, name: str) -> bool:
        """Whether another host has a name, or may have it, or is waited for because it had it."""
        if name in self._known[kind] or (kind, name) in self._gone:
            return True
        return bool(self._unknown) and self._app is not None

    def hosts(self, kind: CodeKind, name: str) -> Sequence[str]:
        """The hosts that have a name and can be reached, in the order of their names."""
        return sorted(host for host, told in self._told.items() if name in told.names[kind] and self.reaches(host))

    def living(self, kind: CodeKind, name: str) -> Sequence[str]:
        """The hosts that have a name, reached or not, in the order of their names."""
        return sorted(host for host, told in self._told.items() if name in told.names[kind])

    def names(self, kind: CodeKind) -> Collection[str]:
        """The names that other hosts have."""
        return self._known[kind]

    def lacks(self) -> Sequence[str]:
        """The workflows and activities that other hosts have and this host lacks: "activity charge", in order."""
        app = self._app
        own: Mapping[CodeKind, Collection[str]] = (
            {CodeKind.WORKFLOW: app.workflows, CodeKind.ACTIVITY: app.activities} if app is not None else {}
        )
        return sorted(
            f"{kind} {name}" for kind in CodeKind for name in self._known[kind] if name not in own.get(kind, ())
        )

    def reaches(self, host: str) -> bool:
        """Whether there is a connection to a host now."""
        return self._reached(host) is not None

    def follow(self, changed: Callable[[], None]) -> None:
        """Have a function called when hosts have come, left or announced names, or a wait for a name is over."""
        self._followers.append(changed)

    def refused(self, host: str, kind: CodeKind, name: str) -> None:
        """Note that a host lacks a name that it has announced. This counts until its next announcement."""
        told = self._told.get(host)
        if told is not None and name in told.names[kind]:
            self._learn(host, told._replace(names={**told.names, kind: told.names[kind] - {name}}))

    def leave(self) -> None:
        """Notify the others that this host performs nothing more, because it stops soon."""
        self._leaving = True
        self._number += 1
        names = self._names()
        for host in self._peers.names:
            self._peers.tell(host, CHANGED, self._peers.membership.me, names)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Collect the names of the other hosts, until cancelled."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(super().run)
            tasks.start_soon(self._end_waits)
            self._hosts_changed()
            for host in self._peers.names:
                self._connection_changed(host)
            task_status.started()

    # Hosts come, leave and announce names.

    def _names(self) -> CodeNames:
        app = self._app
        if app is None:
            return CodeNames(self._number, (), ())
        return CodeNames(self._number, tuple(app.workflows), tuple(app.activities), self._leaving)

    def _hosts_changed(self) -> None:
        living = set(self._peers.names)
        for host in [host for host in self._told if host not in living]:
            self._lose(self._told.pop(host).names)
        for host in [host for host in self._unknown if host not in living]:
            del self._unknown[host]
        if self._tasks is not None:
            until_s = anyio.current_time() + AWAITED_S
            for host in sorted(living - self._told.keys() - self._unknown.keys()):
                self._unknown[host] = until_s
        self._tell()

    def _connection_changed(self, host: str) -> None:
        if self._tasks is None:
            return
        if self._reached(host) is not None:
            self._tasks.start_soon(self._ask, host)
        elif (told := self._told.get(host)) is not None:
            self._told[host] = told._replace(number=-1)  # the next process of that name starts its numbers anew
        self._tell()

    async def _ask(self, host: str) -> None:
        """Ask a host for its names, until it answers or is away."""
        while (outbound := self._reached(host)) is not None:
            try:
                found: CodeNames = await self._peers.call(outbound, NAMES)
            except (HostUnreachable, HostLost, HostSilent):
                await anyio.sleep(AGAIN_S)
            except PerdureError as error:
                logger.info("%s does not announce its code, and gets no requests for it: %s", host, error)
                self._learn(host, NOTHING)
                return
            else:
                if self._reached(host) is outbound:
                    self._changed(host, found)
                    return

    def _changed(self, host: str, found: CodeNames) -> None:
        if host not in self._peers.names or found.number < self._told.get(host, NOTHING).number:
            return
        names = {CodeKind.WORKFLOW: frozenset(found.workflows), CodeKind.ACTIVITY: frozenset(found.activities)}
        if found.leaving:
            self._lose(names)  # also if this host has never known that it had them
            names = dict.fromkeys(CodeKind, frozenset())
        self._learn(host, _Told(found.number, names))

    def _learn(self, host: str, told: _Told) -> None:
        before = self._told.get(host, NOTHING).names
        self._told[host] = told
        self._unknown.pop(host, None)
        self._lose({kind: names - told.names[kind] for kind, names in before.items()})
        self._tell()

    def _lose(self, lost: Mapping[CodeKind, frozenset[str]]) -> None:
        """Wait for names that a host does not have any more, unless other hosts have them."""
        until_s = anyio.current_time() + AWAITED_S
        self._gone.update({(kind, name): until_s for kind, names in lost.items() for name in names})

    def _tell(self) -> None:
        told = [each.names for each in self._told.values()]
        self._known = {kind: frozenset().union(*(names[kind] for names in told)) for kind in CodeKind}
        self._due.set()
        for changed in self._followers:
            changed()

    def _reached(self, host: str) -> Outbound | None:
        outbound = self._peers.find(host)
        return outbound if outbound is not None and outbound.connected else None

    # Waits end.

    async def _end_waits(self) -> None:
        while True:
            until_s = min((*self._gone.values(), *self._unknown.values()), default=None)
            if until_s is None:
                await self._due.wait()
                continue
            await self._due.wait_for(max(0.0, until_s - anyio.current_time()))
            now_s = anyio.current_time()
            over = [each for each, at_s in self._gone.items() if at_s <= now_s]
            late = [host for host, at_s in self._unknown.items() if at_s <= now_s]
            for each in over:
                del self._gone[each]
            for host in late:
                logger.warning("%s has not announced its code for %g s: it counts as having none", host, AWAITED_S)
                self._told[host] = NOTHING
                del self._unknown[host]
            if over or late:
                self._tell()
