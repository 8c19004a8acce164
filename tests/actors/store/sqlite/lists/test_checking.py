"""A check finds contradictions in the tables of lists."""

from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.listing import Facets
from perdure.actors.store.sqlite.maintenance import check

from .....support.actors.sqlite_file import change, opened, write


@pytest.fixture
def listed(path: Path) -> Path:
    """A stopped store with two actors in lists."""

    async def fill() -> None:
        async with opened(path) as store:
            fences = await store.claim("host", now_us=1)
            writes = [
                write(
                    store.new_key(),
                    Address("wf", id_),
                    record=b"r",
                    facets=Facets("Order", "RUNNING", 1, 1, tags=(("k", id_), ("l", "ü"))),
                )
                for id_ in "ab"
            ]
            await store.commit(writes, fences)

    anyio.run(fill)
    return path


def test_a_sound_store_has_no_faults(listed: Path) -> None:
    assert check(listed) == []


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE facets SET kind = 9 WHERE key = 2", "1 facets are of a kind that is not there; the first has key 2"),
        ("DELETE FROM kinds", "2 facets are of a kind that is not there; the first has key 1"),
        (
            "INSERT INTO facets VALUES (9, 1, 1, 1, NULL, NULL, NULL)",
            "1 facets belong to no actor; the first has key 9",
        ),
        ("DELETE FROM tags WHERE key = 2", "2 tags are not found by their names; the first is of key 2"),
        ("INSERT INTO tags VALUES ('x', 'y', 1, 2)", "1 tags are not those of their actor; the first has key 2"),
        ("INSERT INTO tags VALUES ('x', 'y', 1, 7)", "1 tags are not those of their actor; the first has key 7"),
        ("UPDATE facets SET tags = NULL WHERE key = 1", "2 tags are not those of their actor; the first has key 1"),
    ],
)
def test_what_does_not_fit_together_is_said(listed: Path, damage: str, fault: str) -> None:
    change(listed, damage)
    assert check(listed) == [fault]


def test_tags_that_are_no_tags_end_the_check_with_a_sentence(listed: Path) -> None:
    change(listed, "UPDATE facets SET tags = '[' WHERE key = 1")
    (fault,) = check(listed)
    assert fault.startswith("reading stopped: malformed JSON")
