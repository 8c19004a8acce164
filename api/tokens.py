"""The tokens that open the API, over HTTP (`http/auth.py`) and gRPC (`rpc/serving/auth.py`).

The rule: a token is compared with every known token, each time in constant time, so that the time of an answer reveals
nothing. Blanks around a token are ignored, as in Dapr.

Several tokens allow rotation: add the new token, switch the callers, remove the old token. The audit has the name of
the token of each change.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

ANONYMOUS = "anonymous"  # the name of all callers if there are no tokens


class NamedToken(NamedTuple):
    """A token and its name, which is no secret."""

    name: str
    token: str


class Tokens:
    """The known tokens, kept as digests.

    Args:
        tokens: A token without a name is named by its position: `token-1`, `token-2` and so on.
    """

    def __init__(self, tokens: Sequence[str | NamedToken]) -> None:
        self.replace(tokens)

    def replace(self, tokens: Sequence[str | NamedToken]) -> None:
        """Replace all known tokens by these."""
        assert tokens, "without tokens there is nothing to check; leave this out"
        named = [
            each if isinstance(each, NamedToken) else NamedToken(name_by_place(i), each)
            for i, each in enumerate(tokens)
        ]
        self._digests = tuple((each.name, digest(each.token.encode())) for each in named)

    def know(self, token: bytes | None) -> bool:
        """Return whether a token is known; None means that the caller sent no token."""
        return self.name_of(token) is not None

    def name_of(self, token: bytes | None) -> str | None:
        """Return the name of a token; None if it is unknown, or the caller sent none."""
        if token is None or not token.strip(BLANKS):
            return None
        return self._name_of_match(digest(token), {known: known for _, known in self._digests})

    def seal(self, token: bytes, text: bytes) -> bytes | None:
        """Sign a text with a key that is derived from a token, so that the seal does not reveal the token.

        Returns:
            The seal, 32 bytes; None if the token is unknown.
        """
        return _seal(digest(token), text) if self.know(token) else None

    def sealed_by(self, text: bytes, seal: bytes) -> str | None:
        """Return the name of the token with which a text was signed; None if no known token fits."""
        return self._name_of_match(seal, {known: _seal(known, text) for _, known in self._digests})

    def _name_of_match(self, given: bytes, expected: dict[bytes, bytes]) -> str | None:
        """Compare with each known digest; return the name of the first match."""
        found: str | None = None
        for token_name, known in self._digests:
            if hmac.compare_digest(given, expected[known]) and found is None:
                found = token_name
        return found


def name_by_place(place: int) -> str:
    """Return the name of an unnamed token by its position among all tokens, from 0."""
    return f"token-{place + 1}"


def digest(token: bytes) -> bytes:
    """Hash a token, because `compare_digest` takes constant time only for arguments of equal length."""
    return hashlib.sha256(token.strip(BLANKS)).digest()


def _seal(token_digest: bytes, text: bytes) -> bytes:
    key = hmac.digest(token_digest, b"perdure session", "sha256")
    return hmac.digest(key, text, "sha256")


BLANKS = b" \t"  # the whitespace that may surround the value of a header
