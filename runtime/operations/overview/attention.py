"""Attention: the instances that a person should look at first, a few of each kind, with how many there are.

The rule: it reads an index or memory. No kind takes longer if there are more instances.

`http/management/routes/overview.py` shows it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ....actors.clock import Clock
from ....actors.cluster.method import HostMethod
from ....actors.cluster.peers import AppPeers
from ....actors.hosting.host import Host
from ....actors.store.listing import Order
from ...directory import AppAddresses
from ...history.status import SET_ASIDE, Status
from ...workers.dispatcher import Dispatcher
from ..reading.item import InstanceItem
from ..reading.listing import InstanceFilter
from ..reading.views import Views

ITEMS_MAX = 20  # of each kind
HOUR_US = 3600 * 10**6
OVERDUE_US = 30 * 10**6  # a timer that has been due for longer is overdue
REMINDERS_MAX = 1000  # that a host looks at


class Concern(NamedTuple):
    """The instances of one kind."""

    total: int
    more: bool  # there are more than were counted
    items: Sequence[InstanceItem]  # ITEMS_MAX at most, the most urgent first


class Attention(NamedTuple):
    """The instances that a person should look at."""

    stalled: Concern
    set_aside: Concern
    failed: Concern  # within the last hour, the newest first
    waiting: Concern  # that run; those first whose status has changed the longest ago
    timers_overdue: Concern  # timers, delays and timeouts that should have fired
    workers_gone: Concern  # they need a remote worker, and none is connected to their host


class Waits(NamedTuple):
    """The overdue instances of a host: their ids, ITEMS_MAX at most, and how many there are."""

    overdue: Sequence[str]
    overdue_total: int
    overdue_more: bool
    unserved: Sequence[str]
    unserved_total: int


METHOD = HostMethod("overview.attention", (), Waits)  # other hosts call it


class Attentions:
    """Finds the instances that need attention, on all hosts.

    Args:
        own: The addresses of the app.
        peers: The other hosts that have the app, if there are any.
    """

    def __init__(
        self,
        host: Host,
        dispatcher: Dispatcher,
        views: Views,
        own: AppAddresses,
        *,
        clock: Clock,
        peers: AppPeers | None,
    ) -> None:
        self._host = host
        self._own = own
        self._dispatcher = dispatcher
        self._views = views
        self._clock = clock
        self._peers = peers
        if peers is not None:
            peers.answer_async(METHOD, self.own)

    async def find(self) -> Attention:
        """Find these instances on all hosts.

        Raises:
            ListsUnfinished: The store has not taken in all instances of an earlier release yet.
            StoreError, HostUnreachable, HostLost, HostSilent: The store or a host did not answer.
        """
        hour_ago_us = self._clock.now_us() - HOUR_US
        others = await self._peers.ask_reachable(METHOD) if self._peers is not None else []
        waits: list[Waits] = [await self.own(), *others]
        overdue = [each for one in waits for each in one.overdue]
        unserved = [each for one in waits for each in one.unserved]
        return Attention(
            stalled=await self._listed(InstanceFilter(statuses=frozenset({Status.STALLED.name})), Order.LATEST),
            set_aside=await self._listed(InstanceFilter(statuses=frozenset({SET_ASIDE})), Order.LATEST),
            failed=await self._listed(
                InstanceFilter(statuses=frozenset({Status.FAILED.name}), updated_from_us=hour_ago_us), Order.LATEST
            ),
            waiting=await self._listed(InstanceFilter(statuses=frozenset({Status.RUNNING.name})), Order.UPDATED),
            timers_overdue=Concern(
                sum(one.overdue_total for one in waits),
                any(one.overdue_more for one in waits),
                await self._items(overdue),
            ),
            workers_gone=Concern(sum(one.unserved_total for one in waits), False, await self._items(unserved)),
        )

    async def own(self) -> Waits:
        """Find the overdue instances of this host."""
        due_us = self._clock.now_us() - OVERDUE_US
        reminders = await self._host.store.reminders(after=None, limit=REMINDERS_MAX)
        late = [each for each in reminders if each.due_us < due_us and each.address.type == self._own.workflow]
        overdue = list(dict.fromkeys(each.address.id for each in late))
        unserved = self._dispatcher.unserved()
        return Waits(
            overdue[:ITEMS_MAX],
            len(overdue),
            len(reminders) == REMINDERS_MAX and reminders[-1].due_us < due_us,
            unserved[:ITEMS_MAX],
            len(unserved),
        )

    async def _listed(self, wanted: InstanceFilter, order: Order) -> Concern:
        listing = self._views.listing
        counted = await listing.count(wanted)
        total = sum(group.total for group in counted.groups)
        page = await listing.list(wanted, order=order, limit=ITEMS_MAX) if total else None
        return Concern(total, counted.more, page.items if page is not None else ())

    async def _items(self, ids: Sequence[str]) -> list[InstanceItem]:
        found = [await self._views.descriptions.outline(instance_id) for instance_id in ids[:ITEMS_MAX]]
        return [each.item for each in found if each is not None]
