"""The address of a store says where it is, and is shown without its password."""

import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.url import is_url, parse_url, without_password


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


@pytest.mark.parametrize("more", ["schema=A", "schema=a-b", "schema=", "schema=pg_x", "schema=a%22b", "prepare=maybe"])
def test_what_cannot_be_is_refused(more: str) -> None:
    with pytest.raises(StoreFailed, match="which must be"):
        parse_url(f"postgresql://h/d?{more}")
