"""The apps of a store, the ones that a host can reach, and the shards of their actors."""

from collections.abc import Mapping

import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.presence.apps import AppNames, apps_in, ring_named, rings_of, shard_in, with_apps


@pytest.mark.parametrize(
    ("known", "asked", "alone", "then"),
    [
        ({}, AppNames(), True, {}),  # a process without an app names none
        ({}, AppNames(("a", "b")), True, {"a": 0, "b": 1}),
        ({"a": 0}, AppNames(("b",)), True, {"a": 0, "b": 1}),  # an id that was given is another app
        ({"a": 0}, AppNames(("b",), said=False), True, {"b": 0}),  # code that was renamed is not
        ({"a": 0}, AppNames(("b",), said=False), False, {"a": 0, "b": 1}),  # another host may have the app
        ({"a": 0, "b": 1}, AppNames(("c",), said=False), True, {"a": 0, "b": 1, "c": 2}),
        ({"a": 0, "b": 1}, AppNames(("b",), said=False), True, {"a": 0, "b": 1}),
    ],
)
def test_a_store_learns_the_apps_of_its_hosts(
    known: Mapping[str, int], asked: AppNames, alone: bool, then: Mapping[str, int]
) -> None:
    assert with_apps(known, asked, alone=alone) == then


def test_the_first_app_has_the_ring_without_a_name() -> None:
    apps = {"a": 0, "b": 1}
    assert [ring_named(name, apps) for name in ("a", "b", "nobody")] == ["", "b", "nobody"]


def test_a_host_reaches_its_own_apps_or_where_others_may_have_them_all() -> None:
    apps = {"a": 0, "b": 1, "c": 2}
    assert rings_of(apps, AppNames(("b",)), apart=False) == {"b": 0}
    assert rings_of(apps, AppNames(), apart=False) == {"": 0}
    assert rings_of(apps, AppNames(every=True), apart=False) == {"": 0, "b": 0, "c": 0}
    assert rings_of(apps, AppNames(("b",)), apart=True) == {"": 0, "b": 1, "c": 2}


def test_an_actor_is_in_a_shard_of_its_app() -> None:
    apps, plain = {"a": 0, "b": 1}, shard_of("x", 8)
    assert shard_in(Address("workflow", "x"), apps, shards=8, apart=True) == plain
    assert shard_in(Address("workflow@b", "x"), apps, shards=8, apart=True) == 8 + plain
    assert shard_in(Address("workflow@b", "x"), apps, shards=8, apart=False) == plain


def test_apps_are_read_from_the_rows_of_meta() -> None:
    assert apps_in([("schema", 3), ("app:b", 1), ("app:a", 0)]) == {"a": 0, "b": 1}
