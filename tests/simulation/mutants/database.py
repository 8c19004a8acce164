"""Mutants of the store on PostgreSQL: commits whose connection breaks, and late ones."""

from typing import Any

import pytest

from perdure.actors.store.postgres import writer
from perdure.actors.store.postgres.driver import DatabaseSession, Refused
from perdure.actors.store.postgres.statements import FIND_ENTRY
from perdure.actors.store.postgres.writer import Writer

from .catalogue import mutant

# Answers are lost, and the server refuses new connections.
DOUBTS = {"database.commit": 0.3, "database.connect": 0.3, "database.cut": 0.0}


@mutant("E1", "E3", "E10", "E13", "E16", kind="postgres", rates=DOUBTS)
def a_server_that_refuses_a_new_session_ends_the_doubt_of_a_commit(patch: pytest.MonkeyPatch) -> None:
    ready, commit = Writer._ready, Writer.commit
    committing_now: set[Writer] = set()

    async def committed(self: Writer, *arguments: Any) -> None:
        committing_now.add(self)
        try:
            await commit(self, *arguments)
        finally:
            committing_now.discard(self)

    async def make_ready(self: Writer, *rest: Any) -> DatabaseSession:
        try:
            return await ready(self, *rest)
        except Refused as refused:
            if self in committing_now:
                raise writer._CommitRefused(refused) from refused
            raise

    patch.setattr(Writer, "commit", committed)
    patch.setattr(Writer, "_ready", make_ready)


@mutant("E1", "E3", "E10", "E13", "E16", kind="postgres", rates=DOUBTS)
def a_commit_in_doubt_is_sent_again_without_a_look(patch: pytest.MonkeyPatch) -> None:
    send = Writer._send

    async def sent(self: Writer, session: DatabaseSession, statement: Any, *rest: Any) -> Any:
        return () if statement is FIND_ENTRY else await send(self, session, statement, *rest)

    patch.setattr(Writer, "_send", sent)
