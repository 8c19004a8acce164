"""The settings of sessions, and the requirements on a server.

The rule: a store works only with the settings with which it was tested. Behind a pooler the role must have them.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

import anyio

from ..errors import StoreFailed
from ..presence.figures import ServerFigures, StandbyLag
from .driver import CHECKS_CLIENT, DatabaseSession, Lost, Refused, Statement, call_later, pairs_of
from .url import DatabaseUrl

logger = logging.getLogger(__name__)

VERSION_MIN = 15

SESSION: Mapping[str, str] = {
    # A plan that is made while a table is empty would scan the table when it has a million rows, and making a plan for
    # each commit costs 0.2 ms. So plans are made once, with indexes, even where sorting a few rows would be faster.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "jit": "off",
    # A host that freezes between two statements holds a lock for at most this time.
    "idle_in_transaction_session_timeout": "1000",
    # No commit is cancelled: the server may report a commit as cancelled although it has happened.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "client_min_messages": "warning",
    # A session that was cut off by this host ends on the server too, even while it waits for a lock. Otherwise a host
    # whose beats wait for a lost standby would use up the connections of the server, one a second.
    CHECKS_CLIENT: "1000",
    # The same timeout that the driver sets on this side.
    "tcp_user_timeout": "5000",
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
}
# The settings without which a promise would be broken, and their permitted values.
REQUIRED: Mapping[str, frozenset[str]] = {
    "synchronous_commit": frozenset({"on", "remote_apply"}),
    "transaction_isolation": frozenset({"read committed"}),
    "plan_cache_mode": frozenset({"force_generic_plan"}),
    "enable_seqscan": frozenset({"off"}),
    "enable_sort": frozenset({"off"}),
    "statement_timeout": frozenset({"0"}),
}
CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"  # OpenSSL's word, in an error that is a ValueError
STANDBYS = "standbys"  # not a setting: the number of copies that follow the server
SHOW = Statement(
    "show",
    "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"
    f" UNION ALL SELECT '{STANDBYS}', count(*)::text FROM pg_stat_replication",
)
# A user without the rights of pg_monitor sees the number of followers only. The lag of a follower that has replayed all
# is out of date after a while, and then unknown.
LAGS = Statement(
    "lags",
    "SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint, r.pid, r.application_name,"
    " CASE WHEN r.replay_lsn < pg_current_wal_lsn() THEN coalesce(extract(epoch FROM r.replay_lag), 0) ELSE 0 END"
    "::float8, pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::bigint"
    " FROM (SELECT 1) AS one LEFT JOIN pg_stat_replication AS r ON true",
)
SYNCHRONOUS = "synchronous_standby_names"
SERVER = ("server_version_num", "server_encoding", "search_path", SYNCHRONOUS)


def session_settings(url: DatabaseUrl, purpose: str) -> Mapping[str, str]:
    """The settings of a session.

    Args:
        purpose: A text for `pg_stat_activity`.
    """
    return {**SESSION, "search_path": url.schema, "application_name": f"perdure {purpose}"}


async def require_settings(session: DatabaseSession, url: DatabaseUrl) -> Mapping[str, str]:
    """Check that a session has its settings, and that the server can have a store.

    Returns:
        The settings as the server reports them: name -> value.

    Raises:
        StoreFailed: A setting or the server does not meet the requirements.
    """
    found: dict[str, str] = pairs_of(await session.run(SHOW, ([*REQUIRED, *SERVER],)))
    version = int(found["server_version_num"]) // 10_000
    if version < VERSION_MIN:
        raise StoreFailed(f"{url.shown} is PostgreSQL {version}; a store needs {VERSION_MIN} or newer")
    if found["server_encoding"] != "UTF8":
        raise StoreFailed(
            f"{url.shown} has the encoding {found['server_encoding']}, and a store needs UTF8: "
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )
    wrong = {name: found[name] for name, right in REQUIRED.items() if found[name] not in right}
    if found["search_path"].strip('"') != url.schema:
        wrong["search_path"] = found["search_path"]
    if wrong:
        name, value = next(iter(wrong.items()))
        settings = {**SESSION, "search_path": url.schema, "transaction_isolation": "read committed"}
        shown = "default_transaction_isolation" if name == "transaction_isolation" else name
        raise StoreFailed(
            f"{url.shown}: a session has {shown} = {value}, and needs {settings[name]}. A pooler takes no settings "
            f"from sessions, so give them to the role: ALTER ROLE ... SET {shown} = '{settings[name]}' "
            f"(all of them: docs/postgres.md). A direct connection is better: a host needs five"
        )
    return found


def why_closed(shown: str, error: Exception) -> str:
    """Return a sentence about the reason why a store cannot be opened.

    Args:
        shown: Its address, without the password.
        error: `Refused` or `Lost`.
    """
    if not isinstance(error, Refused):
        return f"{shown} does not answer: {error}"
    if error.by_pooler:
        return (
            f"{shown} is a pooler, which takes no settings from sessions ({error.message}). Add ?prepare=off to the "
            "address, and give them to the role (docs/postgres.md); or connect to the server itself"
        )
    match error.state[:2], error.state:
        case "28", _:
            return f"{shown} does not let this user in: {error.message}"
        case "22", _ if CERTIFICATE in error.message:
            return (
                f"{shown} has a certificate that this machine does not accept: {error.message}. sslrootcert names the "
                "authority, and sslmode=verify-full needs the host as the certificate has it"
            )
        case "22", _:
            return f"{shown} cannot be an address of a database: {error.message}"
        case _, "3D000":
            return f"{shown} is not there: {error.message}. Make it: CREATE DATABASE ... ENCODING 'UTF8'"
        case _, "42501":
            return f"{shown} does not allow this user to make the tables of a store: {error.message}"
    return f"{shown} cannot be opened: {error}"


def replication_warning(found: Mapping[str, str], url: DatabaseUrl) -> str | None:
    """The warning about a server with standbys for which no commit waits; None for any other server.

    Args:
        found: What `require_settings` has returned.
    """
    standbys = int(found.get(STANDBYS, 0))
    if standbys == 0 or found[SYNCHRONOUS]:
        return None
    return (
        f"{url.shown} is followed by {standbys} server{'s' if standbys > 1 else ''}, and waits for none of them: after "
        f"a failover the last commits may be gone, although they were acknowledged. Set {SYNCHRONOUS} on it"
    )


async def waits_for_standbys(session: DatabaseSession) -> bool:
    """Whether a commit waits until a standby has it.

    Raises:
        Refused, Lost: As for a session.
    """
    return bool(pairs_of(await session.run(SHOW, ([SYNCHRONOUS],))).get(SYNCHRONOUS))


async def figures_of(session: DatabaseSession, now_us: Callable[[], int]) -> ServerFigures:
    """Read a server's clock, and the lags of the servers that follow it.

    Args:
        now_us: This machine's clock; Unix time in microseconds.

    Raises:
        Refused, Lost: As for a session.
    """
    sent_us = now_us()
    rows = await session.run(LAGS)
    middle_us = (sent_us + now_us()) / 2
    lags: dict[str, StandbyLag] = {}
    for _, _, name, behind_s, behind_bytes in rows:
        if behind_bytes is not None:
            known = lags.get(name, StandbyLag(name, 0.0, 0))  # several followers may have the same name
            lags[name] = StandbyLag(name, max(known.behind_s, behind_s), max(known.behind_bytes, behind_bytes))
    followers = sum(pid is not None for _, pid, *_ in rows)
    return ServerFigures((middle_us - rows[0][0]) / 1e6, followers, list(lags.values()))


async def figures_within(
    seconds: float, connect: Callable[[str], Awaitable[DatabaseSession]], now_us: Callable[[], int]
) -> ServerFigures | None:
    """Read the figures on a session of its own, so that the call waits only for the server.

    Args:
        connect: Makes a session for a purpose.
        now_us: As for `figures_of`.

    Returns:
        None: The server has not answered within `seconds`.
    """
    until = anyio.current_time() + seconds
    session: DatabaseSession | None = None
    try:
        with anyio.fail_after(seconds):
            session = await connect("figures")
        # No answer in time means a lost connection. It is cut, and the statement not cancelled.
        timer = call_later(max(0.0, until - anyio.current_time()), session.terminate)
        try:
            return await figures_of(session, now_us)
        finally:
            timer.cancel()
    except (Lost, Refused, TimeoutError) as error:
        logger.debug("the server has no figures: %s", error)
        return None
    finally:
        if session is not None:
            session.terminate()
