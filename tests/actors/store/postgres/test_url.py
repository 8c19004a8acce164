"""The address of a store has its place, and is shown without its password."""

from pathlib import Path

import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.url import OURS, UNKNOWN, addresses_of, is_url, parse_url, without_password


@pytest.mark.parametrize(
    ("data", "url"),
    [("postgresql://h/d", True), ("postgres://h/d", True), ("./perdure.db", False), (":memory:", False), (1, False)],
)
def test_an_address_is_known_by_its_scheme(data: object, url: bool) -> None:
    assert is_url(data) is url


def test_what_is_said_of_the_store_does_not_reach_the_driver() -> None:
    url = parse_url("postgresql://me:secret@a:1,b:2/orders?schema=s1&sslmode=require&prepare=off")
    assert url.dsn == "postgresql://me:secret@a:1,b:2/orders?sslmode=require"
    assert (url.schema, url.prepare) == ("s1", False)
    assert url.name == "postgresql://me@a:1,b:2/orders?sslmode=require (schema s1)"


def test_a_store_has_a_schema_of_its_own_by_default() -> None:
    url = parse_url("postgresql://h/d")
    assert (url.schema, url.prepare, url.name) == ("perdure", True, "postgresql://h/d")


@pytest.mark.parametrize(
    "data", ["postgresql://me:secret@h/d", "postgresql://h/d?user=me&password=secret", "postgres://me:secret@h"]
)
def test_a_password_is_never_shown(data: str) -> None:
    assert "secret" not in without_password(data)
    assert "secret" not in parse_url(data).shown
    assert "secret" in parse_url(data).dsn


def test_another_path_is_shown_as_it_is() -> None:
    assert without_password("./a:b@c.db") == "./a:b@c.db"


@pytest.mark.parametrize(
    "server",
    [
        "h:65536",
        "h:70000",
        "h:0",
        "h:-1",
        "h:abc",
        "h:1e3",
        "h:5432 ",
        "a:1,b:99999",
        "[::1]:0",
        "/d?host=h&port=99999",
    ],
)
def test_a_port_that_no_server_can_have_is_refused_before_it_is_waited_for(server: str) -> None:
    with pytest.raises(StoreFailed, match=r"is no port.*1 to 65535") as refused:
        parse_url(f"postgresql://me:secret@{server}/d" if "/" not in server else f"postgresql://{server}")
    assert "secret" not in str(refused.value)


def test_a_port_of_the_environment_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "99999")
    with pytest.raises(StoreFailed, match="'99999' is no port"):
        parse_url("postgresql://h/d")
    assert parse_url("postgresql://h:5432/d").dsn == "postgresql://h:5432/d"


@pytest.mark.parametrize("server", ["h:1", "h:65535", "h:", "[::1]:5433", "[::1]", "", "a:1,b", "/d?host=/tmp"])
def test_a_port_or_none_is_taken(server: str) -> None:
    parse_url(f"postgresql://{server}")


@pytest.mark.parametrize(
    "data", ["postgresql://me:secret@[::1:5432/d", "postgresql://me:secret@h\u2100/d?password=secret"]
)
def test_what_cannot_be_taken_apart_is_no_address_and_not_shown(data: str) -> None:
    assert "secret" not in without_password(data)
    with pytest.raises(StoreFailed, match="is no address") as refused:
        parse_url(data)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "more",
    ["schema=A", "schema=a-b", "schema=", "schema=pg_x", "schema=a%22b", "schema=information_schema", "prepare=maybe"],
)
def test_what_cannot_be_is_refused(more: str) -> None:
    with pytest.raises(StoreFailed, match="which must be"):
        parse_url(f"postgresql://h/d?{more}")


@pytest.mark.parametrize(
    "more",
    [
        *(f"{name}=7" for name in sorted(OURS)),
        *(f"{name}={value}" for name, values in UNKNOWN.items() for value in values),
    ],
)
def test_words_of_postgresqls_own_programs_that_change_nothing_are_left_out(more: str) -> None:
    url = parse_url(f"postgresql://h/d?{more}&sslmode=require")
    assert url.dsn == url.shown == "postgresql://h/d?sslmode=require"


@pytest.mark.parametrize("more", [f"{name}=require" for name in UNKNOWN])
def test_a_word_that_the_driver_cannot_heed_is_refused(more: str) -> None:
    with pytest.raises(StoreFailed, match=f"the driver cannot do {more}. Leave it out"):
        parse_url(f"postgresql://me:secret@h/d?{more}")


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("postgresql://", "postgresql://"),
        ("postgresql:///d", "postgresql:///d"),
        ("postgres://?user=a", "postgres://?user=a"),
    ],
)
def test_an_address_without_a_server_keeps_its_slashes(data: str, shown: str) -> None:
    assert parse_url(data).shown == without_password(data) == shown


SERVICES = """
# of the team
[orders]
host=db1,db2
port=5433
dbname=orders
user=me
password=a%b=c
"""


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "services.conf"
    path.write_text(SERVICES)
    monkeypatch.setenv("PGSERVICEFILE", str(path))
    return path


@pytest.mark.parametrize("by", ["the address", "PGSERVICE", "a file of the address"])
def test_a_service_says_where_the_database_is(by: str, services: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = "postgresql://?service=orders&schema=s1"
    if by == "PGSERVICE":
        monkeypatch.setenv("PGSERVICE", "orders")
        data = "postgresql://?schema=s1"
    if by == "a file of the address":
        monkeypatch.delenv("PGSERVICEFILE")
        data += f"&servicefile={services}"
    url = parse_url(data)
    assert url.dsn == "postgresql://?host=db1%2Cdb2&port=5433&dbname=orders&user=me&password=a%25b%3Dc"
    assert addresses_of(url.dsn, {}) == [("db1", 5433), ("db2", 5433)]
    assert "a%25b" not in url.shown


@pytest.mark.parametrize(
    ("address", "dsn"),
    [
        ("postgresql://h/", "postgresql://h?dbname=orders&user=me&password=a%25b%3Dc"),
        ("postgresql://you:x@h/d", "postgresql://you:x@h/d"),
        ("postgresql:///d?user=you", "postgresql:///d?user=you&host=db1%2Cdb2&port=5433&password=a%25b%3Dc"),
    ],
)
@pytest.mark.usefixtures("services")
def test_the_address_comes_before_its_service(address: str, dsn: str) -> None:
    assert parse_url(f"{address}{'&' if '?' in address else '?'}service=orders").dsn == dsn


@pytest.mark.parametrize("text", ["[other]\nhost=h\n", "", "host=h\n", "\xff"])
def test_a_service_that_is_not_there_is_no_other_database(text: str, services: Path) -> None:
    services.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreFailed, match=f"there is no service 'orders' in {services}"):
        parse_url("postgresql://me:secret@h?service=orders")
