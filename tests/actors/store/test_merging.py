"""Pages of several hosts become one list: in order, each item once, and none before an earlier item of another host."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.store.cursor import Position, cursor_of, position_of, split
from perdure.actors.store.merging import Ordered, merged


class Item(NamedTuple):
    name: tuple[int, int]  # host and key
    position: Position


class LazyHost:
    """A host whose store examines few actors for a page, so that its pages are short."""

    def __init__(self, index: int, values: list[int], wanted: list[bool], *, examines: int, descending: bool) -> None:
        self.items = [Item((index, key), Position("o", value, key)) for key, value in enumerate(values)]
        self.items.sort(key=lambda item: item.position.at, reverse=descending)
        self.wanted = {item.name for item, is_wanted in zip(self.items, wanted, strict=True) if is_wanted}
        self.examines = examines
        self.descending = descending

    def page(self, cursor: str | None, limit: int) -> tuple[list[Item], str | None]:
        if cursor is None:
            return [], None
        left = self.items
        if cursor:
            behind = position_of(cursor, "o").at
            left = [i for i in left if (i.position.at < behind if self.descending else i.position.at > behind)]
        examined, found = left[: self.examines], []
        for item in examined:
            if item.name in self.wanted:
                found.append(item)
                if len(found) == limit:
                    more = item is not left[-1]
                    return found, cursor_of(item.position) if more else None
        return found, cursor_of(examined[-1].position) if len(left) > self.examines else None


@st.composite
def hosts(draw: st.DrawFn) -> tuple[list[LazyHost], bool]:
    descending = draw(st.booleans())
    found = []
    for index in range(draw(st.integers(1, 4))):
        values = draw(st.lists(st.integers(0, 9), max_size=12))
        wanted = [draw(st.booleans()) for _ in values]
        examines = draw(st.integers(1, 5))
        found.append(LazyHost(index, values, wanted, examines=examines, descending=descending))
    return found, descending


@given(daemon=hosts(), limit=st.integers(1, 4))
def test_every_item_comes_once_and_in_order(daemon: tuple[list[LazyHost], bool], limit: int) -> None:
    parts, descending = daemon
    found: list[Item] = []
    cursor: str | None = None
    for _ in range(200):
        before = split(cursor, len(parts))
        shares = [host.page(each, limit) for host, each in zip(parts, before, strict=True)]
        items, cursor = merged(shares, before, Ordered("o", numbers=True, descending=descending), limit=limit)
        assert len(items) <= limit
        found += items
        if cursor is None:
            break
    assert cursor is None, "the list has no end"
    values = [item.position.value for item in found]
    assert values == sorted(values, reverse=descending)
    wanted = [name for host in parts for name in host.wanted]
    assert sorted(item.name for item in found) == sorted(wanted)


def test_a_host_that_has_read_less_holds_back_what_stands_behind_it() -> None:
    # Given a host that has examined its actors up to 5 and found none, and one that has an item at 3 and one at 7,
    items = [Item((1, key), Position("o", value, key)) for key, value in enumerate((3, 7))]
    shares: list[tuple[list[Item], str | None]] = [([], cursor_of(Position("o", 5, 1))), (items, None)]
    # then the one at 7 waits: the first host may have one at 6.
    shown, cursor = merged(shares, ["", ""], Ordered("o", numbers=True, descending=False), limit=9)
    assert shown == items[:1]
    assert split(cursor, 2) == [cursor_of(Position("o", 5, 1)), cursor_of(items[0].position)]
