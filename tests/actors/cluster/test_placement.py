"""Every address resolves through the placement table."""

import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.cluster.placement import Ownership, Placement
from perdure.actors.errors import HostNotRunning, NotOwner

A = Address("workflow", "a")


def test_a_shard_that_was_not_claimed_has_no_owner() -> None:
    placement = Placement("here")
    placement.claimed({}, shards=64)
    with pytest.raises(NotOwner, match="belongs to no host"):
        placement.locate(A)


def test_before_anything_is_claimed_the_host_is_not_running() -> None:
    with pytest.raises(HostNotRunning):
        Placement("here").locate(A)


def test_an_address_in_a_claimed_shard_is_located_with_its_epoch() -> None:
    placement = Placement("here")
    placement.claimed(dict.fromkeys(range(64), 7), shards=64)
    shard = placement.locate(A)
    assert shard == shard_of("a", 64)
    assert placement.epoch(shard) == 7


def test_a_shard_that_was_lost_names_its_new_owner() -> None:
    placement = Placement("here")
    placement.claimed(dict.fromkeys(range(64), 7), shards=64)
    placement.lost(shard_of("a", 64), Ownership(host="there", epoch=8))
    with pytest.raises(NotOwner, match="belongs to there"):
        placement.locate(A)


def test_a_shard_is_claimed_again_only_at_a_higher_epoch() -> None:
    placement = Placement("here")
    placement.claimed({0: 7}, shards=1)
    placement.claimed({0: 8}, shards=1)
    with pytest.raises(AssertionError):
        placement.claimed({0: 8}, shards=1)


def test_the_owner_of_an_actor_is_named_only_if_it_is_another_host() -> None:
    placement = Placement("here")
    placement.claimed(dict.fromkeys(range(64), 7), shards=64)
    assert placement.elsewhere(A) is None
    placement.lost(shard_of("a", 64), Ownership(host="there", epoch=8))
    assert placement.elsewhere(A) == "there"


def test_a_host_owns_what_it_has_claimed_and_not_lost() -> None:
    placement = Placement("here")
    placement.claimed({shard_of("b", 64): 7}, shards=64)
    assert placement.owns(Address("workflow", "b"))
    assert not placement.owns(A)
    placement.lost(shard_of("b", 64), Ownership(host="there", epoch=8))
    assert not placement.owns(Address("workflow", "b"))


def test_a_shard_moves_only_to_a_higher_epoch_and_is_freed_at_its_last_one() -> None:
    placement = Placement("here")
    placement.sized(1)
    assert placement.owner(0) is None
    assert placement.moved(0, Ownership(host="there", epoch=3))
    assert placement.owner(0) == "there"
    # News that is not newer is ignored, from any source.
    assert not placement.moved(0, Ownership(host="elsewhere", epoch=3))
    assert placement.moved(0, None)
    assert not placement.moved(0, None)
    assert (placement.owner(0), placement.known_epoch(0)) == (None, 3)
    assert not placement.moved(0, Ownership(host="there", epoch=3))
    assert placement.moved(0, Ownership(host="elsewhere", epoch=4))


def test_a_host_that_was_found_dead_knows_no_owners_and_no_epochs() -> None:
    placement = Placement("here")
    placement.claimed({0: 7}, shards=2)
    placement.moved(1, Ownership(host="there", epoch=9))
    placement.abandoned()
    assert [placement.owner(0), placement.owner(1), placement.known_epoch(1)] == [None, None, 0]
    # The store may have gone back to an earlier moment.
    placement.claimed({1: 8}, shards=2)
    assert placement.owner(1) == "here"
