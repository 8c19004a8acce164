"""Ids that Perdure makes are UUIDs, all different, and in the order in which they were made."""

from uuid import RFC_4122, UUID

from perdure.actors.instruments import SYSTEM, Instruments
from perdure.runtime.execution import ids


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = ids.make_id(SYSTEM)
    parsed = UUID(made)
    assert (str(parsed), parsed.version, parsed.variant) == (made, 7, RFC_4122)


def test_ids_are_not_made_twice() -> None:
    assert len({ids.make_id(SYSTEM) for _ in range(20_000)}) == 20_000


def test_a_later_id_comes_behind_an_earlier_one() -> None:
    dates_ns = iter((0, 1_000_000, 1_764_000_000_000_000_000, 1_764_000_000_001_000_000))
    instruments = Instruments(time_ns=lambda: next(dates_ns))
    made = [ids.make_id(instruments) for _ in range(4)]
    assert made == sorted(made)


def test_the_same_chance_and_date_make_the_same_id() -> None:
    made = ids.make_id(Instruments(chance=lambda size: bytes(range(size)), time_ns=lambda: 1_764_000_000_000_000_000))
    assert made == "019ab697-e800-7000-9020-304050607080"
