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
    assert server.run(0, JOIN, 11, 0, "name", "place", "", "1", 1, 2) == []
    return server


def test_a_transaction_that_was_refused_a_statement_takes_none_until_its_end() -> None:
    server = joined()
    server.run(0, BEGIN)
    server.run(0, BEAT, 11)
    refused = server.run(0, JOIN, 11, 0, "name", "place", "", "1", 1, 2)
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


def test_a_session_that_is_ended_has_done_nothing_and_holds_nobody_up() -> None:
    server = joined(3)
    server.run(0, BEGIN)
    server.run(0, BEAT, 11)
    assert server.run(1, BEAT, 11) is None
    assert server.run(2, END_BLOCKING, server.backends[1].pid) == [(True,)]
    assert server.backends[0].ended
    assert server.came[1][0][:3] == (11, 0, 1)


def test_a_kill_of_a_host_that_leaves_waits_for_itself() -> None:
    # Given one that holds a host's beat up, a killer behind it, and the host, which has deleted its row already,
    server = joined(3)
    server.run(2, BEGIN)
    server.run(2, BEAT, 11)
    assert server.run(1, KILL, 11, 0) is None
    assert server.run(0, LEAVE, 11) is None
    assert not any(each.execution.is_deadlocked() for each in server.backends if each.execution is not None)
    # when the beat is free, then the killer waits for the host's row, and the host for its beat.
    server.run(2, ROLLBACK)
    killer = server.backends[1].execution
    assert killer is not None
    assert killer.is_deadlocked()
    killer.refuse(Refused(DEADLOCK, "deadlock detected"))
    assert server.came[0] == []
    assert server.run(1, LOOK, 11) == []


def test_a_statement_that_it_does_not_know_is_an_error_of_its_own() -> None:
    with pytest.raises(Lacking, match="no statement 'unheard of'"):
        Stepping().run(0, Statement("unheard of", "SELECT 1"))
