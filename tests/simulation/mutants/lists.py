"""Mutants of lists and counts, and of retention, which lives on lists."""

from typing import Any

import pytest

from perdure.actors.store.contract import Write
from perdure.actors.store.listing import Counted, ListFilter, Order
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.directory import WORKFLOW
from perdure.runtime.history.status import Status
from perdure.runtime.instance.condition import ANY
from perdure.runtime.operations.reading.listing import Listing
from perdure.runtime.operations.retention.loop import RetentionLoop
from perdure.runtime.operations.retention.policy import Retention

from .catalogue import mutant


@mutant("E14", kind="forgetful")
def retention_forgets_too_early(patch: pytest.MonkeyPatch) -> None:
    original = RetentionLoop._look
    patch.setattr(RetentionLoop, "_look", lambda self, now_us: original(self, now_us + 900_000))


@mutant("E14", kind="forgetful")
def retention_looks_once_and_never_again(patch: pytest.MonkeyPatch) -> None:
    original = RetentionLoop._look

    async def look(self: RetentionLoop, now_us: int) -> None:
        if self._seen_happened < 0:
            await original(self, now_us)
        self._look_at_us = now_us + 3_600_000_000

    patch.setattr(RetentionLoop, "_look", look)


@mutant("E14")
def ended_instances_are_purged_without_a_request(patch: pytest.MonkeyPatch) -> None:
    async def forget_due(self: RetentionLoop, status: Status, now_us: int) -> None:
        page = await self._store.list(WORKFLOW, ListFilter(), order=Order.ID, cursor=None, limit=1)
        await self._forget_all(page.listed, ANY)

    patch.setattr(Retention, "__bool__", lambda self: True)
    patch.setattr(Retention, "shortest_us", property(lambda self: 1_000_000))
    patch.setattr(RetentionLoop, "_forget_due", forget_due)


@mutant("E18")
def a_page_of_a_list_leaves_out_its_last(patch: pytest.MonkeyPatch) -> None:
    original = Listing._page

    async def page(self: Listing, wanted: Any, order: Any, cursor: Any, limit: int) -> Any:
        found, following = await original(self, wanted, order, cursor, limit)
        return (found[:-1] if following is not None else found), following

    patch.setattr(Listing, "_page", page)


@mutant("E18")
def lists_go_by_the_status_of_the_start(patch: pytest.MonkeyPatch) -> None:
    original = MemoryStore._apply

    def apply(self: MemoryStore, write: Write) -> None:
        before = self._facets.get(write.key)
        original(self, write)
        if before is not None and write.key in self._facets:
            self._facets[write.key] = before

    patch.setattr(MemoryStore, "_apply", apply)


@mutant("E18")
def a_count_has_one_too_many(patch: pytest.MonkeyPatch) -> None:
    original = Listing.count

    async def count(self: Listing, wanted: Any, by: Any = ()) -> Counted:
        counted = await original(self, wanted, by)
        return Counted([each._replace(total=each.total + 1) for each in counted.groups], counted.more)

    patch.setattr(Listing, "count", count)
