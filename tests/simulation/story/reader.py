"""A reader: reads lists and counts while instances change, and checks the answers (E18).

A list is read page by page, so between its first request and its last answer an instance may have been several things.
It must hold that

* what is listed was so at some time meanwhile, and fits the filter;
* an instance that has not changed meanwhile, and fits the filter, is listed once;
* items come in the order that was asked for;
* a count is at least of those that have not changed, and at most of those that have been so at any time.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from perdure import Status
from perdure.actors.store.listing import Order
from perdure.runtime.history.status import SET_ASIDE
from perdure.runtime.operations.reading.listing import InstanceFilter
from perdure.testing.simulation.base import BaseWorld

from ..checks.answers import Version
from ..checks.broken import Broken
from ..doors import Doors, ListedItem
from ..invariants import Witness

ORDERS = (Order.NEWEST, Order.CREATED, Order.UPDATED, Order.LATEST, Order.ID)
# Of a page. The smallest are for small worlds: each page is a request.
LIMITS = (100, 7, 2)
MANY = 40
# The filters; None: no filter.
STATUSES = (None, Status.RUNNING, Status.COMPLETED)
WORDS = (*(status.name for status in Status), SET_ASIDE)
LOOKS_MAX, LOOKS_S = 4, (0.0, 0.02, 0.4, 3.0)


class Look(NamedTuple):
    """A request of a reader."""

    order: Order = Order.NEWEST
    limit: int = 100
    status: Status | None = None

    @property
    def filter(self) -> InstanceFilter:
        return InstanceFilter(statuses=frozenset({self.status.name}) if self.status is not None else None)

    def __str__(self) -> str:
        return f"the list by {self.order.value} of {self.status.name if self.status is not None else 'all'}"


class Reader:
    """Looks at the instances of a world."""

    def __init__(self, world: BaseWorld, witness: Witness, doors: Doors) -> None:
        self._world = world
        self._witness = witness
        self._versions = witness.versions
        self._doors = doors

    async def live(self, looks: int) -> None:
        """Read lists from time to time, a number of times.

        Raises:
            Broken: E18.
        """
        draw = self._world.choices.draw
        for _ in range(looks):
            await self._world.sleep(LOOKS_S[draw("story.look.when", len(LOOKS_S))])
            small = len(self._versions) < MANY
            await self.look(
                Look(
                    ORDERS[draw("story.look.order", len(ORDERS))],
                    LIMITS[draw("story.look.limit", len(LIMITS)) if small else 0],
                    STATUSES[draw("story.look.status", len(STATUSES))],
                )
            )

    async def look(self, look: Look) -> None:
        """Read a list and a count, and check them.

        Raises:
            Broken: E18.
        """
        self._witness.sometimes["look"] += 1
        since = self._versions.all_now()
        listed = await self._read(look)
        self._check_list(look, listed, self._were(since))
        since = self._versions.all_now()
        counted = await self._world.ask(lambda engine: self._doors.count(engine, look.filter))
        self._check_count(counted, self._were(since), look)

    async def _read(self, look: Look) -> Sequence[ListedItem]:
        items: list[ListedItem] = []
        cursor: str | None = None
        while True:
            page = partial(self._doors.page, wanted=look.filter, order=look.order, cursor=cursor, limit=look.limit)
            found, cursor = await self._world.ask(page)
            if len(found) > look.limit:
                raise Broken("E18", f"{look} has a page of {len(found)}, and not of {look.limit}")
            items += found
            if cursor is None:
                return items

    def _were(self, since: dict[str, int]) -> dict[str, Sequence[Version | None]]:
        """The states of each instance meanwhile."""
        return {id_: self._versions.since(id_, since.get(id_, 0)) for id_ in self._versions.ids()}

    def _check_list(self, look: Look, listed: Sequence[ListedItem], were: dict[str, Sequence[Version | None]]) -> None:
        times = Counter(each.id for each in listed)
        for item in listed:
            seen = [each for each in were.get(item.id, ()) if each is not None]
            if (item.status, item.custom_status) not in [(each.word, each.custom_status) for each in seen]:
                told = ", ".join(each.word for each in seen[-5:])
                raise Broken("E18", f"{item.id} is {item.status} in {look}, and was none of that meanwhile: {told}")
            if look.status is not None and item.status != look.status.name:
                raise Broken("E18", f"{item.id} is {item.status}, and stands in {look}")
        for id_, versions in were.items():
            if len(versions) == 1 and _fits(versions[0], look) and times[id_] != 1:
                raise Broken("E18", f"{id_} was the same all the while, and stands {times[id_]} times in {look}")
        keys = [_key(look.order, each) for each in listed]
        if keys != sorted(keys, reverse=look.order in (Order.NEWEST, Order.LATEST)):
            raise Broken("E18", f"{look} is not in its order")

    def _check_count(self, counted: dict[str, int], were: dict[str, Sequence[Version | None]], look: Look) -> None:
        for word in WORDS:
            at_least = sum(_is(versions, word, all) for versions in were.values())
            at_most = sum(_is(versions, word, any) for versions in were.values())
            if look.status is not None and word != look.status.name:
                at_least = at_most = 0
            if not at_least <= counted.get(word, 0) <= at_most:
                what = f"{counted.get(word, 0)} instances are {word}, of {at_least} to {at_most}"
                raise Broken("E18", f"by a count {what}")


def _fits(version: Version | None, look: Look) -> bool:
    return version is not None and (look.status is None or look.status.name == version.word)


def _is(versions: Sequence[Version | None], word: str, how: Any) -> bool:
    """Whether an instance was of a status, at all times or at any."""
    return bool(how(each is not None and each.word == word for each in versions))


def _key(order: Order, item: ListedItem) -> Any:
    if order is Order.ID:
        return item.id
    return item.created_us if order in (Order.CREATED, Order.NEWEST) else item.updated_us
