"""The part and the file of each shard are pinned, because the layout of stores depends on them."""

import pytest

from perdure.actors.store.part import WHOLE, Part, check_parts, part_of


def test_a_shard_lies_in_the_part_of_its_number_modulo_the_parts() -> None:
    assert [part_of(shard, 3) for shard in range(7)] == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 64])
def test_each_shard_is_held_by_one_part_and_each_part_holds_some(parts: int) -> None:
    holders = [[part.index for part in all_of(parts) if part.holds(shard)] for shard in range(64)]
    assert all(len(holding) == 1 for holding in holders)
    assert {index for (index,) in holders} == set(range(parts))


def all_of(parts: int) -> list[Part]:
    return [Part(index, parts) for index in range(parts)]


def test_the_first_part_has_the_stores_name_and_the_others_a_number() -> None:
    assert [part.path("a/p.db") for part in all_of(3)] == ["a/p.db", "a/p.db.1", "a/p.db.2"]
    assert WHOLE.path("p.db") == "p.db"


def test_people_count_from_one() -> None:
    assert [str(part) for part in (*all_of(2), WHOLE)] == ["part 1 of 2", "part 2 of 2", "part 1 of 1"]


@pytest.mark.parametrize("parts", [0, -1, 65])
def test_a_part_without_a_shard_is_refused(parts: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 64 parts, not {parts}"):
        check_parts(parts, shards=64)


def test_as_many_parts_as_shards_are_allowed() -> None:
    check_parts(64, shards=64)
