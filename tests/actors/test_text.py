"""Text from any source can be stored and sent."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.text import class_name, clean, cut, described, repr_of, text_of, type_name

from ..support.workflows.hard_exceptions import HARD_EXCEPTIONS, SlyText


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


def test_text_of_a_subclass_becomes_plain_text() -> None:
    for plain in (clean(SlyText("sly")), cut(SlyText("sly")), cut(SlyText("sly-er"), 3)):
        assert type(plain) is str
        assert plain.startswith("sly")


def test_long_text_is_cut_with_a_remark() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "abc… [cut to 3 bytes; the text has 4 characters]"
    # Never in the middle of a character:
    assert cut("aää", 4).startswith("aä…")


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_no_object_is_so_odd_that_it_has_no_text(name: str) -> None:
    error = HARD_EXCEPTIONS[name]()
    for text in (text_of(error), repr_of(error), described(error), type_name(error), class_name(type(error))):
        assert type(text) is str
        assert len(text.encode()) < 70_000
        text.encode()


def test_an_object_that_is_no_exception_has_a_text_too() -> None:
    class Silent:
        def __str__(self) -> str:
            raise KeyboardInterrupt

        __repr__ = __str__

    assert text_of(Silent()) == "this Silent has no text, because its __str__ raised KeyboardInterrupt: "
    assert repr_of(Silent()) == "this Silent has no text, because its __repr__ raised KeyboardInterrupt: "
