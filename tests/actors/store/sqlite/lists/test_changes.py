"""Tags are found by name and value exactly while their actor has them."""

from pathlib import Path

import pytest

from perdure.actors.address import Address
from perdure.actors.store.listing import Facets
from perdure.actors.store.sqlite.maintenance import check

from .....support.actors.sqlite_file import on_writer, opened, write

pytestmark = pytest.mark.anyio

A, B = Address("wf", "a"), Address("wf", "b")


def tagged(created_us: int, **tags: str) -> Facets:
    return Facets("Order", "RUNNING", created_us, created_us, tags=tuple(sorted(tags.items())))


async def test_the_rows_of_tags_follow_the_facets(path: Path) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        a, b = store.new_key(), store.new_key()

        async def rows() -> list[tuple[str, str, int, int]]:
            found: list[tuple[str, str, int, int]] = await on_writer(
                store, lambda connection: connection.execute("SELECT * FROM tags ORDER BY key, name").fetchall()
            )
            return found

        await store.commit(
            [
                write(a, A, record=b"", facets=tagged(1, k="v", l="ü'\"")),
                write(b, B, record=b"", facets=tagged(2, k="v")),
            ],
            fences,
        )
        assert await rows() == [("k", "v", 1, a), ("l", "ü'\"", 1, a), ("k", "v", 2, b)]
        # Facets with the same tags write none again,
        changes = await on_writer(store, lambda connection: connection.total_changes)
        same = tagged(1, k="v", l="ü'\"")
        await store.commit([write(a, A, facets=same, facets_before=same)], fences)
        assert await on_writer(store, lambda connection: connection.total_changes) == changes + 1
        # other tags replace the old ones, as another time of creation does,
        await store.commit([write(a, A, facets=tagged(1, k="w")), write(b, B, facets=tagged(5, k="v"))], fences)
        assert await rows() == [("k", "w", 1, a), ("k", "v", 5, b)]
        # and tags are deleted with the actor.
        await store.commit([write(a, A, delete=True), write(b, B, facets=tagged(5))], fences)
        assert await rows() == []
    assert check(path) == []
