"""The tokens that open the API, over HTTP (`http/auth.py`) and gRPC (`rpc/serving/auth.py`) alike.

The one law: a token is compared with every known one, each time in constant
time, so that the time of the answer tells nothing. Blanks around a token do not
count, as in Dapr.

Several tokens are for rotation: add the new one, move the callers over, take
the old one away.
"""

import hashlib
import hmac
from collections.abc import Sequence


class Tokens:
    """The known tokens, kept as digests."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.replace(tokens)

    def replace(self, tokens: Sequence[str]) -> None:
        """Know these tokens from now on, and no others."""
        assert tokens, "without tokens there is nothing to check; leave this out"
        self._digests = tuple(digest(token.encode()) for token in tokens)

    def know(self, token: bytes | None) -> bool:
        """Return whether a token is known; None is the token of a caller that sent none."""
        if token is None or not token.strip(BLANKS):
            return False
        found = False
        given = digest(token)
        for known in self._digests:
            found |= hmac.compare_digest(given, known)
        return found


def digest(token: bytes) -> bytes:
    """Hash a token: `compare_digest` takes constant time only for arguments of one length."""
    return hashlib.sha256(token.strip(BLANKS)).digest()


BLANKS = b" \t"  # the whitespace that may stand around the value of a header
