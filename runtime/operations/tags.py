"""Tags: names and values that callers give an instance beside its id, by which lists can be filtered.

The rule: tags are set when an instance is started and do not change. Its later generations and its reruns have the
same, its children have none of them.

The facade checks them (`runtime/operations/facade.py`); the record holds them.
"""

from collections.abc import Mapping

from ..authoring.limits import bytes_of
from ..errors import InvalidRequest, NulRefused

TAGS_MAX = 16  # of an instance
KEY_BYTES_MAX = 64  # as UTF-8
VALUE_BYTES_MAX = 256


def checked_tags(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The form in which an instance keeps tags, by key.

    Raises:
        InvalidRequest: There are too many, or one is too long, or is no text.
    """
    if len(tags) > TAGS_MAX:
        raise InvalidRequest(f"an instance has at most {TAGS_MAX} tags, not {len(tags)}")
    for key, value in tags.items():
        if not (_is_text(key) and _is_text(value)):
            raise InvalidRequest(f"the key and the value of a tag must be text, not {key!r}: {value!r}")
        refuse_nul("the key of a tag", key)
        refuse_nul(f"the value of tag {key!r}", value)
        if not key or bytes_of(key) > KEY_BYTES_MAX:
            raise InvalidRequest(f"the key of a tag has 1 to {KEY_BYTES_MAX} bytes, not {bytes_of(key)}: {key!r}")
        if bytes_of(value) > VALUE_BYTES_MAX:
            raise InvalidRequest(
                f"the value of tag {key!r} has {bytes_of(value)} bytes; at most {VALUE_BYTES_MAX} are allowed"
            )
    return tuple(sorted(tags.items()))


def refuse_nul(what: str, text: str) -> None:
    """Refuse a text with a NUL, in every store.

    Raises:
        NulRefused: It has one.
    """
    if "\0" in text:
        raise NulRefused(what, text)


def _is_text(given: object) -> bool:
    """Whether it is text that can be stored: a plain `str` without lone surrogates."""
    return type(given) is str and not any("\ud800" <= character <= "\udfff" for character in given)
