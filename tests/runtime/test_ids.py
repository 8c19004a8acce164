"""Ids that we make are UUIDs, never the same, and in the order of their making."""

import time
from uuid import RFC_4122, UUID

import pytest

from perdure.runtime import ids


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = ids.make_id()
    parsed = UUID(made)
    assert (str(parsed), parsed.version, parsed.variant) == (made, 7, RFC_4122)


def test_ids_are_not_made_twice() -> None:
    assert len({ids.make_id() for _ in range(20_000)}) == 20_000


def test_a_later_id_comes_behind_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for at_ns in (0, 1_000_000, 1_764_000_000_000_000_000, 1_764_000_000_001_000_000):
        monkeypatch.setattr(time, "time_ns", lambda at_ns=at_ns: at_ns)
        made.append(ids.make_id())
    assert made == sorted(made)
