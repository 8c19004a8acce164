"""An address names an actor, and its shard never changes."""

import pytest

from perdure.actors.address import Address, shard_of


@pytest.mark.parametrize(
    ("actor_id", "shard"),
    [("", 0), ("a", 3), ("order-12345678", 13), ("12345678:0001", 8), ("größe", 9), ("工作流", 9)],
)
def test_the_shard_of_an_id_is_pinned_because_stores_are_laid_out_by_it(actor_id: str, shard: int) -> None:
    assert shard_of(actor_id, 64) == shard


def test_actors_of_different_types_with_one_id_share_a_shard() -> None:
    assert shard_of(Address("workflow", "x").id, 64) == shard_of(Address("activity", "x").id, 64)


def test_ids_spread_over_all_shards() -> None:
    counts = [0] * 64
    for number in range(64_000):
        counts[shard_of(f"order-{number}", 64)] += 1
    assert min(counts) > 800
    assert max(counts) < 1_200


def test_an_address_reads_as_type_and_id() -> None:
    assert str(Address("workflow", "42")) == "workflow/42"
