"""Lists and counts of instances.

The rule: a list carries no payload, and is read from the facets that the store keeps. Only `stuck_for_us`, and what the
instances of a short page wait for, are found in histories.

The management API uses it, and bulk operations do.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from ....actors.hosting.host import Host
from ....actors.store.listing import Counted, Grouped, Listed, ListFilter, Order
from ...directory import AppAddresses
from ...errors import InvalidRequest
from ...history.record import InstanceRecord, unpack_record
from ...history.row import CorruptHistory
from ...history.status import SET_ASIDE, Status
from .description import Descriptions
from .item import InstanceItem, item_of
from .waiting import Waiting

ITEMS = 100  # of a page, unless the caller says otherwise
ITEMS_MAX = 500
DETAILED_MAX = 50  # items of a page with their waits
STUCK_COUNTED_MAX = 10_000  # instances that a count of stuck ones looks at
STUCK = frozenset({Status.STALLED.name, SET_ASIDE})

GroupBy = Literal["status", "name", "root"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter(ListFilter):
    """The conditions for an instance to stand in a list."""

    # Microseconds. Stuck is an instance that is stalled or set aside, or that has an open activity and has taken no
    # turn for this time. An instance that waits for a timer, an event, a child or a resumption is not stuck.
    stuck_for_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePage:
    """A part of a list. It may be short or empty although more follow."""

    items: Sequence[InstanceItem]
    cursor: str | None  # opaque: requests the next page; None: this is the end
    waiting: Mapping[str, Sequence[Waiting]] = field(default_factory=dict)  # by id, if requested
    children: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by id and status, if requested


class Listing:
    """Lists and counts instances.

    Args:
        own: The addresses of their app.
    """

    def __init__(self, host: Host, descriptions: Descriptions, own: AppAddresses) -> None:
        self._host = host
        self._descriptions = descriptions
        self._own = own

    async def list(
        self,
        wanted: InstanceFilter,
        *,
        order: Order = Order.NEWEST,
        cursor: str | None = None,
        limit: int = ITEMS,
        with_waiting: bool = False,
        with_children: bool = False,
    ) -> InstancePage:
        """Read a page of the instances that a filter fits.

        Args:
            cursor: Of the page before; None: the first page.
            limit: How many items at most, 1 to 500; with their waits or their children, 1 to 50.

        Raises:
            InvalidRequest: The limit is out of its range.
            CursorInvalid: The cursor is invalid, or of a list in another order.
            ListsUnfinished: The store has not taken in all instances of an earlier release yet.
            StoreError, HostUnreachable, HostLost, HostSilent: The store or a host did not answer.
        """
        limit_max = DETAILED_MAX if with_waiting or with_children else ITEMS_MAX
        if not 1 <= limit <= limit_max:
            more = " that says what its instances wait for or have for children" if limit_max == DETAILED_MAX else ""
            raise InvalidRequest(f"a page{more} has 1 to {limit_max} instances, not {limit}")
        found, cursor = await self._page(wanted, order, cursor, limit)
        ids = [each.id for each in found]
        describe = self._descriptions
        return InstancePage(
            items=[self._item(each) for each in found],
            cursor=cursor,
            waiting={id_: await describe.waiting_for(id_) for id_ in ids} if with_waiting else {},
            children={id_: await describe.children(id_) for id_ in ids} if with_children else {},
        )

    async def count(self, wanted: InstanceFilter, by: Sequence[GroupBy] = ()) -> Counted:
        """Count the instances that a filter fits.

        Args:
            by: The values by which the instances are counted separately.

        Raises:
            ListsUnfinished, StoreError, HostUnreachable, HostLost, HostSilent: As for `list`.
        """
        if wanted.stuck_for_us is None:
            return await self._host.lists.count(self._own.workflow, self._plain(wanted), by=by)
        groups: Counter[tuple[str | bool, ...]] = Counter()
        cursor: str | None = None
        looked_at = 0
        while looked_at < STUCK_COUNTED_MAX:
            found, cursor = await self._page(wanted, Order.CREATED, cursor, ITEMS_MAX)
            looked_at += ITEMS_MAX
            groups.update(_values(each, by) for each in found)
            if cursor is None:
                break
        return Counted([Grouped(values, total) for values, total in groups.items()], cursor is not None)

    async def _page(
        self, wanted: InstanceFilter, order: Order, cursor: str | None, limit: int
    ) -> tuple[Sequence[Listed], str | None]:
        page = await self._host.lists.list(
            self._own.workflow, self._plain(wanted), order=order, cursor=cursor, limit=limit
        )
        if wanted.stuck_for_us is None:
            return page.listed, page.cursor
        has_activity = self._descriptions.has_open_activity
        stuck = [each for each in page.listed if each.facets.status in STUCK or await has_activity(each.id)]
        return stuck, page.cursor

    def _plain(self, wanted: InstanceFilter) -> ListFilter:
        """The part of a filter that the store answers."""
        plain = {each.name: getattr(wanted, each.name) for each in fields(ListFilter)}
        if wanted.stuck_for_us is not None:
            plain["in_flight_since_us"] = self._host.clock.now_us() - wanted.stuck_for_us
            plain["or_statuses"] = STUCK
        return ListFilter(**plain)

    def _item(self, found: Listed) -> InstanceItem:
        try:
            record = unpack_record(found.record)
        except CorruptHistory:
            record = InstanceRecord(Status.STALLED, found.facets.name, "", found.facets.created_us)
        return item_of(found.id, record, found.facets, app_id=self._own.app_id)


def _values(found: Listed, by: Sequence[GroupBy]) -> tuple[str | bool, ...]:
    facets = found.facets
    known: dict[str, str | bool] = {"status": facets.status, "name": facets.name, "root": facets.parent is None}
    return tuple(known[each] for each in by)
