"""Work is noted before it begins in shards of a host that has died, and nowhere else."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.cluster.placement import Placement
from perdure.actors.hosting.shards import flights
from perdure.actors.hosting.shards.flights import FlightNotes
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.presence.flights import SIGN_OF_LIFE, FlightKey, FlightNote
from perdure.testing.virtual_time import run_virtually

SHARDS = 4
ME, DEAD = 7, 1
A = Address("wf", "a")
OTHER = next(each for n in range(99) if shard_of((each := Address("wf", f"b{n}")).id, SHARDS) != shard_of("a", SHARDS))
SHARD = shard_of("a", SHARDS)


class Book:
    """Notes in memory, with possible faults."""

    host = ME

    def __init__(self) -> None:
        self.notes: dict[tuple[int, FlightKey], FlightNote] = {}
        self.written: list[Sequence[FlightNote]] = []
        self.failing = False
        self.struck: list[Mapping[int, int]] = []

    async def note(self, put: Sequence[FlightNote], gone: Sequence[FlightKey] = ()) -> None:
        await anyio.sleep(0.002)
        if self.failing:
            raise StoreFailed("it is away")
        assert not {note.key for note in put}.intersection(gone)
        self.written.append(put)
        for key in gone:
            self.notes.pop((ME, key), None)
        self.notes.update({(ME, note.key): note for note in put})

    async def flights(self) -> Sequence[FlightNote]:
        return list(self.notes.values())

    async def strike(self, epochs: Mapping[int, int]) -> None:
        self.struck.append(epochs)
        self.notes = {k: n for k, n in self.notes.items() if n.epoch >= epochs.get(n.shard, 0)}

    def mine(self) -> dict[FlightKey, FlightNote]:
        return {key: note for (host, key), note in self.notes.items() if host == ME and key[0] != SIGN_OF_LIFE}


class Bench:
    """The notes of a host that has all shards, at epoch 5."""

    def __init__(self) -> None:
        self.book = Book()
        self.taken: list[Address] = []  # turns that were let continue
        self.idle = False  # nothing waits for a turn
        self.notes = FlightNotes(self.book)
        self.notes.types = frozenset(("wf",))
        placement = Placement("me")
        placement.claimed(dict.fromkeys(range(SHARDS), 5), shards=SHARDS)
        self.unrecovered: list[Address] = []
        self.notes.attach(placement, self._go_on, lambda: tuple(self.unrecovered))

    def _go_on(self, address: Address) -> bool:
        self.taken.append(address)
        return not self.idle

    async def take(self, *, lost: bool = True) -> None:
        """Open the shard of A."""
        epochs = {SHARD: 5}
        gone = frozenset((SHARD,)) if lost else frozenset[int]()
        self.notes.come(epochs, gone, await self.notes.look(epochs, gone))


def story(tell: Callable[[Bench], Awaitable[None]]) -> None:
    async def told() -> None:
        bench = Bench()
        with anyio.fail_after(1000):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bench.notes.run)
                await tell(bench)
                tasks.cancel_scope.cancel()

    run_virtually(told)


def test_where_no_host_has_died_nothing_waits_and_nothing_is_written() -> None:
    async def tell(bench: Bench) -> None:
        await bench.take(lost=False)
        assert not bench.notes.watching
        assert not bench.notes.holds(A)
        assert not bench.notes.waits_for(A)
        assert bench.notes.begin(A, "a:1") == -1
        bench.notes.end(-1)
        bench.notes.turn_begins(A)
        bench.notes.turns_over()
        await anyio.sleep(60)
        assert bench.book.written == []

    story(tell)


def test_a_turn_in_a_watched_shard_goes_on_once_it_is_noted_and_is_struck_once_it_is_over() -> None:
    async def tell(bench: Bench) -> None:
        await bench.take()
        assert not bench.notes.holds(OTHER)
        assert not bench.notes.holds(Address("mark", "a"))
        assert bench.notes.holds(A)
        assert bench.taken == []
        await anyio.sleep(0.01)
        assert bench.taken == [A]
        assert not bench.notes.holds(A)
        note = bench.book.mine()[A, ""]
        assert (note.host, note.shard, note.epoch, note.ends) == (ME, SHARD, 5, 0)
        bench.notes.turn_begins(A)
        await anyio.sleep(0.5)
        # The host shows that it lives while work is under way.
        assert bench.book.notes[ME, (SIGN_OF_LIFE, "")].begun_s == pytest.approx(anyio.current_time(), abs=0.3)
        bench.notes.turns_over()
        await anyio.sleep(0.01)
        assert bench.book.mine() == {}
        # The next turn has a new note.
        assert bench.notes.holds(A)

    story(tell)


def test_a_turn_for_which_nothing_is_left_to_do_is_struck() -> None:
    async def tell(bench: Bench) -> None:
        await bench.take()
        bench.idle = True
        assert bench.notes.holds(A)
        await anyio.sleep(0.1)
        assert bench.book.mine() == {}

    story(tell)


def test_an_activity_waits_for_its_note_and_many_are_noted_with_one_statement() -> None:
    async def tell(bench: Bench) -> None:
        await bench.take()
        assert bench.notes.waits_for(A)
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(bench.notes.noted, A, f"a:{number}")
        assert len(bench.book.mine()) == 100
        assert len(bench.book.written) <= 2
        slots = [bench.notes.begin(A, f"a:{number}") for number in range(100)]
        assert len(set(slots)) == 100
        for slot in slots:
            bench.notes.end(slot)
        await anyio.sleep(0.1)
        assert bench.book.mine() == {}

    story(tell)


def test_what_waits_for_its_note_waits_while_the_store_is_away() -> None:
    async def tell(bench: Bench) -> None:
        await bench.take()
        bench.book.failing = True
        assert bench.notes.holds(A)
        await anyio.sleep(5)
        assert bench.taken == []
        bench.book.failing = False
        await anyio.sleep(1)
        assert bench.taken == [A]

    story(tell)


def test_a_shard_is_watched_for_a_while_and_as_long_as_it_is_being_recovered() -> None:
    async def tell(bench: Bench) -> None:
        bench.book.notes[DEAD, (OTHER, "")] = FlightNote(DEAD, A, "a:1", SHARD, 4, None)
        bench.unrecovered = [A]
        await bench.take()
        await anyio.sleep(3 * flights.WATCH_S)
        assert bench.notes.watching
        assert bench.book.struck == []
        bench.unrecovered = []
        await anyio.sleep(2)
        assert not bench.notes.watching
        # Then the notes of the hosts before it are struck.
        assert bench.book.struck == [{SHARD: 5}]
        assert bench.book.notes == {}
        # An activity that was requested in that time is still noted.
        await bench.notes.noted(A, "a:1")
        assert (A, "a:1") in bench.book.mine()

    story(tell)


def test_suspects_are_noted_until_they_are_cleared_and_so_is_that_they_have_had_the_floor() -> None:
    async def tell(bench: Bench) -> None:
        # Given a host that has died with an activity under way,
        bench.book.notes[DEAD, (A, "a:1")] = FlightNote(DEAD, A, "a:1", SHARD, 4, 1.0)
        await bench.take()
        # then it is suspect, and that is noted before the shard is open,
        (suspect,) = bench.notes.suspects
        note = bench.book.mine()[A, "a:1"]
        assert (note.epoch, note.ends, note.begun_s, note.tried) == (5, 1, None, False)
        # with the floor it is tried, and under way once it has begun,
        bench.notes.tries(suspect.name)
        await bench.notes.noted(A, "a:1")
        note = bench.book.mine()[A, "a:1"]
        assert note.tried
        assert note.begun_s is not None
        # and cleared with its end.
        bench.notes.end(bench.notes.begin(A, "a:1"))
        assert bench.notes.suspects == []
        await anyio.sleep(0.1)
        assert bench.book.mine() == {}

    story(tell)


def test_a_suspect_of_which_nothing_begins_with_the_floor_is_cleared_after_a_while() -> None:
    async def tell(bench: Bench) -> None:
        bench.book.notes[DEAD, (A, "a:1")] = FlightNote(DEAD, A, "a:1", SHARD, 4, 1.0)
        await bench.take()
        (suspect,) = bench.notes.suspects
        bench.notes.tries(suspect.name)
        bench.notes.heard(suspect.name)
        await anyio.sleep(flights.WATCH_S / 2)
        assert bench.notes.suspects == [suspect._replace(tried=True)]
        await anyio.sleep(flights.WATCH_S)
        assert bench.notes.suspects == []
        assert bench.book.mine() == {}

    story(tell)


def test_a_shard_that_leaves_lets_go_what_waits_and_leaves_its_suspects_to_the_next_owner() -> None:
    async def tell(bench: Bench) -> None:
        bench.book.notes[DEAD, (A, "a:1")] = FlightNote(DEAD, A, "a:1", SHARD, 4, 1.0)
        await bench.take()
        await bench.notes.noted(A, "a:2")
        bench.book.failing = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.notes.noted, A, "a:3")
            await anyio.sleep(0.1)
            bench.notes.leave(lambda address: address == A, SHARD)
        bench.book.failing = False
        await anyio.sleep(1)
        assert bench.notes.suspects == []
        assert not bench.notes.watching
        assert bench.book.mine().keys() == {(A, "a:1")}

    story(tell)
