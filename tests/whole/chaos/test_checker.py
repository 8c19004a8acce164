"""In made-up histories the checker finds each kind of fault, and no other."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ...support.processes.ledgers import Ledger
from .checker import EPOCH_SHIFT, check
from .recorded import (
    Blow,
    Change,
    Commit,
    Created,
    Deed,
    Effect,
    Forgiven,
    Gone,
    Joined,
    Moved,
    Read,
    Recorded,
    Request,
    WrittenRow,
)

A, B = 11, 22  # hosts
PID_A, PID_B = 1001, 1002
SHARD, KEY = 3, 7


def row(epoch: int, number: int, key: int = KEY) -> WrittenRow:
    return WrittenRow(key, epoch << EPOCH_SHIFT | number)


def commits(*changes: Sequence[Change], from_s: float = 100.0) -> list[Commit]:
    """Commits, a second apart."""
    return [Commit(from_s + number, tuple(each)) for number, each in enumerate(changes)]


def killed(pid: int, at_s: float) -> Blow:
    return Blow(deed=Deed.KILL, pid=pid, from_s=at_s, until_s=at_s)


def blow(deed: Deed, pid: int, from_s: float, until_s: float) -> Blow:
    return Blow(deed=deed, pid=pid, from_s=from_s, until_s=until_s)


BEGIN: tuple[Sequence[Change], ...] = (
    [Joined(A, PID_A)],
    [Joined(B, PID_B)],
    [Moved(SHARD, A, 1)],
    [Created(KEY, SHARD, "l"), row(1, 1)],  # at 103
)
# A is killed with signal 9 at 103.5; B deletes its row, takes the shard, and goes on.
DEATH = [killed(PID_A, 103.5)]
TAKEOVER: tuple[Sequence[Change], ...] = ([row(1, 2)], [Gone(A)], [Moved(SHARD, B, 2)], [row(2, 1)])
LEDGER = Ledger("l", started=True, sent={0, 1, 2}, acknowledged=[0, 1])
ENDING = {"l": {"got": [0, 1], "early": 0}}
EFFECTS = [Effect("l", 0, "k0"), Effect("l", 1, "k1")]


def sound() -> Recorded:
    """A run in which a host was killed, without a fault."""
    return Recorded(
        commits=commits(*BEGIN, *TAKEOVER),
        blows=DEATH,
        ledgers=[LEDGER],
        endings=ENDING,
        effects=EFFECTS,
        requests=[Request(104.0, 106.5, "l", "202"), Request(109.0, 109.5, "l", "202"), Request(1.0, 2.0, "l", "202")],
        reads=[Read(104.0, 104.1, "l", 1, PID_A), Read(107.0, 107.1, "l", 2, PID_B)],
    )


def test_a_run_in_which_all_went_well_is_sound_and_measured() -> None:
    verdict = check(sound())
    assert verdict.sound, verdict.told()
    assert (verdict.takes, verdict.gives, verdict.killed_by_hosts) == (2, 0, 1)
    assert verdict.taken_s == [106.0 - 103.5]
    assert verdict.waits_s == [106.5 - 104.0]
    assert (verdict.turns, verdict.bodies, verdict.repeated, verdict.requests, verdict.refused) == (3, 2, 0, 3, 0)
    assert "0 lost, 0 doubled" in verdict.told()
    assert "median 2.50 s, worst 2.50 s of 1" in verdict.told()


def with_commits(*changes: Sequence[Change]) -> Callable[[Recorded], Recorded]:
    return lambda run: replace(run, commits=commits(*BEGIN, *changes))


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        # The host before goes on after its shard was taken,
        ("I1", with_commits([Gone(A)], [Moved(SHARD, B, 2)], [row(1, 2)])),
        # or after its row was deleted, although nobody has taken the shard yet.
        ("I1", with_commits([Gone(A)], [row(1, 2)], [Moved(SHARD, B, 2)])),
        # A number is used twice, or is smaller than one before.
        ("I1", with_commits([row(1, 1)], *TAKEOVER)),
        ("I1", with_commits([row(1, 5)], [row(1, 4)], [Gone(A)], [Moved(SHARD, B, 2)])),
        # One commit has rows of two owners.
        ("I1", with_commits([Gone(A)], [Moved(SHARD, B, 2)], [row(1, 9), row(2, 1)])),
        # The epoch does not grow, or jumps.
        ("I1", with_commits([Gone(A)], [Moved(SHARD, B, 1)])),
        ("I1", with_commits([Gone(A)], [Moved(SHARD, B, 3)])),
        # The new owner is dead, or was never there.
        (
            "I1",
            lambda run: replace(
                with_commits([Gone(A)], [Gone(B)], [Moved(SHARD, B, 2)])(run), blows=[*DEATH, killed(PID_B, 103.7)]
            ),
        ),
        ("I1", with_commits([Gone(A)], [Moved(SHARD, 33, 2)])),
        ("I1", with_commits([Gone(33)], *TAKEOVER)),
        ("I1", with_commits([row(1, 2, key=8)], *TAKEOVER)),
        # An acknowledged entry is lost, doubled, invented, out of order, early.
        ("I2", lambda run: replace(run, endings={"l": {"got": [0], "early": 0}}, effects=EFFECTS[:1])),
        ("I2", lambda run: replace(run, endings={"l": {"got": [0, 1, 1], "early": 0}})),
        ("I2", lambda run: replace(run, ledgers=[replace(LEDGER, sent={0})])),
        ("I2", lambda run: replace(run, endings={"l": {"got": [1, 0], "early": 0}})),
        ("I2", lambda run: replace(run, endings={"l": {"got": [0, 1], "early": 1}})),
        # An activity ran for an entry that is not there, or under two keys, or not at all.
        ("I3", lambda run: replace(run, effects=[*EFFECTS, Effect("l", 2, "k2")])),
        ("I3", lambda run: replace(run, effects=[*EFFECTS, Effect("l", 1, "other")])),
        ("I3", lambda run: replace(run, effects=EFFECTS[:1])),
        # An instance does not end; a shard stays without an owner.
        ("I4", lambda run: replace(run, endings={})),
        ("I4", lambda run: replace(run, commits=commits(*BEGIN, [row(1, 2)], [Gone(A)]))),
        # A read is older than an earlier one of another client.
        ("I5", lambda run: replace(run, reads=[*run.reads, Read(109.0, 109.1, "l", 1, PID_B)])),
        # Hosts killed a host that had no fault; one that was stopped for a moment; one long after its pause.
        ("I6", lambda run: replace(run, blows=[])),
        ("I6", lambda run: replace(run, blows=[killed(PID_B, 103.5)])),
        ("I6", lambda run: replace(run, blows=[blow(Deed.PAUSE, PID_A, 102.0, 102.9)])),
        ("I6", lambda run: replace(run, blows=[blow(Deed.PAUSE, PID_A, 80.0, 90.0)])),
        ("I6", lambda run: replace(run, blows=[blow(Deed.DATABASE, 0, 102.0, 104.9)])),
    ],
)
def test_each_fault_is_found_and_no_other(fault: str, wrong: Callable[[Recorded], Recorded]) -> None:
    verdict = check(wrong(sound()))
    assert {name for name, found in verdict.faults.items() if found} == {fault}, verdict.told()
    assert f"{fault}: 1 faults" in verdict.told()


@pytest.mark.parametrize(
    "blows",
    [
        [blow(Deed.PAUSE, PID_A, 102.0, 110.0)],
        [blow(Deed.PAUSE, PID_A, 102.0, 104.8)],  # its kill was under way
        [blow(Deed.LINK, PID_A, 102.0, 110.0)],
        [blow(Deed.STUCK, PID_A, 102.0, 110.0)],
        [blow(Deed.STOP, PID_A, 104.5, 107.0)],
    ],
)
def test_a_host_that_could_not_beat_may_be_killed_and_one_that_leaves_is_not(blows: list[Blow]) -> None:
    verdict = check(replace(sound(), blows=blows))
    assert verdict.sound, verdict.told()
    assert verdict.killed_by_hosts == (blows[0].deed is not Deed.STOP)


def test_a_shard_that_its_owner_gives_is_no_takeover() -> None:
    given = commits(*BEGIN, [Moved(SHARD, B, 2)], [row(2, 1)], [Gone(A)])
    verdict = check(replace(sound(), commits=given, blows=[blow(Deed.STOP, PID_A, 103.5, 107.0)]))
    assert verdict.sound, verdict.told()
    assert (verdict.takes, verdict.gives, verdict.taken_s) == (1, 1, [])


@pytest.mark.parametrize(("until_s", "sound_"), [(106.0, False), (108.0, True)])
def test_a_host_that_was_stopped_has_answered_after_it_went_on(until_s: float, sound_: bool) -> None:
    # Given a read that was sent to a host within its pause, and answered from the host's memory,
    pause = blow(Deed.PAUSE, PID_A, 102.0, 107.0)
    seen = Read(105.0, 105.2, "l", 2, PID_B)
    # then it is stale by the time at which the host can have answered it, if that is late enough.
    stale = Read(102.5, 107.1, "l", 1, PID_A)
    run = replace(sound(), blows=[replace(pause, until_s=107.0)], reads=[seen, stale])
    assert not check(run).sound
    early = replace(run, blows=[replace(pause, until_s=until_s)], reads=[seen, Read(102.5, 106.0, "l", 1, PID_A)])
    assert check(early).faults["I5"] == [] or not sound_


def test_refusals_are_counted_by_their_answers() -> None:
    requests = [Request(1, 2, "l", "503", refused=True), Request(1, 2, "l", "503", refused=True)]
    verdict = check(replace(sound(), requests=[*requests, Request(1, 2, "l", "ReadError", refused=True)]))
    assert verdict.sound
    assert verdict.refusals == {"503": 2, "ReadError": 1}


def test_a_body_that_runs_again_under_its_key_is_no_fault() -> None:
    verdict = check(replace(sound(), effects=[*EFFECTS, EFFECTS[0]]))
    assert verdict.sound, verdict.told()
    assert (verdict.bodies, verdict.repeated) == (3, 1)


def test_where_a_copy_took_over_that_had_less_what_is_lost_is_counted_and_nothing_else_is_forgiven() -> None:
    # Given a run in which a copy took over that knows of the first entry only, and of no second ledger,
    gone = replace(LEDGER, instance_id="gone", gone=True)
    run = replace(
        sound(),
        ledgers=[LEDGER, gone],
        endings={"l": {"got": [0], "early": 0}},
        effects=[*EFFECTS, Effect("gone", 0, "k")],
        reads=[Read(104.0, 104.1, "l", 2, PID_A), Read(109.0, 109.1, "l", 1, PID_B)],
    )
    assert {name for name, found in check(run).faults.items() if found} == {"I2", "I3", "I5"}
    # when the checker knows of the takeover, then it counts the lost entries and prints them,
    forgiven = replace(run, forgiven=Forgiven(lost_at_s=106.0))
    verdict = check(forgiven)
    assert verdict.sound, verdict.told()
    assert (verdict.lost, verdict.undone) == (3, 2)
    assert "3 acknowledged entries, 2 bodies' effects" in verdict.told()
    # and faults of the copy itself are found as before.
    assert check(replace(forgiven, endings={"l": {"got": [0, 0], "early": 0}})).faults["I2"]
    assert check(replace(forgiven, endings={})).faults["I4"]
    again = [Read(108.0, 108.1, "l", 2, PID_B), Read(110.0, 110.1, "l", 1, PID_B)]
    assert check(replace(forgiven, reads=again)).faults["I5"]
    # A host that has not noticed the takeover may answer from memory as long as its last beat counts, and no longer;
    late = [Read(107.0, 107.1, "l", 2, PID_B), Read(110.0, 110.1, "l", 1, PID_B)]
    assert check(replace(forgiven, reads=late)).sound
    # and from the end of the old server on, the copy may have answered.
    ended = Blow(deed=Deed.DATABASE, pid=0, from_s=105.0, until_s=106.0)
    early = [Read(103.0, 103.1, "l", 2, PID_A), Read(105.4, 105.5, "l", 1, PID_B)]
    assert check(replace(forgiven, reads=early)).faults["I5"]
    assert check(replace(forgiven, reads=early, blows=[*forgiven.blows, ended])).sound


def test_where_clocks_were_set_a_timer_may_seem_early() -> None:
    run = replace(sound(), endings={"l": {"got": [0, 1], "early": 1}})
    assert not check(run).sound
    assert check(replace(run, forgiven=Forgiven(clocks=True))).sound


def test_a_log_that_was_not_read_says_nothing() -> None:
    verdict = check(replace(sound(), commits=None))
    assert verdict.sound, verdict.told()
    assert "its log was not read" in verdict.told()
