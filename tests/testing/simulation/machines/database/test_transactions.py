"""Transactions of the stand-in are seen whole or not at all, and nothing is kept that nobody sees."""

from perdure.actors.store.postgres.statements import BEAT, BEGIN_READING, LOOK

from .steps import BEGIN, COMMIT, ROLLBACK
from .test_backend import joined


def test_versions_are_forgotten_once_no_snapshot_sees_them() -> None:
    server = joined()
    beats = server.core.schemas["perdure"]["beats"]
    server.run(1, BEGIN_READING)
    assert server.run(1, LOOK, 11)[0][:2] == (11, 0)
    for _ in range(3):
        server.run(0, BEAT, 11)
    assert server.run(1, LOOK, 11)[0][:2] == (11, 0)
    assert len(beats.all()) > 1
    server.run(1, COMMIT)
    assert [version.row for version in beats.all()] == [(11, 3)]


def test_what_is_undone_was_never_there() -> None:
    server = joined()
    server.run(0, BEGIN)
    server.run(0, BEAT, 11)
    server.run(0, ROLLBACK)
    assert server.run(1, LOOK, 11)[0][:2] == (11, 0)
    assert len(server.core.schemas["perdure"]["beats"].all()) == 1


def test_a_copy_that_was_behind_has_less() -> None:
    server = joined()
    server.run(0, BEAT, 11)
    ledger = server.core.ledger
    behind = ledger.commits
    ledger.hold(behind)
    server.run(0, BEAT, 11)
    server.run(0, BEAT, 11)
    assert ledger.forget_since(behind, server.core.all_tables()) == 2
    assert server.run(1, LOOK, 11)[0][:2] == (11, 1)
