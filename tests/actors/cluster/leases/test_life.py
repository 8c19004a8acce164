"""The knowledge of a host in one life: new hosts, hosts reported as gone, and hosts that it cannot reach."""

from collections.abc import Iterable

from perdure.actors.cluster.leases.life import CUT_S, HostLife
from perdure.actors.cluster.leases.seen import LeaseTally
from perdure.actors.store.cluster import HostCard, HostRow, HostState
from perdure.actors.store.presence.beats import Beats, Heartbeat

ME, OTHER, THIRD = 1, 2, 3


def rows(*hosts: int) -> dict[int, HostRow]:
    card = HostCard("m", "", "", "0", 1, 1)
    return {host: HostRow(host, HostState.SERVING, card) for host in hosts}


def life(*, beats_at: Iterable[float] = (), number: int = 7) -> HostLife:
    made = HostLife(ME, str, LeaseTally())
    made.know(rows(ME, OTHER), 0.0)
    made.numbers = {ME: 0, OTHER: number}
    for at in beats_at:
        made.beats.heard(Heartbeat(at, at, Beats(alive=True, seen={OTHER: int(10 * at)}, version="", timeline="")))
    return made


def test_who_was_there_before_is_no_newcomer() -> None:
    made = life()
    made.know(rows(ME, OTHER, THIRD), 5.0)
    assert made.since[OTHER] < -1e9
    assert made.since[THIRD] == 5.0
    made.know(rows(ME, THIRD), 6.0)
    assert set(made.since) == {ME, THIRD}


def test_one_that_is_said_to_be_gone_is_tried_at_two_beats_and_then_believed_to_live() -> None:
    made = life()
    assert made.said_to_be_gone() == {}
    made.gone[OTHER] = set()
    assert made.said_to_be_gone() == {OTHER: 7}
    made.tried(OTHER, 7)
    assert made.said_to_be_gone() == {}
    made.numbers = {OTHER: 8}
    assert made.said_to_be_gone() == {OTHER: 8}
    made.tried(OTHER, 8)
    made.numbers = {OTHER: 9}
    assert made.said_to_be_gone() == {}
    made.tried(THIRD, 1)  # a host that was judged by its beat


def test_one_that_beats_and_is_not_reached_is_cut_off_and_one_that_does_not_beat_is_not() -> None:
    made = life(beats_at=[0.0, 0.5, 1.0, 1.5])
    made.unreached[OTHER] = 0.0
    assert made.cut_off(CUT_S - 0.1) == set()
    assert made.cut_off(CUT_S) == {OTHER}
    made.unreached[THIRD] = 0.0  # a host that never beat
    assert made.cut_off(CUT_S) == {OTHER}


def test_there_is_work_when_anything_is_to_be_done() -> None:
    made = life()
    made.stale = False
    assert not made.has_work(1.0)
    made.gives_at = 1.0
    assert made.has_work(1.0)
    assert not made.has_work(0.9)
    made.stale = True
    assert made.has_work(0.9)


def test_a_cut_that_was_told_of_is_work_as_soon_as_the_other_host_is_reached_again() -> None:
    made = life()
    made.stale = False
    made.cuts = [(OTHER, ME), (OTHER, THIRD)]
    assert not made.has_work(1.0)
    made.cuts = [(ME, OTHER)]
    assert made.has_work(1.0)
