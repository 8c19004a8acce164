"""The log of a database, decoded: the lines of `test_decoding` become commits of the observed tables, in order."""

import pytest

from .decoding import change_of, commits_of
from .recorded import Change, Commit, Created, Gone, Joined, Moved, WrittenRow

AT = "2026-11-26 21:00:00.25+00"


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (
            'table chaos.log: INSERT: key[bigint]:7 "position"[bigint]:1099511627777 at_us[bigint]:5'
            " entry[bytea]:'\\x01'",
            WrittenRow(7, (1 << 40) + 1),
        ),
        ("table chaos.log: INSERT: key[bigint]:-7 position[bigint]:1 at_us[bigint]:5 entry[bytea]:'\\x01'", None),
        ("table chaos.log: DELETE: key[bigint]:7 position[bigint]:1", None),
        (
            "table chaos.actors: INSERT: key[bigint]:7 shard[integer]:3 type[text]:'workflow' id[text]:'it''s [1]:2'"
            " active[boolean]:true record[bytea]:'\\x00'",
            Created(7, 3, "it's [1]:2"),
        ),
        (
            "table chaos.actors: UPDATE: old-key: key[bigint]:7 new-tuple: key[bigint]:9 shard[integer]:4"
            " type[text]:'workflow' id[text]:'a' active[boolean]:true",
            Created(9, 4, "a"),
        ),
        ("table chaos.shards: INSERT: shard[integer]:3 host[bigint]:null epoch[bigint]:0", None),
        ("table chaos.shards: UPDATE: shard[integer]:3 host[bigint]:-12 epoch[bigint]:2", Moved(3, -12, 2)),
        (
            "table chaos.hosts: INSERT: host[bigint]:12 life[bigint]:0 state[smallint]:2 name[text]:'a machine'"
            " place[text]:'boot:1/4711/88' release[text]:'0.2'",
            Joined(12, 4711),
        ),
        ("table chaos.hosts: UPDATE: host[bigint]:12 life[bigint]:1 state[smallint]:0", None),
        ("table chaos.hosts: DELETE: host[bigint]:12", Gone(12)),
        ("table chaos.beats: UPDATE: host[bigint]:12 beat[bigint]:5", None),
        ("BEGIN 700", None),
    ],
)
def test_a_line_is_a_change_or_of_no_interest(line: str, change: Change | None) -> None:
    assert change_of(line) == change


@pytest.mark.parametrize(
    ("at", "second"), [(AT, 0.25), ("2026-11-26 21:00:00+00", 0), ("2026-11-26 22:00:00.5+01", 0.5)]
)
def test_lines_between_two_commits_are_one_commit_with_its_time(at: str, second: float) -> None:
    lines = [
        "BEGIN 700",
        "table chaos.beats: UPDATE: host[bigint]:12 beat[bigint]:5",
        f"COMMIT 700 (at {at})",
        "BEGIN 701",
        "table chaos.shards: UPDATE: shard[integer]:3 host[bigint]:12 epoch[bigint]:2",
        "table chaos.hosts: DELETE: host[bigint]:13",
        f"COMMIT 701 (at {at})",
    ]
    [commit] = commits_of(lines)
    assert commit == Commit(commit.at_s, (Moved(3, 12, 2), Gone(13)))
    assert commit.at_s == 1795726800 + second
