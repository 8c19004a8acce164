"""Each of the tokens opens the door, nothing else does, and how long that takes tells nothing."""

import hmac
import pickle

import pytest

from perdure.api.tokens import Tokens

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
    # Given a count of comparisons, and of what was compared,
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(given: bytes, known: bytes) -> bool:
        compared.append((len(given), len(known)))
        return compare(given, known)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    # when a token is looked for, then all were looked at, wherever it stands.
    Tokens(TOKENS).know(token.encode())
    assert compared == [(32, 32)] * len(TOKENS)


def test_no_token_is_kept_in_clear() -> None:
    kept = pickle.dumps(Tokens(["the secret"]))
    assert b"the secret" not in kept


def test_without_a_token_there_is_nothing_to_check() -> None:
    with pytest.raises(AssertionError, match="leave this out"):
        Tokens([])
