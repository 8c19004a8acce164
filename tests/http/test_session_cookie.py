"""A cookie replaces a token for twelve hours, on every host, and does not reveal it."""

import pytest
from starlette.types import Scope

from perdure.api.tokens import NamedToken, Tokens
from perdure.http.session_cookie import LASTS_S, cookie_name, cookie_value, known_by_cookie, set_cookie

NOW_S = 1_795_406_400


def scope(cookie: str | None = None, *, port: int = 3500, scheme: str = "http") -> Scope:
    headers = [(b"cookie", cookie.encode())] if cookie is not None else []
    return {"type": "http", "server": ("127.0.0.1", port), "scheme": scheme, "headers": headers}


def value_of(tokens: Tokens, token: bytes = b"secret") -> str:
    value = cookie_value(tokens, token, now_s=NOW_S)
    assert value is not None
    return value


def test_a_cookie_stands_for_its_token_on_every_host_until_its_time_is_over() -> None:
    # Given a cookie from one host,
    here, there = Tokens(["other", NamedToken("ops", "secret")]), Tokens([NamedToken("ops", "secret"), "other"])
    sent = scope(f"theme=dark; perdure-3500={value_of(here)}; x=y")
    # then another host accepts it too, for twelve hours and no longer,
    for after_s, actor in ((0, "ops"), (LASTS_S - 1, "ops"), (LASTS_S, None)):
        assert known_by_cookie(here, sent, now_s=NOW_S + after_s) == actor
        assert known_by_cookie(there, sent, now_s=NOW_S + after_s) == actor
    # and no host without the token accepts it.
    assert known_by_cookie(Tokens(["other"]), sent, now_s=NOW_S) is None


def test_a_cookie_is_not_the_token_nor_does_it_hold_it() -> None:
    assert "secret" not in value_of(Tokens(["secret"]))
    assert cookie_value(Tokens(["secret"]), b"wrong", now_s=NOW_S) is None


@pytest.mark.parametrize("forged", ["", "x", "{until}", "{until}.", "{later}.{seal}", "{until}.{other}", " .{seal}"])
def test_a_cookie_that_was_not_made_here_is_none(forged: str) -> None:
    tokens = Tokens(["secret"])
    until, seal = value_of(tokens).split(".")
    text = forged.format(until=until, later=int(until) - 1, seal=seal, other="0" * 64)
    assert known_by_cookie(tokens, scope(f"perdure-3500={text}"), now_s=NOW_S) is None


def test_of_several_cookies_of_a_name_one_that_fits_is_enough() -> None:
    tokens = Tokens(["secret"])
    cookies = f"perdure-3500=old; perdure-3500={value_of(tokens)}"
    assert known_by_cookie(tokens, scope(cookies), now_s=NOW_S) == "token-1"


def test_each_port_has_a_cookie_of_its_own() -> None:
    tokens = Tokens(["secret"])
    assert cookie_name(scope(port=3500)) != cookie_name(scope(port=3501))
    assert known_by_cookie(tokens, scope(f"perdure-3500={value_of(tokens)}", port=3501), now_s=NOW_S) is None


def test_no_script_and_no_other_site_sees_the_cookie() -> None:
    header = set_cookie(scope(), "value", path="/root/api/v1")
    assert header == "perdure-3500=value; Path=/root/api/v1; Max-Age=43200; HttpOnly; SameSite=Strict"
    assert set_cookie(scope(scheme="https"), "v", path="/").endswith("; Secure")
    assert "Max-Age=0;" in set_cookie(scope(), "", path="/", lasts_s=0)
