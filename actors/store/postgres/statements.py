"""The statements of a store on PostgreSQL, except those of lists.

The rule: a commit is one statement. It locks its host's own row (`fence`) and makes all writes; without that row it
makes none. A host that kills another host deletes that row, and waits for the commit that holds the lock; no statement
waits for any other change of the row.

A commit has a form for each set of its parts, so that small commits have short statements and plans. Each form is
prepared once. docs/design/postgres.md has the measurements.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from .driver import Statement

# The host's own row. After a wait for its lock, and only then, it is read anew, as READ COMMITTED does. Another
# timeline means that the server is a copy that was promoted, and may lack commits of the server before.
FENCE = (
    "fence AS (SELECT 1 AS ok FROM hosts WHERE host = $1 AND life = $2"
    " AND substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) = $3 FOR KEY SHARE)"
)
FENCE_ARGUMENTS = 3

FACETS = "kind, created_us, updated_us, ended_us, parent, tags"
ACTOR = f"key, shard, type, id, active, record, {FACETS}"
FACETS_TYPES = ("int", "bigint", "bigint", "bigint", "text", "text")
ACTOR_TYPES = ("bigint", "int", "text", "text", "boolean", "bytea", *FACETS_TYPES)
TAG_TYPES = ("text", "text", "bigint", "bigint")

# Part of a commit -> the types of its columns, each an array, and its statements by name. {rows} is a table of the
# columns, and {keys} is the first column: a condition on it beside the rows keeps the plan on the index, even a plan
# that was made when the table was empty. All parts see one snapshot, and no two may change the same row.
PARTS: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    "forget": (
        ("bigint",),
        {"forget_": "DELETE FROM log USING fence WHERE log.key = ANY({keys})"},
    ),
    "log": (
        ("bigint", "bigint", "bigint", "bytea"),
        {"log_": "INSERT INTO log (key, position, at_us, entry) SELECT u.* FROM {rows} AS u, fence"},
    ),
    # New actors. Never ON CONFLICT: an actor that has this key already would belong to another host.
    "create": (
        ACTOR_TYPES,
        {"create_": f"INSERT INTO actors ({ACTOR}) SELECT u.* FROM {{rows}} AS u, fence"},
    ),
    # New actors with the id of an actor that the same commit deletes. They take over its row, because the index of ids
    # would still have it; if the row does not exist, it is made.
    "replace": (
        ("bigint", *ACTOR_TYPES),
        {
            "replace_": (
                f"UPDATE actors SET ({ACTOR}) = ({', '.join(f'u.{name}' for name in ACTOR.split(', '))})"
                f" FROM {{rows}} AS u (old, {ACTOR}), fence"
                " WHERE actors.key = u.old AND actors.key = ANY({keys})"
            ),
            "anew_": (
                f"INSERT INTO actors ({ACTOR}) SELECT {', '.join(f'u.{name}' for name in ACTOR.split(', '))}"
                f" FROM {{rows}} AS u (old, {ACTOR}), fence WHERE NOT EXISTS (SELECT 1 FROM actors WHERE key = u.old)"
            ),
        },
    ),
    "update": (
        ("bigint", "bytea", "boolean"),
        {
            "update_": (
                "UPDATE actors SET record = coalesce(u.record, actors.record),"
                " active = coalesce(u.active, actors.active)"
                " FROM {rows} AS u (key, record, active), fence"
                " WHERE actors.key = u.key AND actors.key = ANY({keys}) RETURNING 1"
            )
        },
    ),
    "change": (
        ("bigint", "bytea", "boolean", *FACETS_TYPES),
        {
            "change_": (
                "UPDATE actors SET record = coalesce(u.record, actors.record),"
                " active = coalesce(u.active, actors.active),"
                f" ({FACETS}) = ({', '.join(f'u.{name}' for name in FACETS.split(', '))})"
                f" FROM {{rows}} AS u (key, record, active, {FACETS}), fence"
                " WHERE actors.key = u.key AND actors.key = ANY({keys}) RETURNING 1"
            )
        },
    ),
    "unmark": (
        ("bigint",),
        {
            "unmark_": "UPDATE actors SET active = false FROM fence WHERE actors.key = ANY({keys}) AND active",
        },
    ),
    "delete": (
        ("bigint",),
        {"delete_": "DELETE FROM actors USING fence WHERE actors.key = ANY({keys})"},
    ),
    # The change of the number of actors of each kind, in a row that is never updated. A counter that all commits update
    # would slow all of them down while any session holds a snapshot.
    "tally": (
        ("int", "bigint"),
        {"tally_": "INSERT INTO tallies (kind, more) SELECT u.* FROM {rows} AS u, fence"},
    ),
    # The same, if actors had a kind before; the first column has their keys.
    "was": (
        ("bigint",),
        {
            "was": (
                "SELECT a.key, a.kind, a.created_us, a.tags FROM fence,"
                " LATERAL (SELECT * FROM actors WHERE key = ANY({keys}) OFFSET 0) AS a WHERE a.kind IS NOT NULL"
            )
        },
    ),
    "retally": (
        ("int", "bigint"),
        {
            "retally_": (
                "INSERT INTO tallies (kind, more) SELECT d.kind, sum(d.more) FROM"
                " (SELECT u.* FROM {rows} AS u (kind, more), fence UNION ALL SELECT kind, -1 FROM was) AS d"
                " GROUP BY d.kind HAVING sum(d.more) <> 0"
            )
        },
    ),
    "tag": (
        TAG_TYPES,
        {
            "tag_": (
                "INSERT INTO tags (name, value, created_us, key) SELECT u.* FROM {rows} AS u, fence"
                " ON CONFLICT DO NOTHING"
            )
        },
    ),
    # Tags that actors had before and do not have any more. The columns have their present tags.
    "untag": (
        TAG_TYPES,
        {
            "untag_": (
                "DELETE FROM tags AS t USING was, json_array_elements(was.tags::json) AS e"
                " WHERE (t.name, t.value, t.created_us, t.key) = (e ->> 0, e ->> 1, was.created_us, was.key)"
                " AND NOT EXISTS (SELECT 1 FROM {rows} AS u (name, value, created_us, key)"
                " WHERE (t.name, t.value, t.created_us, t.key) = (u.name, u.value, u.created_us, u.key))"
            )
        },
    ),
    "clear": (
        ("bigint", "bigint", "text"),
        {
            "clear_": (
                "DELETE FROM reminders AS r USING {rows} AS u (due_us, key, name), fence"
                " WHERE (r.due_us, r.key, r.name) = (u.due_us, u.key, u.name) AND r.due_us = ANY({keys})"
            )
        },
    ),
    "set": (
        ("bigint", "bigint", "text", "int"),
        {
            "set_": (
                "INSERT INTO reminders (due_us, key, name, shard) SELECT u.* FROM {rows} AS u, fence"
                " ON CONFLICT DO NOTHING"
            )
        },
    ),
    "audit": (
        ("bigint", "text", "text", "text", "bytea"),
        {"audit_": "INSERT INTO audit (at_us, id, action, author, body) SELECT u.* FROM {rows} AS u, fence"},
    ),
    "put": (
        ("bigint", "bytea", "bigint", "bigint", "bytea"),
        {
            "put_": (
                "INSERT INTO items (key, name, version, expires_us, value) SELECT u.* FROM {rows} AS u, fence"
                " ON CONFLICT (key, name) DO UPDATE SET"
                " (version, expires_us, value) = (excluded.version, excluded.expires_us, excluded.value)"
            )
        },
    ),
    "drop": (
        ("bigint", "bytea"),
        {
            "drop_": (
                "DELETE FROM items AS i USING {rows} AS u (key, name), fence"
                " WHERE (i.key, i.name) = (u.key, u.name) AND i.key = ANY({keys})"
            )
        },
    ),
    # A row by which a commit without an entry can be found later.
    "receipt": (
        ("bigint", "bigint"),
        {
            "receipt_": (
                "INSERT INTO log (key, position, at_us, entry) SELECT u.key, u.position, 0, ''"
                " FROM {rows} AS u (key, position), fence"
            ),
            "spent_": (
                "DELETE FROM log USING {rows} AS u (key, position), fence"
                " WHERE log.key = u.key AND log.position < u.position AND log.key = ANY({keys})"
            ),
        },
    ),
}
# Parts whose rows must exist: the last argument is their number. A commit that finds fewer fails as a whole.
MUST_MATCH = ("update", "change")
MISSED = "22012"  # division by zero, by which such a statement fails


@cache
def commit_of(parts: tuple[str, ...]) -> Statement:
    """The commit with these parts. Its arguments are those of the fence, then the columns of each part in order."""
    number = FENCE_ARGUMENTS
    clauses = [FENCE]
    for part in parts:
        types, statements = PARTS[part]
        columns = ", ".join(f"${number + i}::{each}[]" for i, each in enumerate(types, start=1))
        number += len(types)
        values = {"rows": f"unnest({columns})", "keys": columns.partition(", ")[0]}
        clauses += [f"{name} AS ({sql.format(**values)})" for name, sql in statements.items()]
    matched = [f"(SELECT count(*) FROM {part}_)" for part in parts if part in MUST_MATCH]
    select = "SELECT ok FROM fence"
    if matched:
        select = f"SELECT 1 / (CASE WHEN {' + '.join(matched)} = ${number + 1}::bigint THEN ok ELSE 0 END) FROM fence"
    return Statement("commit", f"WITH {', '.join(clauses)} {select}", parts)


# A commit in doubt.

# Waits for the transaction of the session before, and voids statements that it may still have sent. It is a commit
# itself: once it is acknowledged, all commits before it are as durable.
REVIVE = Statement(
    "revive",
    "WITH l AS (SELECT host FROM hosts WHERE host = $1 FOR UPDATE)"
    " UPDATE hosts SET life = life + 1 FROM l WHERE hosts.host = l.host"
    " RETURNING life, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",
)
FIND_ENTRY = Statement("find entry", "SELECT 1 FROM log WHERE key = $1 AND position = $2")
# The entries that a host has acknowledged and a server that took over lacks. If an actor has a later one, a commit that
# the host never had an answer to came behind the acknowledged one, which was there, and may have deleted it.
MISSING_ENTRIES = Statement(
    "missing entries",
    "SELECT u.key FROM unnest($1::bigint[], $2::bigint[]) AS u (key, position)"
    " WHERE NOT EXISTS (SELECT FROM log l WHERE l.key = u.key AND l.position >= u.position)",
)
# The same for items. The deletion of an item (version 0) is lost if the item exists.
MISSING_ITEMS = Statement(
    "missing items",
    "SELECT u.key FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS u (key, name, version)"
    " LEFT JOIN items AS i ON (i.key, i.name) = (u.key, u.name)"
    " WHERE coalesce(i.version, 0) < u.version OR (u.version = 0 AND i.version IS NOT NULL)",
)
LOOK_AT_HOST = Statement("look at host", "SELECT life FROM hosts WHERE host = $1")

# Hosts.

# A row with the same place and address belongs to an earlier life of the same process, which holds that listening
# socket. No host joins if hosts write a format that it does not read. A host that raises the format waits for this
# lock, and sees the new host.
JOIN = Statement(
    "join",
    "WITH f AS (SELECT value FROM meta WHERE name = 'format' AND value <= $9 FOR SHARE),"
    " old AS (SELECT host FROM hosts, f WHERE place = $4 AND address = $5 AND address <> ''),"
    " old_beats AS (DELETE FROM beats AS b USING old WHERE b.host = old.host),"
    " old_cuts AS (DELETE FROM cuts AS c USING old WHERE old.host IN (c.host, c.peer)),"
    " old_hosts AS (DELETE FROM hosts AS h USING old WHERE h.host = old.host),"
    " b AS (INSERT INTO beats (host) SELECT $1::bigint FROM f)"
    " INSERT INTO hosts (host, state, name, place, address, release, wire_min, wire_max, format_max, apps)"
    " SELECT $1::bigint, $2::smallint, $3::text, $4::text, $5::text, $6::text, $7::int, $8::int, $9::bigint,"
    " $10::text[] FROM f"
    " RETURNING (SELECT value FROM f)",
)
SERVE = Statement("serve", "UPDATE hosts SET state = $2 WHERE host = $1 RETURNING life")
SET_STATE = Statement(
    "set state",
    f"WITH {FENCE}, u AS (UPDATE hosts AS h SET state = $4::smallint FROM fence WHERE h.host = $1)"
    " SELECT ok FROM fence",
)
HOSTS = Statement(
    "hosts",
    "SELECT h.host, h.state, h.name, h.place, h.address, h.release, h.wire_min, h.wire_max, h.format_max, h.apps,"
    " b.beat"
    " FROM hosts AS h JOIN beats AS b USING (host)",
)
# A text that changes with each change of an owner (its epoch grows), of a host's state, or of a cut; and the server's
# timeline.
NEWS = (
    "concat((SELECT sum(epoch) FROM shards), ':', (SELECT sum(state) FROM hosts), ':',"
    " (SELECT string_agg(concat(host, '-', peer), ',') FROM cuts)), substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
)
# The count shows whether the host lives. The list may be older, from before a wait for the host that killed it.
BEAT = Statement(
    "beat",
    "WITH b AS (UPDATE beats SET beat = beat + 1 WHERE host = $1 RETURNING host)"
    f" SELECT host, beat, (SELECT count(*) FROM b), {NEWS} FROM beats",
)
LOOK = Statement("look", f"SELECT host, beat, (SELECT count(*) FROM hosts WHERE host = $1), {NEWS} FROM beats")
KILL = Statement(
    "kill",
    "WITH b AS (DELETE FROM beats WHERE host = $1 AND beat = $2 RETURNING host),"
    " c AS (DELETE FROM cuts USING b WHERE b.host IN (cuts.host, cuts.peer)),"
    " r AS (DELETE FROM log USING b WHERE log.key = -b.host)"
    " DELETE FROM hosts AS h USING b WHERE h.host = b.host RETURNING h.host",
)
BACKEND = Statement("backend", "SELECT pg_backend_pid()")
END_BLOCKING = Statement("end blocking", "SELECT pg_terminate_backend(p) FROM unnest(pg_blocking_pids($1)) AS p")
# In the same order as a kill, to avoid a deadlock between a host that leaves and a host that kills it.
LEAVE = Statement(
    "leave",
    "WITH b AS (DELETE FROM beats WHERE host = $1 RETURNING host),"
    " c AS (DELETE FROM cuts USING b WHERE b.host IN (cuts.host, cuts.peer)),"
    " r AS (DELETE FROM log USING b WHERE log.key = -b.host),"
    # A host that leaves in order has not died: its shards are unowned, and its work is not suspect.
    " f AS (DELETE FROM flights USING b WHERE flights.host = b.host),"
    " s AS (UPDATE shards SET host = NULL FROM b WHERE shards.host = b.host)"
    " DELETE FROM hosts AS h USING b WHERE h.host = b.host",
)
SHARDS = Statement("shards", "SELECT shard, host, epoch FROM shards ORDER BY shard")
# The epoch that was seen is the decisive condition: after a wait for another host, PostgreSQL reads the row of the
# shard anew, but the hosts from the old snapshot.
TAKE = Statement(
    "take",
    f"WITH {FENCE}, t AS (UPDATE shards AS s SET host = $1, epoch = s.epoch + 1"
    " FROM unnest($4::int[], $5::bigint[]) AS u (shard, epoch), fence WHERE s.shard = u.shard AND s.epoch = u.epoch"
    " AND (s.host IS NULL OR s.host = $1 OR NOT EXISTS (SELECT 1 FROM hosts AS h WHERE h.host = s.host)))"
    " SELECT ok FROM fence",
)
GIVE = Statement(
    "give",
    f"WITH {FENCE}, g AS (UPDATE shards AS s SET host = u.host, epoch = s.epoch + 1"
    " FROM unnest($4::int[], $5::bigint[], $6::bigint[]) AS u (shard, host, epoch), fence"
    " WHERE s.shard = u.shard AND s.host = $1 AND s.epoch = u.epoch"
    " AND EXISTS (SELECT 1 FROM hosts AS h WHERE h.host = u.host))"
    " SELECT ok FROM fence",
)
SOME_SHARDS = Statement("some shards", "SELECT shard, host, epoch FROM shards WHERE shard = ANY($1::int[])")
# Notes of work under way. No row is both noted and struck.
NOTE = Statement(
    "note",
    f"WITH {FENCE}, gone AS (DELETE FROM flights AS f"
    " USING unnest($4::text[], $5::text[], $6::text[]) AS u (type, id, what), fence"
    " WHERE f.host = $1 AND f.type = u.type AND f.id = u.id AND f.what = u.what),"
    " put AS (INSERT INTO flights (host, type, id, what, shard, epoch, begun, ends, early, alone, took, tried)"
    " SELECT $1, u.* FROM unnest($7::text[], $8::text[], $9::text[], $10::int[], $11::bigint[],"
    " $12::double precision[], $13::int[], $14::int[], $15::int[], $16::double precision[], $17::boolean[]) AS u, fence"
    " ON CONFLICT (host, type, id, what) DO UPDATE SET shard = excluded.shard, epoch = excluded.epoch,"
    " begun = excluded.begun, ends = excluded.ends, early = excluded.early, alone = excluded.alone,"
    " took = excluded.took, tried = excluded.tried)"
    " SELECT ok FROM fence",
)
FLIGHTS = Statement(
    "flights",
    "SELECT host, type, id, what, shard, epoch, begun, ends, early, alone, took, tried FROM flights"
    " ORDER BY host, type, id, what",
)
# The notes of earlier hosts for shards that have come to this host, and the signs of life of dead hosts.
STRIKE = Statement(
    "strike",
    f"WITH {FENCE}, gone AS (DELETE FROM flights AS f USING unnest($4::int[], $5::bigint[]) AS u (shard, epoch), fence"
    " WHERE f.shard = u.shard AND f.epoch < u.epoch),"
    " signs AS (DELETE FROM flights AS f USING fence WHERE f.shard < 0"
    " AND NOT EXISTS (SELECT 1 FROM hosts AS h WHERE h.host = f.host)"
    " AND NOT EXISTS (SELECT 1 FROM flights AS o WHERE o.host = f.host AND o.shard >= 0 AND o.shard <> ALL ($4)))"
    " SELECT ok FROM fence",
)
CUTS = Statement("cuts", "SELECT host, peer FROM cuts")
CUT = Statement(
    "cut",
    f"WITH {FENCE}, c AS (INSERT INTO cuts (host, peer) SELECT $1, h.host FROM fence, hosts AS h"
    " WHERE h.host = $4::bigint ON CONFLICT DO NOTHING) SELECT ok FROM fence",
)
UNCUT = Statement(
    "uncut",
    f"WITH {FENCE}, c AS (DELETE FROM cuts USING fence WHERE cuts.host = $1 AND cuts.peer = $4::bigint)"
    " SELECT ok FROM fence",
)
MAKE_SECRET = Statement("make secret", "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
SECRET = Statement("secret", "SELECT value FROM secrets WHERE name = $1")
REPLACE_SECRET = Statement(
    "replace secret",
    "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
)

# Statements that a host needs from time to time.

TAKE_KEYS = Statement("take keys", "UPDATE meta SET value = value + $1 WHERE name = 'next_key' RETURNING value - $1")
ADD_KINDS = Statement(
    "add kinds",
    "INSERT INTO kinds (type, status, name, root)"
    " SELECT u.* FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) AS u ON CONFLICT DO NOTHING",
)
KINDS = Statement("kinds", "SELECT kind, type, status, name, root FROM kinds")
FOLD_TALLIES = Statement(
    "fold tallies",
    "WITH gone AS (DELETE FROM tallies RETURNING kind, more)"
    " INSERT INTO tallies (kind, more) SELECT kind, sum(more) FROM gone GROUP BY kind HAVING sum(more) <> 0",
)
THIN_AUDIT = Statement(
    "thin audit",
    "DELETE FROM audit WHERE number IN"
    " (SELECT number FROM audit WHERE at_us < $1 ORDER BY at_us, number LIMIT $2) RETURNING 1",
)

ANY_ACTOR = Statement("any actor", "SELECT 1 FROM actors LIMIT 1")
SET_COPYING = Statement("set copying", "UPDATE meta SET value = $1 WHERE name = 'copying' RETURNING 1")

# Reads. A join is a subquery with OFFSET 0, so that it uses its index, whatever the tables contained when the plan was
# made.

# Record and log in one statement, so that both are of one snapshot. The log comes in rows of its own, unordered.
LOAD = Statement(
    "load",
    f"WITH a AS (SELECT a.* FROM unnest($1::text[], $2::text[]) AS u (type, id),"
    " LATERAL (SELECT * FROM actors WHERE type = u.type AND id = u.id OFFSET 0) AS a)"
    f" SELECT key, NULL::bigint AS position, NULL::bigint AS at_us, record, type, id, active, {FACETS} FROM a"
    " UNION ALL SELECT l.key, l.position, l.at_us, l.entry,"
    " NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"
    " FROM a, LATERAL (SELECT * FROM log WHERE key = a.key OFFSET 0) AS l",
)
INSPECT = Statement(
    "inspect",
    f"SELECT a.type, a.id, a.key, a.record, {', '.join(f'a.{name}' for name in FACETS.split(', '))},"
    " f.position, f.at_us, f.entry, l.position, l.at_us, l.entry"
    " FROM unnest($1::text[], $2::text[]) AS u (type, id),"
    " LATERAL (SELECT * FROM actors WHERE type = u.type AND id = u.id OFFSET 0) AS a"
    " LEFT JOIN LATERAL (SELECT position, at_us, entry FROM log WHERE key = a.key ORDER BY position LIMIT 1) AS f"
    " ON true LEFT JOIN LATERAL"
    " (SELECT position, at_us, entry FROM log WHERE key = a.key ORDER BY position DESC LIMIT 1) AS l ON true",
)
ITEMS = Statement(
    "items",
    "SELECT a.key, a.record, i.name, i.version, i.expires_us, i.value FROM actors AS a LEFT JOIN LATERAL"
    " (SELECT * FROM unnest($3::bytea[]) AS u (name),"
    " LATERAL (SELECT version, expires_us, value FROM items WHERE key = a.key AND name = u.name OFFSET 0) AS n"
    " OFFSET 0) AS i ON true WHERE a.type = $1 AND a.id = $2",
)
EXPIRING = Statement(
    "expiring",
    "SELECT a.key, a.record, i.expires_us, i.name, i.version FROM actors AS a LEFT JOIN LATERAL"
    " (SELECT expires_us, name, version FROM items"
    " WHERE key = a.key AND expires_us > 0 ORDER BY expires_us, name LIMIT $3) AS i ON true"
    " WHERE a.type = $1 AND a.id = $2 ORDER BY i.expires_us, i.name",
)
FIND_KEY = Statement("find key", "SELECT key FROM actors WHERE type = $1 AND id = $2")
IDS = Statement("ids", "SELECT id FROM actors WHERE type = $1 ORDER BY id LIMIT $2")
IDS_BEHIND = Statement("ids behind", "SELECT id FROM actors WHERE type = $1 AND id > $3 ORDER BY id LIMIT $2")
# Unordered, because for the order of keys the server would read all actors.
ACTIVE = Statement("active", "SELECT key, type, id FROM actors WHERE active AND ($1::int[] IS NULL OR shard = ANY($1))")
REMINDERS = Statement(
    "reminders",
    "SELECT r.due_us, r.key, r.name, a.type, a.id FROM reminders AS r,"
    " LATERAL (SELECT type, id FROM actors WHERE key = r.key OFFSET 0) AS a"
    " WHERE (r.due_us, r.key, r.name) > ($1::bigint, $2::bigint, $3::text)"
    " AND (r.due_us, r.key, r.name) <= ($5::bigint, $6::bigint, $7::text)"
    " AND ($8::int[] IS NULL OR r.shard = ANY($8))"
    " ORDER BY r.due_us, r.key, r.name LIMIT $4",
)

# The snapshot of several reads.
BEGIN_READING = Statement("begin reading", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
END_READING = Statement("end reading", "COMMIT")
