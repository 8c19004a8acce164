"""The apps of a store: each has a number, and its actors have a ring of their own.

The rule: a number never changes and is given once. The first app has the number 0, and its ring has no name, so a store
without apps belongs to the first app that opens it. `meta` has a row `app:NAME` for each app.

Stores enter the apps of their host here; `actors/hosting/host.py` calls them for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ...address import FIRST_RING, Address, ring_of, shard_of

PREFIX = "app:"  # of the names in `meta`


class AppNames(NamedTuple):
    """The apps of a host, by their ids."""

    names: Sequence[str] = ()  # the host's first app first; empty: the host has the first app of the store
    every: bool = False  # the host has all apps of the store
    said: bool = True  # False: the only app has no id but the name of its code, and may have been renamed


NO_NAMES = AppNames()


def with_apps(known: Mapping[str, int], asked: AppNames, *, alone: bool) -> Mapping[str, int]:
    """Enter the apps of a host.

    Args:
        known: The apps of the store and their numbers.
        alone: Whether no other host can have this store. Then its only app may get another name from its code.

    Returns:
        All apps of the store.
    """
    names = list(dict.fromkeys(asked.names))
    if alone and not asked.said and len(known) == len(names) == 1:
        return dict.fromkeys(names, 0)
    apps = dict(known)
    for name in names:
        apps.setdefault(name, max(apps.values(), default=-1) + 1)
    return apps


def ring_named(name: str, apps: Mapping[str, int]) -> str:
    """The ring of an app. An app that the store does not know has a ring too, which no host has."""
    return FIRST_RING if apps.get(name) == 0 else name


def rings_of(apps: Mapping[str, int], asked: AppNames, *, apart: bool) -> Mapping[str, int]:
    """The rings whose actors a host can reach, each with the number that gives their shards.

    Args:
        apps: All apps of the store.
        apart: Whether each app has shards of its own, and perhaps other hosts; otherwise all apps share this host's.
    """
    if apart:
        return {FIRST_RING: 0, **{ring_named(name, apps): number for name, number in apps.items()}}
    return {ring_named(name, apps): 0 for name in (apps if asked.every else asked.names)} or {FIRST_RING: 0}


def shard_in(address: Address, apps: Mapping[str, int], *, shards: int, apart: bool) -> int:
    """The shard of an actor.

    Args:
        shards: How many shards each app has.
        apart: Whether each app has shards of its own; otherwise all apps have the same shards.
    """
    shard = shard_of(address.id, shards)
    ring = ring_of(address.type)
    return shard + apps[ring] * shards if apart and ring else shard


def apps_in(meta: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    """The apps in the rows of `meta`, in the order of their numbers."""
    found = [(name.removeprefix(PREFIX), value) for name, value in meta if name.startswith(PREFIX)]
    return dict(sorted(found, key=lambda each: each[1]))
