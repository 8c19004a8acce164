"""The statements of hosts and their shards: who lives, who owns which shard, and the counts for all.

The rule: each does what its SQL in `actors/store/postgres/statements.py` does, in the order in which the server does
it: the main query first, then the parts whose rows are not read, from the last to the first.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from ......actors.store.postgres.driver import Statement
from ..backend import Scene
from ..tables import Table
from ..transactions import Row, Strength
from ..work import Waiting
from .committing import passes_fence, require_text


def join(scene: Scene, statement: Statement, *arguments: Any) -> Waiting[Sequence[Row]]:
    """JOIN: enter a host with a new number and its first beat."""
    require_text(arguments)
    hosts, beats, work = scene.tables["hosts"], scene.tables["beats"], scene.work
    host, state, name, place, address, release, wire_min, wire_max, format_max, apps = arguments
    meta = scene.tables["meta"]
    written = meta.at["value"]
    locked = None
    for version in work.find(meta, meta.keys[0], "format"):
        locked = yield from work.lock(version, Strength.SHARE, lambda row: row[written] <= format_max)
    if locked is None or locked.row[written] > format_max:
        return []  # other hosts write a format that this one does not read
    at = hosts.getter("place", "address")
    # Of an earlier life of the same process.
    old = [row[hosts.at["host"]] for row in work.scan(hosts) if address and at(row) == (place, address)]
    row = hosts.row(
        host=host, state=state, name=name, place=place, address=address, release=release, wire_min=wire_min,
        wire_max=wire_max, format_max=format_max, apps=apps,
    )  # fmt: skip
    yield from work.insert(hosts, row)
    yield from work.insert(beats, beats.row(host=host))
    for each in old:
        yield from _gone(scene, hosts, each)
    for each in old:
        yield from _uncut_all(scene, each)
    for each in old:
        yield from _gone(scene, beats, each)
    return [(locked.row[written],)]


def set_state(
    scene: Scene, statement: Statement, host: int, life: int, timeline: str, state: int
) -> Waiting[Sequence[Row]]:
    """SET_STATE: change the state of a host, behind its fence."""
    if not (yield from passes_fence(scene, host, life, timeline)):
        return []
    yield from serve(scene, statement, host, state)
    return [(1,)]


def serve(scene: Scene, statement: Statement, host: int, state: int) -> Waiting[Sequence[Row]]:
    """SERVE: change the state of a host without a fence."""
    hosts, work = scene.tables["hosts"], scene.work
    lives: list[Row] = []
    for version in work.find(hosts, hosts.keys[0], host):
        row = yield from work.update(version, lambda row: hosts.changed(row, state=state))
        if row is not None:
            lives.append((row[hosts.at["life"]],))
    return lives


def hosts(scene: Scene, statement: Statement) -> Sequence[Row]:
    """HOSTS: the rows of all hosts, each with its beat."""
    table, beats, work = scene.tables["hosts"], scene.tables["beats"], scene.work
    wanted = table.getter(
        "host", "state", "name", "place", "address", "release", "wire_min", "wire_max", "format_max", "apps"
    )
    return [
        (*wanted(row), beat[beats.at["beat"]])
        for row in work.scan(table)
        for beat in work.rows(beats, beats.keys[0], row[table.at["host"]])
    ]


def _news(scene: Scene) -> Row:
    """The numbers that change with owners, states and cuts; and the timeline."""
    shards, hosts, cuts = (scene.tables[name] for name in ("shards", "hosts", "cuts"))
    epochs = [row[shards.at["epoch"]] for row in scene.work.scan(shards)]
    states = [row[hosts.at["state"]] for row in scene.work.scan(hosts)]
    pair = cuts.getter("host", "peer")
    cut = ",".join("{}-{}".format(*pair(row)) for row in scene.work.scan(cuts))
    sums = [str(sum(each)) if each else "" for each in (epochs, states)]
    return f"{sums[0]}:{sums[1]}:{cut}", scene.server.timeline


def _gone(scene: Scene, table: Table, host: int, beat: int | None = None) -> Waiting[bool]:
    """Delete the row of a host, if its beat is this one."""
    at = table.at.get("beat", 0)

    def fits(row: Row) -> bool:
        return beat is None or bool(row[at] == beat)

    gone = False
    for version in scene.work.find(table, table.keys[0], host):
        if fits(version.row):
            gone = (yield from scene.work.delete(version, fits)) is not None
    return gone


def _uncut_all(scene: Scene, host: int) -> Waiting[None]:
    """Forget the cuts of a host."""
    cuts, work = scene.tables["cuts"], scene.work
    pair = cuts.getter("host", "peer")
    for version in work.versions(cuts):
        if host in pair(version.row):
            yield from work.delete(version)


def _forget_receipts(scene: Scene, host: int) -> Waiting[None]:
    log, work = scene.tables["log"], scene.work
    for version in work.find(log, log.places("key"), -host):
        yield from work.delete(version)


def beat(scene: Scene, statement: Statement, host: int) -> Waiting[Sequence[Row]]:
    """BEAT: count a host's beat, and return the beats of all with the news."""
    beats, work = scene.tables["beats"], scene.work
    seen, news = list(work.scan(beats)), _news(scene)
    counted = 0
    for version in work.find(beats, beats.keys[0], host):
        row = yield from work.update(version, lambda row: beats.changed(row, beat=row[beats.at["beat"]] + 1))
        counted += row is not None
    wanted = beats.getter("host", "beat")
    return [(*wanted(row), counted, *news) for row in seen]


def look(scene: Scene, statement: Statement, host: int) -> Sequence[Row]:
    """LOOK: the beats of all hosts with the news, and whether this host's row is there."""
    beats, hosts, work = scene.tables["beats"], scene.tables["hosts"], scene.work
    wanted, news = beats.getter("host", "beat"), _news(scene)
    counted = len(work.find(hosts, hosts.keys[0], host))
    return [(*wanted(row), counted, *news) for row in work.scan(beats)]


def kill(scene: Scene, statement: Statement, host: int, beat: int) -> Waiting[Sequence[Row]]:
    """KILL: delete a host whose beat is the one that was seen, with its receipts."""
    if not (yield from _gone(scene, scene.tables["beats"], host, beat)):
        return []
    gone = yield from _gone(scene, scene.tables["hosts"], host)
    yield from _forget_receipts(scene, host)
    yield from _uncut_all(scene, host)
    return [(host,)] if gone else []


def leave(scene: Scene, statement: Statement, host: int) -> Waiting[Sequence[Row]]:
    """LEAVE: delete the row of a host that ends in order."""
    if (yield from _gone(scene, scene.tables["beats"], host)):
        yield from _gone(scene, scene.tables["hosts"], host)
        yield from _disown(scene, host)
        yield from _strike_all(scene, host)
        yield from _forget_receipts(scene, host)
        yield from _uncut_all(scene, host)
    return []


def _disown(scene: Scene, host: int) -> Waiting[None]:
    """Take its shards from a host, so that they have no owner."""
    shards, work = scene.tables["shards"], scene.work
    at = shards.at["host"]
    for version in work.versions(shards):
        if version.row[at] == host:
            yield from work.update(
                version, lambda row: shards.changed(row, host=None), lambda row: bool(row[at] == host)
            )


def _strike_all(scene: Scene, host: int) -> Waiting[None]:
    """Strike the notes of a host."""
    flights, work = scene.tables["flights"], scene.work
    for version in work.versions(flights):
        if version.row[flights.at["host"]] == host:
            yield from work.delete(version)


def backend(scene: Scene, statement: Statement) -> Sequence[Row]:
    """BACKEND: the number of this session at the server."""
    return [(scene.backend.pid,)]


def end_blocking(scene: Scene, statement: Statement, pid: int) -> Sequence[Row]:
    """END_BLOCKING: end the session that holds the lock for which another one waits."""
    blocked = scene.server.backends.get(pid)
    holder = blocked.execution.waits_for if blocked is not None and blocked.execution is not None else None
    blocking = scene.server.backend_of(holder) if holder is not None else None
    if blocking is None:
        return []
    scene.server.terminate(blocking)
    return [(True,)]


# The writer's own.


def revive(scene: Scene, statement: Statement, host: int) -> Waiting[Sequence[Row]]:
    """REVIVE: give a host's row another life."""
    hosts, work = scene.tables["hosts"], scene.work
    lives: list[Row] = []
    for version in work.find(hosts, hosts.keys[0], host):
        if (yield from work.lock(version, Strength.UPDATE)) is None:
            continue
        row = yield from work.update(version, lambda row: hosts.changed(row, life=row[hosts.at["life"]] + 1))
        if row is not None:
            lives.append((row[hosts.at["life"]], scene.server.timeline))
    return lives


def find_entry(scene: Scene, statement: Statement, key: int, position: int) -> Sequence[Row]:
    """FIND_ENTRY: whether an entry of the log is there."""
    log = scene.tables["log"]
    return [(1,) for _ in scene.work.find(log, log.keys[0], (key, position))]


def missing_entries(scene: Scene, statement: Statement, keys: Sequence[int], positions: Sequence[int]) -> Sequence[Row]:
    """MISSING_ENTRIES: the keys of entries that are not there, and behind which none is."""
    log, work = scene.tables["log"], scene.work
    by_key, at = log.places("key"), log.at["position"]
    asked = zip(keys, positions, strict=True)
    return [(key,) for key, position in asked if all(row[at] < position for row in work.rows(log, by_key, key))]


def missing_items(
    scene: Scene, statement: Statement, keys: Sequence[int], names: Sequence[bytes], versions: Sequence[int]
) -> Sequence[Row]:
    """The keys of the items that are not there as they were written; for version 0, that are there."""
    items = scene.tables["items"]
    missing: list[Row] = []
    for key, name, version in zip(keys, names, versions, strict=True):
        there = [row[items.at["version"]] for row in scene.work.rows(items, items.keys[0], (key, name))]
        if (there[0] < version or not version) if there else version:
            missing.append((key,))
    return missing


def look_at_host(scene: Scene, statement: Statement, host: int) -> Sequence[Row]:
    """LOOK_AT_HOST: the life that a host's row has."""
    hosts = scene.tables["hosts"]
    return [(row[hosts.at["life"]],) for row in scene.work.rows(hosts, hosts.keys[0], host)]


# Shards.


def shards(scene: Scene, statement: Statement) -> Sequence[Row]:
    """SHARDS: owner and epoch of all shards."""
    table = scene.tables["shards"]
    wanted = table.getter("shard", "host", "epoch")
    return sorted(wanted(row) for row in scene.work.scan(table))


def take(
    scene: Scene, statement: Statement, host: int, life: int, timeline: str, seen: Sequence[int], epochs: Sequence[int]
) -> Waiting[Sequence[Row]]:
    """TAKE: make a host the owner of free shards whose epochs are the ones that were seen."""
    table, work = scene.tables["shards"], scene.work
    if not (yield from passes_fence(scene, host, life, timeline)):
        return []
    owner_at, epoch_at = table.at["host"], table.at["epoch"]
    living = scene.tables["hosts"]

    def may_be_taken(epoch: int, row: Row) -> bool:
        owner = row[owner_at]
        if row[epoch_at] != epoch:
            return False
        # The hosts are those of the snapshot, however long the row was waited for.
        return owner is None or owner == host or not work.find(living, living.keys[0], owner)

    for shard, epoch in zip(seen, epochs, strict=True):
        for version in work.find(table, table.keys[0], shard):
            if may_be_taken(epoch, version.row):
                yield from work.update(
                    version,
                    lambda row: table.changed(row, host=host, epoch=row[epoch_at] + 1),
                    partial(may_be_taken, epoch),
                )
    return [(1,)]


def give(
    scene: Scene, statement: Statement, host: int, life: int, timeline: str, *columns: Sequence[int]
) -> Waiting[Sequence[Row]]:
    """GIVE: hand shards on to other hosts, with the next epochs."""
    table, work, hosts = scene.tables["shards"], scene.work, scene.tables["hosts"]
    if not (yield from passes_fence(scene, host, life, timeline)):
        return []
    place = table.getter("host", "epoch")

    def is_own(to: int, epoch: int, row: Row) -> bool:
        return bool(place(row) == (host, epoch)) and bool(work.find(hosts, hosts.keys[0], to))

    def given(to: int, epoch: int, row: Row) -> Row:
        return table.changed(row, host=to, epoch=epoch + 1)

    for shard, to, epoch in zip(*columns, strict=True):
        for version in work.find(table, table.keys[0], shard):
            if is_own(to, epoch, version.row):
                yield from work.update(version, partial(given, to, epoch), partial(is_own, to, epoch))
    return [(1,)]


def some_shards(scene: Scene, statement: Statement, numbers: Sequence[int]) -> Sequence[Row]:
    """SOME_SHARDS: owner and epoch of some shards."""
    table = scene.tables["shards"]
    wanted = table.getter("shard", "host", "epoch")
    return [wanted(row) for each in dict.fromkeys(numbers) for row in scene.work.rows(table, table.keys[0], each)]


# Work under way.


def note(
    scene: Scene, statement: Statement, host: int, life: int, timeline: str, *columns: Any
) -> Waiting[Sequence[Row]]:
    """Write and strike notes of a host."""
    table, work = scene.tables["flights"], scene.work
    require_text(columns)
    if not (yield from passes_fence(scene, host, life, timeline)):
        return []
    names = (
        "type", "id", "what", "shard", "epoch", "begun", "ends", "early", "alone", "took", "tried"
    )  # fmt: skip
    for values in zip(*columns[3:], strict=True):
        row = table.row(host=host, **dict(zip(names, values, strict=True)))
        while not (yield from work.insert(table, row, or_nothing=True)):
            there = work.latest(table, table.keys[0], (host, *values[:3]))
            if there is not None and (yield from work.update(there, partial(_as, row))) is not None:
                break
    for key in zip(*columns[:3], strict=True):
        for version in work.find(table, table.keys[0], (host, *key)):
            yield from work.delete(version)
    return [(1,)]


def _as(row: Row, before: Row) -> Row:
    return row


def flights(scene: Scene, statement: Statement) -> Sequence[Row]:
    """The notes of all hosts."""
    table = scene.tables["flights"]
    wanted = table.getter(
        "host", "type", "id", "what", "shard", "epoch", "begun", "ends", "early", "alone", "took", "tried"
    )
    return sorted((wanted(row) for row in scene.work.scan(table)), key=lambda row: row[:4])


def strike(
    scene: Scene, statement: Statement, host: int, life: int, timeline: str, *columns: Sequence[int]
) -> Waiting[Sequence[Row]]:
    """Strike the notes of shards from before an epoch, and signs of life of hosts that have ended."""
    table, hosts, work = scene.tables["flights"], scene.tables["hosts"], scene.work
    if not (yield from passes_fence(scene, host, life, timeline)):
        return []
    epochs = dict(zip(*columns, strict=True))
    place = table.getter("host", "shard", "epoch")
    needed = {of for of, shard, _ in (place(row) for row in work.scan(table)) if shard >= 0 and shard not in epochs}
    for version in work.versions(table):
        of, shard, epoch = place(version.row)
        if shard < 0 and of not in needed and not work.find(hosts, hosts.keys[0], of):
            yield from work.delete(version)
    for version in work.versions(table):
        _, shard, epoch = place(version.row)
        if shard >= 0 and epoch < epochs.get(shard, 0):
            yield from work.delete(version)
    return [(1,)]


# Cuts, and secrets.


def cuts(scene: Scene, statement: Statement) -> Sequence[Row]:
    """CUTS: which hosts cannot reach which."""
    table = scene.tables["cuts"]
    wanted = table.getter("host", "peer")
    return [wanted(row) for row in scene.work.scan(table)]


def cut(scene: Scene, statement: Statement, host: int, life: int, timeline: str, peer: int) -> Waiting[Sequence[Row]]:
    """CUT: note that a host cannot reach another one."""
    hosts, table = scene.tables["hosts"], scene.tables["cuts"]
    if not (yield from passes_fence(scene, host, life, timeline)):
        return []
    for _ in scene.work.find(hosts, hosts.keys[0], peer):
        yield from scene.work.insert(table, table.row(host=host, peer=peer), or_nothing=True)
    return [(1,)]


def uncut(scene: Scene, statement: Statement, host: int, life: int, timeline: str, peer: int) -> Waiting[Sequence[Row]]:
    """UNCUT: take that note back."""
    table = scene.tables["cuts"]
    if not (yield from passes_fence(scene, host, life, timeline)):
        return []
    for version in scene.work.find(table, table.keys[0], (host, peer)):
        yield from scene.work.delete(version)
    return [(1,)]


def make_secret(scene: Scene, statement: Statement, name: str, value: bytes) -> Waiting[Sequence[Row]]:
    """MAKE_SECRET: keep a secret, unless there is one of this name."""
    table = scene.tables["secrets"]
    yield from scene.work.insert(table, table.row(name=name, value=value), or_nothing=True)
    return []


def replace_secret(scene: Scene, statement: Statement, name: str, value: bytes) -> Waiting[Sequence[Row]]:
    """REPLACE_SECRET: keep a secret in the place of the one of this name."""
    table = scene.tables["secrets"]
    row = table.row(name=name, value=value)
    while not (yield from scene.work.insert(table, row, or_nothing=True)):
        # Another has been faster, whether the snapshot sees it or not.
        there = scene.work.latest(table, table.keys[0], name)
        if there is not None and (yield from scene.work.update(there, lambda _: row)) is not None:
            break
    return []


def secret(scene: Scene, statement: Statement, name: str) -> Sequence[Row]:
    """SECRET: the secret of a name."""
    table = scene.tables["secrets"]
    return [(row[table.at["value"]],) for row in scene.work.rows(table, table.keys[0], name)]


# Statements that a host needs now and then.


def take_keys(scene: Scene, statement: Statement, number: int) -> Waiting[Sequence[Row]]:
    """TAKE_KEYS: reserve a block of keys; return its first."""
    return (yield from _set_meta(scene, "next_key", lambda value: value + number, lambda value: value - number))


def set_copying(scene: Scene, statement: Statement, value: int) -> Waiting[Sequence[Row]]:
    """SET_COPYING: note whether a copy into the store is unfinished."""
    return (yield from _set_meta(scene, "copying", lambda _: value, lambda _: 1))


def _set_meta(scene: Scene, name: str, change: Any, returned: Any) -> Waiting[Sequence[Row]]:
    meta, work = scene.tables["meta"], scene.work
    at, rows = meta.at["value"], []
    for version in work.find(meta, meta.keys[0], name):
        row = yield from work.update(version, lambda row: meta.changed(row, value=change(row[at])))
        if row is not None:
            rows.append((returned(row[at]),))
    return rows


def add_kinds(scene: Scene, statement: Statement, *columns: Sequence[Any]) -> Waiting[Sequence[Row]]:
    """ADD_KINDS: enter kinds that are not there yet."""
    require_text(columns)
    kinds = scene.tables["kinds"]
    for type_, status, name, root in zip(*columns, strict=True):
        row = kinds.row(type=type_, status=status, name=name, root=root)
        yield from scene.work.insert(kinds, row, or_nothing=True)
    return []


def fold_tallies(scene: Scene, statement: Statement) -> Waiting[Sequence[Row]]:
    """FOLD_TALLIES: make one row for each kind of many."""
    tallies, work = scene.tables["tallies"], scene.work
    total: Counter[int] = Counter()
    for version in work.versions(tallies):
        gone = yield from work.delete(version)
        if gone is not None:
            total[gone[tallies.at["kind"]]] += gone[tallies.at["more"]]
    for kind, more in total.items():
        if more:
            yield from work.insert(tallies, tallies.row(kind=kind, more=more))
    return []


def thin_audit(scene: Scene, statement: Statement, before_us: int, limit: int) -> Waiting[Sequence[Row]]:
    """THIN_AUDIT: delete the oldest entries from before a time."""
    audit, work = scene.tables["audit"], scene.work
    place = audit.getter("at_us", "number")
    old = [version for version in work.versions(audit) if version.row[audit.at["at_us"]] < before_us]
    thinned: list[Row] = []
    for version in sorted(old, key=lambda version: place(version.row))[:limit]:
        if (yield from work.delete(version)) is not None:
            thinned += [(1,)]
    return thinned
