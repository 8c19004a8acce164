"""The log of a database, decoded: its transactions in the order of their commits.

A replication slot with PostgreSQL's own plugin `test_decoding` gives lines of text; the server needs
`wal_level=logical`. What a commit wrote and a later one deleted is there too, as it would not be in the tables.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from ...support.postgres import PostgresServer
from .recorded import Change, Commit, Created, Gone, Joined, Moved, WrittenRow

SLOT = "chaos"
LINE_MAX = 1000  # records and entries follow what is looked at

CHANGE = re.compile(r"table \w+\.(?P<table>\w+): (?P<what>INSERT|UPDATE|DELETE): (?P<columns>.*)", re.DOTALL)
# A name that is a word of SQL has quotes around it.
COLUMN = re.compile(r"(?P<name>\w+)\"?\[[^\]]+\]:(?P<value>'(?:[^']|'')*'|\S+)")
COMMIT = re.compile(r"COMMIT \d+ \(at (?P<at>[^)]+)\)")


def begin_decoding(server: PostgresServer) -> None:
    """Keep the log from now on."""
    server.sql(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'test_decoding')")


def decoded(server: PostgresServer) -> list[Commit]:
    """Read all commits since `begin_decoding`, of any schema."""
    lines = server.sql(
        f"SELECT replace(left(data, {LINE_MAX}), E'\\n', ' ') FROM pg_logical_slot_peek_changes('{SLOT}', NULL, NULL,"
        " 'include-xids', '1', 'include-timestamp', '1')"
    )
    return list(commits_of(lines.splitlines()))


def commits_of(lines: Iterable[str]) -> Iterator[Commit]:
    """Put lines of `test_decoding` together to commits; those that changed nothing of interest are left out."""
    changes: list[Change] = []
    for line in lines:
        if (end := COMMIT.match(line)) is not None:
            if changes:
                yield Commit(datetime.fromisoformat(padded(end["at"])).timestamp(), tuple(changes))
            changes = []
        elif (change := change_of(line)) is not None:
            changes.append(change)


def padded(moment: str) -> str:
    """PostgreSQL's text of a time, as Python's `fromisoformat` takes it: +00 stands for +00:00."""
    return moment if ":" in moment[-3:] else f"{moment}:00"


def change_of(line: str) -> Change | None:
    """The change that a line tells of; None if it is of no interest."""
    if (found := CHANGE.match(line)) is None:
        return None
    values = {each["name"]: each["value"] for each in COLUMN.finditer(found["columns"])}
    match found["table"], found["what"]:
        case "log", "INSERT" if int(values["key"]) >= 0:  # a host's own notes have negative keys
            return WrittenRow(int(values["key"]), int(values["position"]))
        case "actors", "INSERT" | "UPDATE":
            return Created(int(values["key"]), int(values["shard"]), text_of(values["id"]))
        case "shards", "UPDATE" if values["host"] != "null":
            return Moved(int(values["shard"]), int(values["host"]), int(values["epoch"]))
        case "hosts", "INSERT":
            return Joined(int(values["host"]), int(text_of(values["place"]).split("/")[1]))
        case "hosts", "DELETE":
            return Gone(int(values["host"]))
    return None


def text_of(value: str) -> str:
    return value[1:-1].replace("''", "'")
