"""Text that comes from anywhere can be stored and sent."""

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from perdure.runtime.text import clean


def test_text_that_can_be_stored_stays_as_it_is() -> None:
    for text in ("", "plain", "Grüße, 世界 🎉", "a\x00b\n", "\u2028"):
        assert clean(text) == text


def test_a_lone_surrogate_is_replaced_and_the_rest_is_kept() -> None:
    assert clean("file-\udcff.txt") == "file-?.txt"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_whatever_text_there_is_it_can_be_stored_afterwards(text: str) -> None:
    cleaned = clean(text)
    assert msgpack.unpackb(msgpack.packb(cleaned)) == cleaned
    assert len(cleaned) == len(text)
    assert clean(cleaned) == cleaned
