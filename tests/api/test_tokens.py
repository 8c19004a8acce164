"""Exactly the tokens open the door, and the time that a check takes reveals nothing."""

import hmac
import pickle

import pytest

from perdure.api.tokens import NamedToken, Tokens

TOKENS = ("old", "new", "größe", "a much longer one")


@pytest.mark.parametrize("token", TOKENS)
def test_each_token_is_known(token: str) -> None:
    assert Tokens(TOKENS).know(token.encode())


@pytest.mark.parametrize(
    "token", [None, b"", b"Old", b"ol", b"oldd", b"old\n", b"oldnew", b"old,new", "größe".encode("latin-1"), b"\xff"]
)
def test_anything_else_is_not(token: bytes | None) -> None:
    assert not Tokens(TOKENS).know(token)


@pytest.mark.parametrize("given", [b" old", b"old ", b"\told \t", b"  old  "])
@pytest.mark.parametrize("known", ["old", " old "])
def test_blanks_around_a_token_do_not_count(given: bytes, known: str) -> None:
    assert Tokens([known]).know(given)


@pytest.mark.parametrize("given", [b"", b" ", b"o ld", b"\x0bold", b"old\n", "\u00a0old".encode()])
def test_blanks_are_no_token_and_other_whitespace_is_none(given: bytes) -> None:
    assert not Tokens(["old", " "]).know(given)


@pytest.mark.parametrize("token", [*TOKENS, "wrong"])
def test_every_token_is_compared_at_one_length_whatever_the_others_said(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a record of all comparisons,
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(given: bytes, known: bytes) -> bool:
        compared.append((len(given), len(known)))
        return compare(given, known)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    # when a token is looked up, then all were compared, at any position of the token.
    Tokens(TOKENS).know(token.encode())
    assert compared == [(32, 32)] * len(TOKENS)


def test_no_token_is_kept_in_clear() -> None:
    kept = pickle.dumps(Tokens(["the secret"]))
    assert b"the secret" not in kept


def test_without_a_token_there_is_nothing_to_check() -> None:
    with pytest.raises(AssertionError, match="leave this out"):
        Tokens([])


def test_a_token_is_named_as_it_was_given_or_by_its_place() -> None:
    tokens = Tokens(["first", NamedToken("ops", "second"), "third"])
    names = [tokens.name_of(token) for token in (b"first", b"second", b"third", b"fourth", None)]
    assert names == ["token-1", "ops", "token-3", None, None]


def test_a_seal_tells_the_token_that_made_it_for_as_long_as_that_is_known() -> None:
    # Given a text that was sealed with one of two tokens, and the same tokens on another host,
    tokens, elsewhere = Tokens(["old", NamedToken("ops", "new")]), Tokens(["old", NamedToken("ops", "new")])
    seal = tokens.seal(b"new", b"text")
    assert seal is not None
    # then both know the token,
    assert tokens.sealed_by(b"text", seal) == elsewhere.sealed_by(b"text", seal) == "ops"
    # another text and another seal have no token,
    assert tokens.sealed_by(b"other", seal) is None
    assert tokens.sealed_by(b"text", bytes(32)) is None
    assert tokens.sealed_by(b"text", b"") is None
    # and once the token has gone, so has the seal.
    tokens.replace(["old"])
    assert tokens.sealed_by(b"text", seal) is None


def test_nothing_is_sealed_with_a_token_that_is_not_known() -> None:
    assert Tokens(["old"]).seal(b"new", b"text") is None
