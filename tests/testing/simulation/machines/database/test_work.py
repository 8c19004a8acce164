"""Rows of the stand-in are seen, locked and looked at anew as READ COMMITTED has it."""

from perdure.actors.store.postgres.statements import BEAT, KILL, LOOK, LOOK_AT_HOST, REVIVE, SERVE, commit_of

from .steps import BEGIN, COMMIT, ROLLBACK
from .test_backend import RIGHT, joined

LOG = commit_of(("log",))


def log_of(life: int, position: int = 1) -> tuple[object, ...]:
    return 11, life, RIGHT, [5], [position], [0], [b"e"]


def test_a_killer_waits_for_a_commit_and_the_next_commit_finds_nothing() -> None:
    server = joined()
    server.run(0, BEGIN)
    assert server.run(0, LOG, *log_of(0)) == [(1,)]
    assert server.run(1, KILL, 11, 0) is None
    server.run(0, COMMIT)
    assert server.came[1] == [(11,)]
    assert server.run(0, LOG, *log_of(0, 2)) == []


def test_a_commit_waits_for_a_killer_and_goes_on_if_no_host_is_killed() -> None:
    server = joined()
    server.run(1, BEGIN)
    assert server.run(1, KILL, 11, 0) == [(11,)]
    assert server.run(0, LOG, *log_of(0)) is None
    server.run(1, ROLLBACK)
    assert server.came[0] == [(1,)]


def test_a_new_life_waits_for_the_commit_before_and_voids_what_comes_late() -> None:
    server = joined()
    server.run(0, BEGIN)
    server.run(0, LOG, *log_of(0))
    assert server.run(1, REVIVE, 11) is None
    server.run(0, COMMIT)
    assert server.came[1] == [(1, RIGHT)]
    assert server.run(0, LOG, *log_of(0, 2)) == []
    assert server.run(0, LOG, *log_of(1, 2)) == [(1,)]


def test_a_change_of_a_row_passes_those_who_share_its_key_and_they_hold_the_new_one() -> None:
    server = joined()
    server.run(0, BEGIN)
    server.run(0, LOG, *log_of(0))
    assert server.run(1, SERVE, 11, 1) == [(0,)]
    assert server.run(1, REVIVE, 11) is None


def test_no_reader_sees_uncommitted_state() -> None:
    server = joined()
    server.run(0, BEGIN)
    server.run(0, BEAT, 11)
    assert server.run(1, LOOK, 11)[0][:2] == (11, 0)
    server.run(0, COMMIT)
    assert server.run(1, LOOK, 11)[0][:2] == (11, 1)
    assert server.run(1, LOOK_AT_HOST, 12) == []
