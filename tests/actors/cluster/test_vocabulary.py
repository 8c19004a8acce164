"""Hosts send each other only the messages of their vocabulary, and receive only data of known types."""

import contextlib
import pickle
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from perdure.actors.cluster.protocol import FrameRefused
from perdure.actors.cluster.vocabulary import PLAIN, NotPortable, Vocabulary, WireWord
from perdure.actors.errors import PerdureError


class Fruit(NamedTuple):
    name: str
    grams: int = 1


class Basket:
    def __init__(self, fruits: list[Fruit]) -> None:
        self.fruits = fruits


def basket_of(form: list[Fruit]) -> Basket:
    if len(form) > 2:
        raise PerdureError("too many")
    return Basket(form)


VOCABULARY = Vocabulary(
    [WireWord("fruit", Fruit), WireWord("basket", Basket, list[Fruit], lambda it: it.fruits, basket_of)]
)


@pytest.mark.parametrize("value", [None, True, 7, -1, 2.5, "text", Fruit("apple", 150)])
def test_a_value_is_heard_as_it_was_said(value: Any) -> None:
    heard = VOCABULARY.hear(*VOCABULARY.say(value))
    assert heard == value
    assert type(heard) is type(value)


class Marked(str):
    """A text with its own methods, like the handle of an instance."""


def test_a_text_with_methods_is_heard_as_a_text() -> None:
    for said, field in ((Marked("x"), str), (Fruit(Marked("x")), lambda fruit: fruit.name)):
        heard = field(VOCABULARY.hear(*VOCABULARY.say(said)))
        assert (heard, type(heard)) == ("x", str)


def test_a_type_may_have_another_form_on_the_way() -> None:
    heard = VOCABULARY.hear(*VOCABULARY.say(Basket([Fruit("pear")])))
    assert type(heard) is Basket
    assert heard.fruits == [Fruit("pear")]


@pytest.mark.parametrize(
    "value",
    [b"bytes", [1], {"a": 1}, object(), print, Fruit("\ud800"), Fruit("x", 2**70), Fruit(object())],  # type: ignore[arg-type]
)
def test_what_has_no_word_or_no_form_is_not_said(value: Any) -> None:
    with pytest.raises(NotPortable):
        VOCABULARY.say(value)


def packed(value: Any) -> Raw:
    return Raw(msgspec.msgpack.encode(value))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("vegetable", packed(["leek", 1])),
        ("fruit", packed(["apple", "heavy"])),
        ("fruit", packed([])),
        ("fruit", packed(["apple", 1, "more"])),
        ("fruit", Raw(b"")),
        ("basket", packed([["a", 1]] * 3)),
        (PLAIN, packed(["a", "list"])),
        (PLAIN, Raw(pickle.dumps("text"))),
    ],
)
def test_what_is_not_of_its_word_is_refused(word: str, said: Raw) -> None:
    with pytest.raises(FrameRefused):
        VOCABULARY.hear(word, said)


@given(word=st.sampled_from(["fruit", "basket", PLAIN, "other"]), said=st.binary(max_size=64))
def test_any_bytes_are_heard_or_refused(word: str, said: bytes) -> None:
    with contextlib.suppress(FrameRefused):
        VOCABULARY.hear(word, Raw(said))


def test_a_word_stands_for_one_type() -> None:
    with pytest.raises(AssertionError, match="two words"):
        Vocabulary([WireWord("a", Fruit), WireWord("a", Basket, list[Fruit])])
    with pytest.raises(AssertionError, match="two words"):
        Vocabulary([WireWord("a", Fruit), WireWord("b", Fruit)])
