"""Idempotency keys: a request that a caller repeats under the same key happens once.

The rule: a key has no row of its own. The execution id of an instance that was started with a key is made from the key,
and an event that came with one holds its digest. So a key is known for as long as the instance, and costs other
instances nothing.

The facade's callers make them, and workflow actors compare them.
"""

from hashlib import blake2b
from uuid import UUID, uuid5

from .record import EVENT_KEY_BYTES

STARTS = UUID("6b6f7b1e-2b4c-5d0a-9c3f-7d1e5a8f0b42")

HALF_BYTES = 8


def instance_id_of(name: str, key: str) -> str:
    """The id of an instance that is started with a key and without an id: a UUID of version 5.

    Args:
        name: The workflow's.
    """
    return str(uuid5(uuid5(STARTS, _utf8(name)), _utf8(key)))


def execution_id_of(name: str, key: str, input: str | None) -> str:  # noqa: A002  the house's word
    """The execution id of the first generation of an instance that is started with a key: 32 hexadecimal digits.

    The first half stands for the workflow and the key, the second for the input.
    """
    asked = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=HALF_BYTES, key=_digest(name)).hexdigest()
    given = blake2b(b"" if input is None else b"=" + input.encode("utf-8", "surrogatepass"), digest_size=HALF_BYTES)
    return asked + given.hexdigest()


def is_same_key(begun: str, asked: str) -> bool:
    """Whether two executions were started with the same key.

    Args:
        begun: The execution id of a first generation.
        asked: The same, from `execution_id_of`.
    """
    return begun[: 2 * HALF_BYTES] == asked[: 2 * HALF_BYTES]


def event_key_of(key: str) -> bytes:
    """The key of an event, as instances keep it."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=EVENT_KEY_BYTES).digest()


def _digest(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _utf8(text: str) -> str:
    """The text without lone surrogates, which no UUID can be made of."""
    return text.encode("utf-8", "replace").decode()
