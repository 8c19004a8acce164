"""A membership names the hosts of a daemon; a fixed one always names the same hosts."""

from perdure.actors.cluster.membership import FixedMembership, Membership, name_of_id
from perdure.actors.cluster.transport.endpoint import UnixEndpoint
from perdure.actors.store.part import Part


def test_a_fixed_membership_names_the_other_parts_in_their_order() -> None:
    membership: Membership = FixedMembership(part=Part(1, 3), directory="/sockets")
    assert membership.me == "host-1"
    assert membership.others() == {"host-0": UnixEndpoint("/sockets/0"), "host-2": UnixEndpoint("/sockets/2")}
    assert list(membership.others()) == ["host-0", "host-2"]


def test_the_owner_of_a_shard_follows_from_its_number() -> None:
    membership = FixedMembership(part=Part(1, 3), directory="/sockets")
    assert [membership.owner(shard) for shard in range(5)] == [0, 1, 2, 0, 1]


def test_an_id_that_is_negative_in_a_database_has_a_name_too() -> None:
    assert name_of_id(1) == "host-0000000000000001"
    assert name_of_id(-1) == "host-ffffffffffffffff"
