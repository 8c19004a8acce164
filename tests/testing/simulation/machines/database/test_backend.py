"""Statements of the stand-in wait for each other, are refused, and end with their sessions."""

import pytest

from perdure.actors.store.postgres.driver import Refused, Statement
from perdure.actors.store.postgres.statements import BEAT, END_BLOCKING, JOIN, KILL, LEAVE, LOOK
from perdure.testing.simulation.machines.database.backend import BROKEN, DEADLOCK, TIMELINE, Lacking

from .steps import BEGIN, COMMIT, ROLLBACK, Stepping

RIGHT = TIMELINE


def joined(sessions: int = 2) -> Stepping:
    """A server with host 11."""
    server = Stepping(sessions)
    assert server.run(0, JOIN, 11, 0, "name", "place", "", "1", 1, 2, 1, []) == [(1,)]
    return server


def test_a_transaction_that_was_refused_a_statement_takes_none_until_its_end() -> None:
    server = joined()
    server.run(0, BEGIN)
    server.run(0, BEAT, 11)
    refused = server.run(0, JOIN, 11, 0, "name", "place", "", "1", 1, 2, 1, [])
    assert isinstance(refused, Refused)
    assert refused.state == "23505"
    # It has no locks any more,
    assert server.run(1, BEAT, 11)[0][:3] == (11, 0, 1)
    # and does nothing more.
    again = server.run(0, LOOK, 11)
    assert isinstance(again, Refused)
    assert again.state == BROKEN
    server.run(0, COMMIT)
    assert server.run(0, LOOK, 11)[0][:2] == (11, 1)


def test_a_session_that_is_ended_has_done_nothing_and_blocks_no_other() -> None:
    server = joined(3)
    server.run(0, BEGIN)
    server.run(0, BEAT, 11)
    assert server.run(1, BEAT, 11) is None
    assert server.run(2, END_BLOCKING, server.backends[1].pid) == [(True,)]
    assert server.backends[0].ended
    assert server.came[1][0][:3] == (11, 0, 1)


def test_who_kills_and_who_leaves_come_one_after_the_other() -> None:
    # Given one that holds a host's beat up, a killer behind it, and the host, which leaves,
    server = joined(3)
    server.run(2, BEGIN)
    server.run(2, BEAT, 11)
    assert server.run(1, KILL, 11, 0) is None
    assert server.run(0, LEAVE, 11) is None
    # when the beat is free, then the first of the two has done it, and nobody waits.
    server.run(2, ROLLBACK)
    assert server.came[1] == [(11,)]
    assert server.came[0] == []
    assert server.run(1, LOOK, 11) == []


def test_two_that_wait_for_each_other_are_a_deadlock_and_one_is_refused() -> None:
    # Given two transactions that have each beaten for another host,
    server = joined(2)
    server.run(0, JOIN, 12, 0, "name", "other place", "", "1", 1, 2, 1, [])
    for session, host in ((0, 11), (1, 12)):
        server.run(session, BEGIN)
        server.run(session, BEAT, host)
    assert server.run(0, BEAT, 12) is None
    waits = server.backends[0].execution
    assert waits is not None
    assert not waits.is_deadlocked()
    # when each waits for the other's row, then that is a deadlock, and what is left of the other goes on.
    assert server.run(1, BEAT, 11) is None
    last = server.backends[1].execution
    assert last is not None
    assert last.is_deadlocked()
    last.refuse(Refused(DEADLOCK, "deadlock detected"))
    assert isinstance(server.came[1], Refused)
    assert (12, 0, 1) in [tuple(row[:3]) for row in server.came[0]]


def test_a_statement_that_it_does_not_know_is_an_error_of_its_own() -> None:
    with pytest.raises(Lacking, match="no statement 'unheard of'"):
        Stepping().run(0, Statement("unheard of", "SELECT 1"))
