"""A check finds rows that differ from the ones written, and rows that contradict each other."""

import pytest

from perdure.actors.address import Address
from perdure.actors.store.audit import AuditRow
from perdure.actors.store.contract import Stored
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.listing import Facets
from perdure.actors.store.postgres.checking import check
from perdure.actors.store.postgres.driver import AsyncpgDriver
from perdure.actors.store.postgres.url import parse_url
from perdure.actors.store.tables.expected import Expected

from ....support.actors.store_bench import Bench, write
from ....support.postgres import PostgresServer

pytestmark = pytest.mark.anyio

A = Address("wf", "a")


@pytest.fixture
async def filled(bench: Bench) -> Bench:
    facets = Facets("N", "R", 1, 1, tags=(("k", "v"),))
    key = bench.store.new_key()
    audit = [AuditRow("x", "y", b"z")]
    await bench.commit(write(key, A, record=b"r", entry=b"e", facets=facets, reminders_set=[("r", 5)], audit=audit))
    # A commit without an entry leaves a row by which it would be found; that is no fault.
    await bench.commit(write(key, A, audit=audit))
    return bench


async def change(url: str, sql: str) -> None:
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect({"application_name": "test", "search_path": parsed.schema})
    await session.run_together([sql])
    await session.close()


@pytest.mark.usefixtures("filled")
async def test_a_store_that_is_worked_on_is_sound(url: str) -> None:
    assert await check(url) == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ("UPDATE actors SET record = record || 'x'", "wf/a: its record does not match its checksum"),
        ("UPDATE log SET entry = entry || 'x' WHERE key > 0", "does not match its checksum"),
        ("UPDATE log SET at_us = 77 WHERE key > 0", "does not match its checksum"),
        ("INSERT INTO log VALUES (77, 1, 1, '')", "1 log entries belong to no actor; the first has key 77"),
        ("INSERT INTO reminders VALUES (1, 77, 'r', 0)", "1 reminders belong to no actor; the first has key 77"),
        # Not a number above 0: the tests of one server draw them from one sequence, and each may become a kind later.
        ("UPDATE actors SET kind = -1", "1 actors are of a kind that is not there"),
        ("INSERT INTO tallies SELECT kind, 1 FROM kinds LIMIT 1", "1 kinds have another number of actors than their"),
        ("DELETE FROM tags", "1 actors have tags by which they are not found"),
        ("UPDATE tags SET value = 'w'", "1 tags are not those of their actor"),
        ("UPDATE audit SET author = 'z'", "2 rows of the audit do not match their checksums"),
    ],
)
@pytest.mark.usefixtures("filled")
async def test_what_is_wrong_is_told(url: str, wrong: str, fault: str) -> None:
    await change(url, wrong)
    assert fault in "\n".join(await check(url))


@pytest.mark.usefixtures("filled")
async def test_timers_and_marks_are_compared_with_what_each_actor_says(url: str) -> None:
    def expect(address: Address, stored: Stored) -> Expected:
        assert (address, list(stored.entries)) == (A, [b"e"])
        return Expected(frozenset({("r", 5), ("s", 6)}), active=True)

    assert await check(url, expect) == [
        "wf/a: its timer s is due at 6 µs, and has no such reminder",
        "wf/a: it has something in flight, and no active mark",
    ]


async def test_where_there_is_no_store_nothing_is_made(server: PostgresServer) -> None:
    url = server.url()
    with pytest.raises(StoreFailed, match="has no store"):
        await check(url)
    assert server.sql(f"SELECT count(*) FROM pg_namespace WHERE nspname = '{parse_url(url).schema}'") == "0"
