"""A store is spread over any number of hosts, completely or not at all, and its source does not change."""

import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Item, Stored
from perdure.actors.store.errors import StoreDivided, StoreError, StoreFailed, StoreLocked, StoreTooNew
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite import layout
from perdure.actors.store.sqlite.files import paths_of
from perdure.actors.store.sqlite.layout import make_ready, spread
from perdure.actors.store.sqlite.maintenance import check
from perdure.actors.store.sqlite.store import SqliteStore

from ....support.actors.sqlite_file import TO_VERSION_3
from ....support.actors.store_parts import IDS, SHARDS, change, column, files, make, opened, seen, write
from ....support.paths import ROOT


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The path of the old store, in its own folder; its name needs quoting in a URI."""
    return folder(tmp_path, "old") / "a store?#%41.db"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return folder(tmp_path, "new") / "new.db"


def folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


# Data that a spread keeps.


@pytest.mark.parametrize(("had", "has"), [(1, 4), (4, 1), (3, 2), (2, 3), (1, 1), (4, 4), (1, 64)])
def test_every_actor_is_in_the_new_store_with_all_that_it_had(data: Path, new: Path, had: int, has: int) -> None:
    make(data, had)
    before = files(data.parent)
    spread(data, new, parts=has)
    # The old store is the same byte for byte, the new one has its files and no others,
    assert files(data.parent) == before
    assert set(files(new.parent)) == {Path(path).name for path in paths_of(str(new), has)}
    assert check(new) == []
    # and the host of each actor's id reads the actor.
    assert seen(new, has) == seen(data, had)
    assert set(seen(new, has)) == set(IDS)


def test_there_and_back_again_is_the_same_store(data: Path, new: Path, tmp_path: Path) -> None:
    make(data, 1)
    back = folder(tmp_path, "back") / "back.db"
    spread(data, new, parts=4)
    spread(new, back, parts=1)
    assert seen(back, 1) == seen(data, 1)


def test_a_new_store_is_worked_on_like_any_other(data: Path, new: Path) -> None:
    # Given parts whose keys collide,
    make(data, 3)
    spread(data, new, parts=2)

    # when the hosts of the new store write an actor that is new and one that is old,
    async def work(part: Part) -> None:
        async with opened(new, part) as store:
            fences = await store.claim("host", now_us=1)
            old = Address("wf", next(id_ for id_ in IDS if part.holds(shard_of(id_, SHARDS))))
            (stored,) = await store.load([old])
            assert isinstance(stored, Stored)
            fresh = Address("new", old.id)
            await store.commit([write(store.new_key(), fresh, record=b"n"), write(stored.key, old, entry=b"3")], fences)
            later = await store.load([fresh, old])
            assert [actor.entries for actor in later if isinstance(actor, Stored)] == [(), (*stored.entries, b"3")]

    for index in range(2):
        anyio.run(work, Part(index, 2))
    # then the new store is sound.
    assert check(new) == []


def test_the_fences_of_hosts_that_are_gone_stay_up(data: Path, new: Path) -> None:
    # Given a store whose parts were claimed a different number of times,
    make(data, 2)
    for _ in range(3):
        anyio.run(claim, data, Part(1, 2))
    epochs = claimed(data, 2)
    # then in the new one each shard is at the epoch that it had.
    spread(data, new, parts=3)
    assert claimed(new, 3) == epochs
    assert set(epochs.values()) == {1, 4}


async def claim(data: Path, part: Part) -> None:
    async with opened(data, part) as store:
        await store.claim("host", now_us=1)


def claimed(data: Path, parts: int) -> dict[int, int]:
    paths = paths_of(str(data), parts)
    shards = [shard for path in paths for shard in column(path, "SELECT shard FROM shards")]
    epochs = [epoch for path in paths for epoch in column(path, "SELECT epoch FROM shards")]
    assert sorted(shards) == list(range(SHARDS))
    return dict(zip(shards, epochs, strict=True))


def test_a_new_layout_remembers_when_the_store_was_created_and_is_not_taken_for_the_old(data: Path, new: Path) -> None:
    make(data, 2)
    change(f"{data}.1", "UPDATE meta SET value = 77 WHERE name = 'created_us'")
    spread(data, new, parts=2)
    for path in paths_of(str(new), 2):
        assert column(path, "SELECT value FROM meta WHERE name = 'created_us'") == [77]
    # A part of the old store in the place of a part of the new one is detected.
    Path(f"{new}.1").write_bytes(Path(f"{data}.1").read_bytes())
    assert check(new) == [f"{new}.1 is part 2 of 2, but of another store: it was not made together with the first part"]


def test_memory_does_not_grow_with_the_store(data: Path, new: Path) -> None:
    # Given a store of more than 15 megabytes,
    make(data, 1, [f"i-{i}" for i in range(500)], entry_bytes=10_000)
    assert data.stat().st_size > 15_000_000
    # when it is spread,
    tracemalloc.start()
    try:
        spread(data, new, parts=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # then only a few of its rows were in memory at any time.
    assert peak < 2_000_000


def test_a_store_of_the_first_release_is_spread_without_being_changed(data: Path, new: Path) -> None:
    make(data, 1)
    for statement in TO_VERSION_3:
        change(data, statement)
    change(data, "DELETE FROM meta WHERE name IN ('part', 'parts', 'layout')")
    change(data, "UPDATE meta SET value = 1 WHERE name = 'schema'")
    change(data, "DELETE FROM meta WHERE name IN ('store', 'unsealed_key', 'unsealed_position')")
    before = files(data.parent)
    spread(data, new, parts=4)
    assert files(data.parent) == before
    assert seen(new, 4) == seen(data, 1)


def test_what_the_last_host_left_in_its_log_file_comes_along(data: Path, new: Path) -> None:
    # Given a store whose host was killed before its commits were in the database file,
    code = f"""
import anyio, os, signal
from pathlib import Path
from store_parts import make
from perdure.actors.store.sqlite.store import SqliteStore
async def close(self): os.kill(os.getpid(), signal.SIGKILL)
SqliteStore.close = close
make(Path({str(data)!r}), 1)
"""
    died = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests/support/actors", check=False)
    assert died.returncode == -signal.SIGKILL
    assert Path(f"{data}-wal").stat().st_size > 0
    # then no row of it is missing.
    spread(data, new, parts=2)
    assert set(seen(new, 2)) >= set(IDS)


# Spreads that are refused.


def test_a_store_in_use_is_not_spread(data: Path, new: Path) -> None:
    make(data, 2)

    async def use() -> None:
        async with opened(data, Part(1, 2)):
            with pytest.raises(StoreLocked, match=r"\.1 is in use"):
                spread(data, new, parts=4)

    anyio.run(use)
    assert files(new.parent) == {}
    # The part that is not in use is free again afterwards.
    spread(data, new, parts=4)
    make_ready(data, parts=2)
    assert len(seen(data, 2)) == len(IDS)


def test_hosts_cannot_begin_on_half_a_new_store(data: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(data, 1)
    refused: list[str] = []
    original = layout.compare

    def compare(old: list[str], made: list[str]) -> None:
        original(old, made)
        for index in range(2):
            with pytest.raises(StoreLocked) as locked:
                anyio.run(SqliteStore(Part(index, 2).path(str(new)), part=Part(index, 2)).open)
            refused.append(locked.value.path)

    monkeypatch.setattr(layout, "compare", compare)
    spread(data, new, parts=2)
    assert refused == paths_of(str(new), 2)


@pytest.mark.parametrize("name", ["new.db", "new.db.1", "new.db.3", "new.db-wal", "new.db.2-journal"])
def test_nothing_is_overwritten(data: Path, new: Path, name: str) -> None:
    make(data, 1)
    (new.parent / name).write_text("precious")
    with pytest.raises(StoreFailed, match=f"{name} exists already.*does not overwrite"):
        spread(data, new, parts=4)
    assert files(new.parent) == {name: b"precious"}


def test_a_store_is_not_spread_over_itself(data: Path) -> None:
    make(data, 2)
    before = files(data.parent)
    with pytest.raises(StoreFailed, match="exists already"):
        spread(data, data, parts=4)
    assert files(data.parent) == before


@pytest.mark.parametrize("parts", [0, 65, 10**12])
def test_each_part_needs_a_shard(data: Path, new: Path, parts: int) -> None:
    make(data, 1)
    with pytest.raises(StoreFailed, match=f"1 to 64 parts, not {parts}"):
        spread(data, new, parts=parts)


def test_a_folder_that_is_not_there_is_said(data: Path, new: Path) -> None:
    make(data, 1)
    with pytest.raises(StoreFailed, match="nowhere"):
        spread(data, new.parent / "nowhere" / "new.db", parts=2)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("INSERT INTO active VALUES (777)", "not sound.*key 777"),
        ("INSERT INTO actors (type, id, record) VALUES ('wf', 'a', x'')", "not sound.*1 actors belong to another part"),
        ("UPDATE meta SET value = 2 WHERE name = 'part'", r"\.1 is part 3 of 4, and should be part 2 of 4"),
        ("UPDATE meta SET value = 3 WHERE name = 'layout'", "of another store"),
        ("UPDATE meta SET value = 99 WHERE name = 'schema'", "store version 99"),
    ],
)
def test_a_store_that_is_not_sound_or_not_complete_is_not_spread(
    data: Path, new: Path, damage: str, reason: str
) -> None:
    make(data, 4)
    change(f"{data}.1", damage)
    with pytest.raises((StoreFailed, StoreTooNew), match=reason):
        spread(data, new, parts=2)
    assert files(new.parent) == {}


def test_a_store_with_a_part_missing_is_not_spread(data: Path, new: Path) -> None:
    make(data, 3)
    os.unlink(f"{data}.2")
    with pytest.raises(StoreFailed, match="which should be part 3 of 3, is missing"):
        spread(data, new, parts=1)


def test_a_part_is_not_taken_for_a_store(data: Path, new: Path) -> None:
    make(data, 3)
    with pytest.raises(StoreFailed, match="is part 2 of 3 of a store: name the first"):
        spread(f"{data}.1", new, parts=1)


@pytest.mark.parametrize("lost", ["actors", "active", "log", "reminders"])
def test_a_row_that_was_left_behind_is_noticed(
    data: Path, new: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(data, 1)
    copied = [(select + (" LIMIT 10" if f"INTO {lost}" in insert else ""), insert) for select, insert in layout.COPIED]
    monkeypatch.setattr(layout, "COPIED", copied)
    with pytest.raises(StoreFailed, match=r"rows of .* should have"):
        spread(data, new, parts=2)
    assert files(new.parent) == {}


# Interrupted.

KILLED = """
import os, signal, sys
from perdure.actors.store.sqlite import files, layout
data, new, where, nth = sys.argv[1:]
module = {"pour": layout, "compare": layout, "publish": files}[where]
original, calls = getattr(module, where), 0

def dies(*args, **named):
    global calls
    calls += 1
    if calls == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **named)

setattr(module, where, dies)
layout.spread(data, new, parts=3)
"""


@pytest.mark.parametrize(
    ("where", "nth", "left"),
    [("pour", 2, set()), ("compare", 1, set()), ("publish", 1, set()), ("publish", 3, {"new.db.1", "new.db.2"})],
)
def test_a_spread_that_is_killed_leaves_no_store(data: Path, new: Path, where: str, nth: int, left: set[str]) -> None:
    # Given a spread that was killed at any point,
    make(data, 2)
    before = files(data.parent)
    died = subprocess.run([sys.executable, "-c", KILLED, str(data), str(new), where, str(nth)], check=False)
    assert died.returncode == -signal.SIGKILL
    # then the old store has not changed, no store has the new name, and no daemon makes one of the remaining files,
    assert files(data.parent) == before
    assert {name for name in files(new.parent) if not name.endswith(".partial")} == left
    with pytest.raises(StoreFailed, match="there is no store"):
        check(new)
    if left:
        with pytest.raises(StoreFailed, match="the first part of the store, is not"):
            make_ready(new, parts=3)
        with pytest.raises(StoreFailed, match="exists already"):
            spread(data, new, parts=3)
    # and without the remaining files the spread succeeds.
    for name in left:
        (new.parent / name).unlink()
    spread(data, new, parts=3)
    assert seen(new, 3) == seen(data, 2)
    assert {name for name in files(new.parent) if not name.endswith(".id")} == {"new.db", "new.db.1", "new.db.2"}


def test_a_spread_that_fails_at_the_end_takes_back_what_it_made(
    data: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(data, 1)
    rename = os.rename

    def fail_for_the_first(old: str, name: str) -> None:
        if name == str(new):
            raise OSError(28, "No space left on device")
        rename(old, name)

    monkeypatch.setattr(os, "rename", fail_for_the_first)
    with pytest.raises(StoreFailed, match="No space left"):
        spread(data, new, parts=3)
    assert files(new.parent) == {}


# A new store.


@pytest.mark.parametrize("parts", [1, 2, 64])
def test_a_store_that_is_not_there_is_made_in_all_its_parts(new: Path, parts: int) -> None:
    make_ready(new, parts=parts)
    assert set(files(new.parent)) == {Path(path).name for path in paths_of(str(new), parts)}
    assert check(new) == []
    assert seen(new, parts) == {}
    layouts = [column(path, "SELECT value FROM meta WHERE name = 'layout'") for path in paths_of(str(new), parts)]
    assert all(each == layouts[0] for each in layouts)


def test_a_store_that_is_there_is_left_as_it_is(data: Path) -> None:
    make(data, 3)
    before = files(data.parent)
    make_ready(data, parts=3)
    assert files(data.parent) == before


def test_a_store_in_use_may_be_looked_at_before_another_of_its_hosts_starts(data: Path) -> None:
    make(data, 2)

    async def use() -> None:
        async with opened(data, Part(0, 2)):
            make_ready(data, parts=2)

    anyio.run(use)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_part_is_not_made_again(data: Path, lost: int) -> None:
    make(data, 3)
    os.unlink(Part(lost, 3).path(str(data)))
    before = files(data.parent)
    with pytest.raises(StoreFailed, match=r"is missing|is not$"):
        make_ready(data, parts=3)
    assert files(data.parent) == before


def test_a_part_that_a_host_made_anew_by_itself_is_of_another_store(data: Path) -> None:
    make(data, 2)
    os.unlink(f"{data}.1")
    os.unlink(f"{data}.1.id")
    anyio.run(claim, data, Part(1, 2))
    with pytest.raises(StoreFailed, match="of another store"):
        make_ready(data, parts=2)


def test_parts_that_hosts_made_without_being_told_belong_together(data: Path) -> None:
    for index in range(2):
        anyio.run(claim, data, Part(index, 2))
    make_ready(data, parts=2)
    assert check(data) == []


@pytest.mark.parametrize(("had", "asked"), [(1, 2), (4, 2), (2, 1)])
def test_a_store_of_another_number_of_parts_is_refused(data: Path, had: int, asked: int) -> None:
    make(data, had)
    before = files(data.parent)
    with pytest.raises(StoreDivided, match=f"is part 1 of {had}, and part 1 of {asked} was asked for"):
        make_ready(data, parts=asked)
    assert files(data.parent) == before


def test_a_new_store_of_more_parts_than_shards_is_refused(new: Path) -> None:
    with pytest.raises(ValueError, match="1 to 64 parts, not 65"):
        make_ready(new, parts=65)


def test_a_file_of_another_program_is_not_made_a_store(new: Path) -> None:
    new.write_text("dear diary\n" * 500)
    before = files(new.parent)
    with pytest.raises(StoreError, match="cannot be read as a store"):
        make_ready(new, parts=2)
    assert files(new.parent) == before


def test_items_go_where_their_actor_goes(data: Path, new: Path) -> None:
    # Given a store of three parts, with items of an actor in each,
    make(data, 3)
    owners = {
        part: Address("wf", next(id_ for id_ in IDS if part.holds(shard_of(id_, SHARDS)))) for part in parts_of_3()
    }

    async def fill(part: Part) -> None:
        async with opened(data, part) as store:
            fences = await store.claim("host", now_us=1)
            (stored,) = await store.load([owners[part]])
            assert isinstance(stored, Stored)
            items = [("a", Item(b"1", 1)), (f"{part.index}", Item(b"v" * 9000, 2, 7))]
            await store.commit([write(stored.key, owners[part], items=items)], fences)

    for part in parts_of_3():
        anyio.run(fill, part)
    # when it is spread over two, then each actor has its own items.
    spread(data, new, parts=2)
    assert check(new) == []

    async def look(old: Part) -> None:
        here = next(part for part in (Part(0, 2), Part(1, 2)) if part.holds(shard_of(owners[old].id, SHARDS)))
        async with opened(new, here) as store:
            found = await store.items(owners[old], ["a", f"{old.index}"])
            assert found is not None
            assert found.items == {"a": Item(b"1", 1), f"{old.index}": Item(b"v" * 9000, 2, 7)}

    for part in parts_of_3():
        anyio.run(look, part)


def parts_of_3() -> list[Part]:
    return [Part(index, 3) for index in range(3)]
