"""The checker: whether the invariants of several hosts on one database held in a run, and its figures.

The rule: it is a function of records. Each invariant has a list of faults, and `test_checker.py` has, for each, a
history in which it is broken.

* I1: in the order of commits a shard has one writer at a time. Its owner by the table lives and has the epoch of what
  is written, and positions only grow.
* I2: each acknowledged entry is in its ledger, once, in order.
* I3: no effect comes before its commit: an activity's body ran only for entries that are in the ledger at the end.
* I4: every instance ends.
* I5: no answer is older than STALE_S.
* I6: a host is killed by others only if it was dead or stopped for longer than SPARED_S.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ...support.processes.ledgers import Findings, findings
from .recorded import Blow, Commit, Created, Deed, Gone, Joined, Moved, Read, Recorded, WrittenRow

EPOCH_SHIFT = 40
STALE_S = 1.5
SPARED_S = 1.0  # a host that was stopped for this time, or less, is not killed
ANSWERS_SHOWN, ANSWER_SHOWN = 6, 100  # how many kinds of refusals are printed, and characters of each
SILENT = (Deed.PAUSE, Deed.LINK, Deed.STUCK)  # what keeps a host from beating
KILL_LATE_S = 5.0  # until then after the end of its pause a host may be killed: the kill was under way


@dataclass(slots=True)
class Verdict:
    """Faults by invariant, a sentence each, and figures."""

    faults: dict[str, list[str]] = field(default_factory=lambda: {f"I{number}": [] for number in range(1, 7)})
    ledgers: Findings | None = None
    turns: int = 0  # rows of the log
    gives: int = 0
    takes: int = 0
    killed_by_hosts: int = 0
    taken_s: list[float] = field(default_factory=list)  # after a kill -9: until a shard had another owner
    waits_s: list[float] = field(default_factory=list)  # for each kill -9: the longest time of a request for its shards
    requests: int = 0
    refusals: dict[str, int] = field(default_factory=dict)  # by answer
    bodies: int = 0
    repeated: int = 0  # bodies that ran once more
    cuts: int = 0
    log_read: bool = True
    lost: int = 0  # acknowledged entries that a copy did not have
    undone: int = 0  # bodies that ran, and that a copy has no entry for

    @property
    def sound(self) -> bool:
        return not any(self.faults.values())

    @property
    def refused(self) -> int:
        return sum(self.refusals.values())

    def _refusals(self) -> str:
        """The answers, the most frequent ones first."""
        found = sorted(self.refusals.items(), key=lambda each: -each[1])
        return "".join(f"\n  {count} times {answer[:ANSWER_SHOWN]}" for answer, count in found[:ANSWERS_SHOWN])

    def _told_by_the_log(self) -> list[str]:
        return [
            f"{self.turns} turns; {self.takes} shards taken, {self.gives} given",
            f"{self.killed_by_hosts} hosts killed by others",
            f"taken after kill -9: {spread(self.taken_s)}; requests for them waited: {spread(self.waits_s)}",
        ]

    def told(self) -> str:
        """The verdict, in lines for people."""
        lines = [
            str(self.ledgers),
            f"{self.bodies} bodies of activities ({self.repeated} ran again), {self.cuts} cuts",
            *(self._told_by_the_log() if self.log_read else ["the database: its log was not read"]),
            f"{self.requests} requests, {self.refused} refused{self._refusals()}",
        ]
        if self.lost or self.undone:
            lines.append(f"lost with the old server: {self.lost} acknowledged entries, {self.undone} bodies' effects")
        lines += [f"{name}: {len(found)} faults: {found[:5]}" for name, found in self.faults.items() if found]
        return "\n".join(lines)


def spread(times_s: list[float]) -> str:
    return f"median {median(times_s):.2f} s, worst {max(times_s):.2f} s of {len(times_s)}" if times_s else "none"


def check(run: Recorded) -> Verdict:
    """Judge a run."""
    verdict = Verdict(cuts=run.cuts, log_read=run.commits is not None)
    history = _Ownership(verdict, run.blows)
    for commit in run.commits or ():
        history.follow(commit)
    if run.commits is not None:
        _check_takeovers(verdict, run, history)
    _check_ledgers(verdict, run)
    _check_effects(verdict, run)
    _check_reads(verdict, run)
    verdict.requests = len(run.requests)
    for request in run.requests:
        if request.refused:
            verdict.refusals[request.answer] = verdict.refusals.get(request.answer, 0) + 1
    return verdict


@dataclass(slots=True)
class _Death:
    """A host that was killed with signal 9, and what it owned."""

    at_s: float
    shards: frozenset[int]
    taken_at_s: dict[int, float] = field(default_factory=dict)


class _Ownership:
    """Which hosts live, and which of them owns each shard, followed from commit to commit."""

    def __init__(self, verdict: Verdict, blows: Iterable[Blow]) -> None:
        self.shard_of_id: dict[str, int] = {}
        self.deaths: list[_Death] = []
        self._verdict = verdict
        self._blows = list(blows)
        self._kills = sorted(
            (blow for blow in self._blows if blow.deed is Deed.KILL), key=lambda blow: blow.from_s, reverse=True
        )
        self._pids: dict[int, int] = {}  # of the hosts that live
        self._owners: dict[int, Moved] = {}
        self._shards: dict[int, int] = {}  # actor's key -> shard
        self._newest: dict[int, int] = {}  # shard -> position

    def follow(self, commit: Commit) -> None:
        while self._kills and self._kills[-1].from_s <= commit.at_s:
            self._note_death(self._kills.pop())
        # Parts of one statement are written in any order: an actor is made and written by one commit.
        for change in commit.changes:
            if isinstance(change, Created):
                self._shards[change.key] = change.shard
                self.shard_of_id[change.id] = change.shard
        for change in commit.changes:
            match change:
                case Joined(host, pid):
                    self._pids[host] = pid
                case Gone(host):
                    self._end(host, commit.at_s)
                case Moved():
                    self._move(change, commit.at_s)
                case _:
                    pass
        self._write([each for each in commit.changes if isinstance(each, WrittenRow)], commit.at_s)

    def _note_death(self, kill: Blow) -> None:
        hosts = {host for host, pid in self._pids.items() if pid == kill.pid}
        owned = frozenset(shard for shard, owner in self._owners.items() if owner.host in hosts)
        self.deaths.append(_Death(kill.from_s, owned))

    def _end(self, host: int, at_s: float) -> None:
        pid = self._pids.pop(host, None)
        if pid is None:
            self._fault("I1", f"host {host} ended at {at_s:.2f} and had not been there")
            return
        blows = [blow for blow in self._blows if blow.pid == pid and blow.from_s <= at_s]
        if any(blow.deed is Deed.STOP for blow in blows):
            return
        self._verdict.killed_by_hosts += 1
        dead = any(blow.deed is Deed.KILL for blow in blows)
        stopped = any(
            blow.deed in SILENT and blow.until_s - blow.from_s > SPARED_S and at_s < blow.until_s + KILL_LATE_S
            for blow in blows
        )
        if not (dead or stopped):
            self._fault("I6", f"host {host} of process {pid} was killed at {at_s:.2f}, and had done nothing")

    def _move(self, moved: Moved, at_s: float) -> None:
        before = self._owners.get(moved.shard)
        if before is not None and moved.epoch != before.epoch + 1:
            self._fault("I1", f"shard {moved.shard} went from epoch {before.epoch} to {moved.epoch}")
        if moved.host not in self._pids:
            self._fault("I1", f"shard {moved.shard} went to host {moved.host}, which does not live")
        if before is not None and before.host in self._pids:
            self._verdict.gives += 1
        else:
            self._verdict.takes += 1
        self._owners[moved.shard] = moved
        for death in self.deaths:
            if moved.shard in death.shards:
                death.taken_at_s.setdefault(moved.shard, at_s)

    def _write(self, rows: list[WrittenRow], at_s: float) -> None:
        self._verdict.turns += len(rows)
        lowest: dict[int, int] = {}
        highest: dict[int, int] = {}
        for key, position in rows:
            shard = self._shards.get(key)
            if shard is None:
                self._fault("I1", f"a row of actor {key}, which nobody has made")
                continue
            lowest[shard] = min(position, lowest.get(shard, position))
            highest[shard] = max(position, highest.get(shard, position))
        for shard, position in lowest.items():
            self._check_writer(shard, position >> EPOCH_SHIFT, highest[shard] >> EPOCH_SHIFT, at_s)
            if position <= self._newest.get(shard, -1):
                self._fault("I1", f"shard {shard}: position {position} at {at_s:.2f} follows {self._newest[shard]}")
            self._newest[shard] = max(highest[shard], self._newest.get(shard, -1))

    def _check_writer(self, shard: int, low: int, high: int, at_s: float) -> None:
        owner = self._owners.get(shard)
        if owner is None or owner.host not in self._pids:
            self._fault("I1", f"shard {shard} was written at {at_s:.2f}, and its owner does not live: {owner}")
        elif not low == high == owner.epoch:
            self._fault("I1", f"shard {shard} was written at {at_s:.2f} with epochs {low}-{high}, and has {owner}")

    def _fault(self, name: str, what: str) -> None:
        self._verdict.faults[name].append(what)


def _check_takeovers(verdict: Verdict, run: Recorded, history: _Ownership) -> None:
    for death in history.deaths:
        for shard in sorted(death.shards):
            taken_at_s = death.taken_at_s.get(shard)
            if taken_at_s is None:
                verdict.faults["I4"].append(f"shard {shard} has no owner since {death.at_s:.2f}")
            else:
                verdict.taken_s.append(taken_at_s - death.at_s)
        if not death.taken_at_s:
            continue
        over_s = max(death.taken_at_s.values()) + STALE_S
        waits_s = [
            request.until_s - max(request.from_s, death.at_s)
            for request in run.requests
            if request.until_s > death.at_s and request.from_s < over_s
            if history.shard_of_id.get(request.id) in death.shards and not request.refused
        ]
        verdict.waits_s += [max(waits_s)] if waits_s else []


def _check_ledgers(verdict: Verdict, run: Recorded) -> None:
    ended: list[tuple[Any, dict[str, Any]]] = []
    for ledger in run.ledgers:
        if ledger.instance_id in run.endings:
            ended.append((ledger, dict(run.endings[ledger.instance_id])))
        elif ledger.started and not ledger.gone:
            verdict.faults["I4"].append(f"{ledger.instance_id} has not ended")
    verdict.ledgers = found = findings(ended)
    held = ["lost", "doubled", "invented", "out_of_order", "early"]
    if run.forgiven.lost_at_s is not None:
        gone = [ledger for ledger in run.ledgers if ledger.gone]
        verdict.lost = len(found.lost) + sum(len(ledger.acknowledged) for ledger in gone)
        held.remove("lost")
    if run.forgiven.clocks:
        held.remove("early")
    for name in held:
        verdict.faults["I2"] += [f"{name}: entry {entry} of {id_}" for id_, entry in getattr(found, name)]


def _check_effects(verdict: Verdict, run: Recorded) -> None:
    executions: dict[tuple[str, int], set[str]] = defaultdict(set)
    for effect in run.effects:
        executions[effect.id, effect.entry].add(effect.execution_id)
    verdict.bodies = len(run.effects)
    verdict.repeated = verdict.bodies - sum(map(len, executions.values()))
    booked: Mapping[str, set[Any]] = {id_: set(_got(ending)) for id_, ending in run.endings.items()}
    lossy = run.forgiven.lost_at_s is not None
    for (id_, entry), keys in executions.items():
        if lossy and entry not in booked.get(id_, ()):
            verdict.undone += 1
        elif id_ in booked and entry not in booked[id_]:
            verdict.faults["I3"].append(f"entry {entry} of {id_} was performed, and is not in the ledger")
        elif len(keys) > 1 and not lossy:
            verdict.faults["I3"].append(f"entry {entry} of {id_} was performed under {len(keys)} keys")
    for id_, entries in booked.items():
        for entry in entries:
            if (id_, entry) not in executions:
                verdict.faults["I3"].append(f"entry {entry} of {id_} is in the ledger, and was never performed")


def _got(ending: Mapping[str, Any]) -> list[int]:
    return list(ending["got"])


def _check_reads(verdict: Verdict, run: Recorded) -> None:
    """Compare each read with the newest state that a client had seen STALE_S before the read can have been answered."""
    pauses = [blow for blow in run.blows if blow.deed is Deed.PAUSE]
    reads = sorted(run.reads, key=lambda read: read.until_s)
    lost_at_s = run.forgiven.lost_at_s
    if lost_at_s is None:
        _check_reads_of(verdict, reads, pauses)
        return
    # A read from the copy may be older than one from the lost server, which had more. From the end of the
    # server until no host may answer from memory any more a read may be from either: it is left out.
    ends = [blow.from_s for blow in run.blows if blow.deed is Deed.DATABASE and blow.from_s <= lost_at_s]
    end_s = max(ends, default=lost_at_s)
    _check_reads_of(verdict, [read for read in reads if read.until_s < end_s], pauses)
    _check_reads_of(verdict, [read for read in reads if read.from_s >= lost_at_s + STALE_S], pauses)


def _check_reads_of(verdict: Verdict, reads: list[Read], pauses: list[Blow]) -> None:
    for id_ in {read.id for read in reads}:
        seen = [read for read in reads if read.id == id_]
        newest, place = 0, 0
        for read in sorted(seen, key=lambda read: _answered_from(read, pauses)):
            limit_s = _answered_from(read, pauses) - STALE_S
            while place < len(seen) and seen[place].until_s <= limit_s:
                newest = max(newest, seen[place].booked)
                place += 1
            if read.booked < newest:
                what = f"{id_} had {read.booked} entries at {read.until_s:.2f}, and {newest} before {limit_s:.2f}"
                verdict.faults["I5"].append(what)


def _answered_from(read: Read, pauses: list[Blow]) -> float:
    """The earliest time at which a read can have been answered: the host that was asked may have been stopped."""
    within = [each.until_s for each in pauses if each.pid == read.pid and each.from_s <= read.from_s <= each.until_s]
    return max([read.from_s, *(each for each in within if each <= read.until_s)])
