"""The tokens that open the API, over HTTP (`http/auth.py`) and gRPC (`rpc/serving/auth.py`) alike.

The rule: a token is compared with every known one, each time in constant
time, so that the time of the answer tells nothing. Blanks around a token do not
count, as in Dapr.

Several tokens are for rotation: add the new one, move the callers over, take
the old one away. Each has a name, by which the audit says who has changed
something.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

ANONYMOUS = "anonymous"  # the name of each caller as long as there are no tokens


class NamedToken(NamedTuple):
    """A token and its name, which is no secret."""

    name: str
    token: str


class Tokens:
    """The known tokens, kept as digests.

    Args:
        tokens: One without a name gets one by its place: `token-1`, `token-2` and so on.
    """

    def __init__(self, tokens: Sequence[str | NamedToken]) -> None:
        self.replace(tokens)

    def replace(self, tokens: Sequence[str | NamedToken]) -> None:
        """Know these tokens from now on, and no others."""
        assert tokens, "without tokens there is nothing to check; leave this out"
        named = [
            each if isinstance(each, NamedToken) else NamedToken(name_by_place(i), each)
            for i, each in enumerate(tokens)
        ]
        self._digests = tuple((each.name, digest(each.token.encode())) for each in named)

    def know(self, token: bytes | None) -> bool:
        """Return whether a token is known; None is the token of a caller that sent none."""
        return self.name_of(token) is not None

    def name_of(self, token: bytes | None) -> str | None:
        """Return the name of a token; None if it is not known, or the caller sent none."""
        if token is None or not token.strip(BLANKS):
            return None
        return self._name_of_match(digest(token), {known: known for _, known in self._digests})

    def seal(self, token: bytes, text: bytes) -> bytes | None:
        """Sign a text with a key that is derived from a token, so that the seal tells nothing of it.

        Returns:
            The seal, 32 bytes; None if the token is not known.
        """
        return _seal(digest(token), text) if self.know(token) else None

    def sealed_by(self, text: bytes, seal: bytes) -> str | None:
        """Return the name of the token by which a text was signed; None if it was none that is known now."""
        return self._name_of_match(seal, {known: _seal(known, text) for _, known in self._digests})

    def _name_of_match(self, given: bytes, expected: dict[bytes, bytes]) -> str | None:
        """Compare with each known digest; return the name of the first that fits."""
        found: str | None = None
        for token_name, known in self._digests:
            if hmac.compare_digest(given, expected[known]) and found is None:
                found = token_name
        return found


def name_by_place(place: int) -> str:
    """Name a token that has no name by its place among all of them, from 0."""
    return f"token-{place + 1}"


def digest(token: bytes) -> bytes:
    """Hash a token: `compare_digest` takes constant time only for arguments of one length."""
    return hashlib.sha256(token.strip(BLANKS)).digest()


def _seal(token_digest: bytes, text: bytes) -> bytes:
    key = hmac.digest(token_digest, b"perdure session", "sha256")
    return hmac.digest(key, text, "sha256")


BLANKS = b" \t"  # the whitespace that may stand around the value of a header
