"""Who may come in: the tokens that open the door, over HTTP and gRPC alike.

The one law: every token is compared, each in constant time, whatever the
others said, so that how long the answer takes tells nothing.

Several tokens are for rotation: add the new one, move the callers over, take
the old one away.
"""

import hashlib
import hmac
from collections.abc import Sequence


class Tokens:
    """The tokens, none of them in clear."""

    def __init__(self, tokens: Sequence[str]) -> None:
        assert tokens, "without tokens there is nothing to check; leave this out"
        self._digests = tuple(digest(token.encode()) for token in tokens)

    def know(self, token: bytes | None) -> bool:
        """Say whether a token is one of ours."""
        if token is None:
            return False
        found = False
        given = digest(token)
        for known in self._digests:
            found |= hmac.compare_digest(given, known)
        return found


def digest(token: bytes) -> bytes:
    """Bring tokens to one length: `compare_digest` is constant in time only among equals of length."""
    return hashlib.sha256(token).digest()
