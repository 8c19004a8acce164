"""A type without a single form in JSON is read as pydantic reads it, or by its fields, or it is refused."""

import collections
import ipaddress
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict, Union

import pydantic
import pydantic.dataclasses
import pytest

from perdure import App, PayloadError
from perdure.runtime.authoring.codec import Decoder, Encoder
from perdure.runtime.errors import AppError

ENCODER = Encoder()


@dataclass
class Card:
    number: str


@dataclass
class Invoice:
    days: int


@dataclass
class Gift:
    number: str
    note: str = ""


@dataclass
class Bird:
    kind: Literal["bird"]
    name: str


@dataclass
class Fish:
    kind: Literal["fish"]
    name: str


@dataclass
class Blob:
    raw: bytes


@dataclass
class Step:
    name: str


@dataclass
class Sequential:
    """A type that contains itself, as in Temporal's sample of a custom language."""

    steps: "list[Step | Sequential | Parallel]"


@dataclass
class Parallel:
    branches: "list[Union[Step, Sequential, Parallel]]"  # noqa: UP007


@dataclass
class Holder:
    raw: bytes
    how: Card | Invoice | None
    all: list[Card | Invoice]
    by_name: dict[str, Bird | Fish]
    pair: tuple[Card | Invoice, int]


class Latitude(TypedDict):
    latitude: float


class Street(TypedDict):
    street: str


class Basket(TypedDict, total=False):
    paid: Card | Invoice


class Pair(NamedTuple):
    first: Card | Invoice
    second: int = 0


CardNumber = NewType("CardNumber", str)


@dataclass
class Boxed:
    basket: dict[str, Basket]
    pair: Pair


class Colour(Enum):
    RED = "red"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]


class Alien:
    pass


@pytest.fixture(params=["pydantic", "plain"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With pydantic, and as if it were not installed."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "pydantic", None)
    name: str = request.param
    return name


def round_trip(value: Any, wanted: Any) -> Any:
    return Decoder(wanted).decode(ENCODER.encode(value))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (Card("1"), Card | Invoice),
        (Invoice(2), Card | Invoice),
        (Invoice(2), Union[Card, Invoice, None]),  # noqa: UP007  as older code has it
        (Card("1"), Annotated[Card | Invoice, "how it is paid"]),
        (Bird("bird", "a"), Bird | Fish),
        (Fish("fish", "b"), Bird | Fish),
        (Fish("fish", "b"), Bird | Fish | Card),
        ([Card("1"), 3, "x", None, True, 1.5], list[Card | int | float | str | bool | None]),
        ({"a": Card("1"), "b": Invoice(1)}, dict[str, Card | Invoice]),
        ({1: Card("1")}, dict[int, Card | Invoice]),
        ((Card("1"), 2), tuple[Card | Invoice, int]),
        ((Card("1"), Invoice(2)), tuple[Card | Invoice, ...]),
        (Holder(b"\xff\xff\xfa", None, [Card("1")], {"x": Fish("fish", "y")}, (Invoice(1), 2)), Holder),
        (Sequential([Step("a"), Parallel([Step("b"), Sequential([])])]), Step | Sequential | Parallel),
        (Sequential([Step("a"), Parallel([Step("b"), Sequential([])])]), Sequential),
        ({"street": "a"}, Latitude | Street),
        (Blob(b"\xff\xfe\xfb"), Blob | Card),
        ([b"\xff\xfe\xfb", Card("1")], list[bytes | Card]),
        (Colour.RED, Colour | Card | Invoice),
        ("x", Literal["x"] | Card | Invoice),
        (Decimal("1.10"), Decimal | Card),
        (timedelta(days=3), timedelta | Card | Invoice),
        (Path("a/b"), Path),
        (Path("a/b"), Path | None),
        (PurePosixPath("a"), PurePosixPath),
        ([Path("a")], list[Path]),
        ({"p": Path("q")}, dict[str, Path]),
        (deque([1, 2]), deque),
        (deque([1, 2]), deque[int]),
        (deque([Card("1")]), deque[Card | Invoice]),
        ([Card("1")], Sequence[Card | Invoice]),
        ([1, 2], Iterable[int]),
        ([Card("1")], Iterable[Card | Invoice]),
        ([1, 2], Iterable[int] | None),
        ({"a": [1]}, dict[str, Iterable[int]]),
        ([1, 2], Annotated[Iterable[int], "of days"]),
        (defaultdict(None, {"a": 1}), defaultdict),
        ({"a": Card("1")}, Mapping[str, Card | Invoice]),
        (frozenset({1}), frozenset[int]),
        (Pair(Invoice(1), 2), Pair),
        ([CardNumber("1"), Card("1")], list[CardNumber | Card]),
        (Boxed({}, Pair(Card("1"))), Boxed),
    ],
)
@pytest.mark.usefixtures("library")
def test_a_value_of_such_a_type_comes_back_as_it_was(value: Any, wanted: Any) -> None:
    again = round_trip(value, wanted)
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ('[{"days":1}]', Pair, Pair(Invoice(1), 0)),
        ('{"paid":{"days":1}}', Basket, {"paid": Invoice(1)}),
        ("{}", Basket, {}),
    ],
)
def test_without_pydantic_tuples_and_dictionaries_with_names_may_hold_unions_too(
    text: str, wanted: Any, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    assert Decoder(wanted).decode(text) == value
    for wrong in ("7", "[]", '{"paid":1}', "[1,2,3]", '[{"days":1},2,3]'):
        with pytest.raises(PayloadError):
            Decoder(wanted).decode(wrong)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"number":1}', Card | Invoice),
        ("{}", Card | Invoice),
        ("null", Card | Invoice),
        ("[]", Card | Invoice),
        ("7", Card | Invoice),
        ("nope", Card | Invoice),
        ('{"kind":"cow","name":"a"}', Bird | Fish),
        ('[{"number":"1"},{"other":2}]', list[Card | Invoice]),
        ('{"steps":[{"steps":[{"nam":"a"}]}]}', Sequential),
        ('{"raw":"","how":null,"all":[],"by_name":{},"pair":[{"days":1}]}', Holder),
        ("7", Path),
        ("{}", deque[int]),
        ('["a"]', deque[int]),
    ],
)
@pytest.mark.usefixtures("library")
def test_a_payload_that_fits_no_member_is_refused_and_the_type_is_named(text: str, wanted: Any) -> None:
    with pytest.raises(PayloadError) as caught:
        Decoder(wanted).decode(text)
    assert text[:20] in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "members"),
    [
        (Card | Gift, "Card as well as Gift"),
        (str | datetime, "str as well as datetime"),
        (Colour | str, "Colour as well as str"),
        (dict[str, int] | Card, "dict as well as Card"),
        (list[int] | set[int], "list as well as set"),
        (Path | str, "Path as well as str"),
        (list[dict[str, Card | Gift]], "Card as well as Gift"),
    ],
)
def test_without_pydantic_a_union_that_a_payload_could_fit_twice_is_refused_when_it_is_registered(
    wanted: Any, members: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pay(ctx: Any, how: Any) -> None: ...

    pay.__annotations__["how"] = wanted
    monkeypatch.setitem(sys.modules, "pydantic", None)
    for app_method in (App("shop").activity, App("shop").workflow):
        with pytest.raises(AppError, match=rf"the parameter 'how' of 'pay': .*{members}.*Literal.*install pydantic"):
            app_method(pay)


def test_a_result_that_could_be_read_twice_is_refused_when_it_is_registered_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)

    def paid(ctx: Any) -> Card | Gift:
        return Gift("1")

    with pytest.raises(AppError, match="the result of 'paid'"):
        App("shop").activity(paid)


def test_with_pydantic_installed_pydantic_decides_what_could_be_read_twice() -> None:
    assert Decoder(Card | Gift).decode('{"number":"1","note":"a"}') == Gift("1", "a")
    assert Decoder(str | datetime).decode('"2026-01-01"') == "2026-01-01"
    assert Decoder(datetime | int).decode("7") == 7


@pytest.mark.parametrize(
    "wanted",
    [Cat | Dog, Annotated[Cat | Dog, pydantic.Field(discriminator="kind")], list[Cat | Dog], dict[str, Cat | Dog]],
)
def test_a_union_of_models_is_read_with_its_discriminator_or_without_one(wanted: Any) -> None:
    value: Any = Dog(kind="dog")
    if wanted == list[Cat | Dog]:
        value = [value, Cat(kind="cat", lives=8)]
    if wanted == dict[str, Cat | Dog]:
        value = {"a": value}
    assert round_trip(value, wanted) == value


def test_an_annotation_with_a_discriminator_is_kept_when_a_function_is_registered() -> None:
    app = App("zoo")

    @app.activity
    def feed(ctx: Any, animal: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]) -> None: ...

    decoder = app.activities["feed"].parameters.input
    assert decoder.decode('{"kind":"dog"}') == Dog(kind="dog")
    with pytest.raises(PayloadError, match="'cat', 'dog'"):
        decoder.decode('{"kind":"cow"}')


@pydantic.dataclasses.dataclass
class Checked:
    count: int = pydantic.Field(gt=0)


@dataclass
class Limited:
    count: pydantic.PositiveInt


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("5", pydantic.PositiveInt, 5),
        ("5", Annotated[int, pydantic.Field(gt=0)], 5),
        ('"http://a/b"', pydantic.HttpUrl, pydantic.HttpUrl("http://a/b")),
        ('"secret"', pydantic.SecretStr, pydantic.SecretStr("secret")),
        ('"::1"', ipaddress.IPv6Address, ipaddress.ip_address("::1")),
        ('["http://a/b"]', list[pydantic.HttpUrl], [pydantic.HttpUrl("http://a/b")]),
        ('{"count":5}', Limited, Limited(5)),
        ('{"count":5}', Checked, Checked(5)),
        ("[[1],[2]]", deque[deque[int]], deque([deque([1]), deque([2])])),
    ],
)
def test_pydantics_own_types_are_read_by_pydantic(text: str, wanted: Any, value: Any) -> None:
    assert Decoder(wanted).decode(text) == value


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-5", pydantic.PositiveInt),
        ('{"count":-5}', Checked),
        ('[{"count":-5}]', list[Checked]),
        ("-5", Annotated[int, pydantic.Field(gt=0)]),
        ("[1,-5]", list[pydantic.PositiveInt]),
        ('"no url"', pydantic.HttpUrl),
        ('{"count":-5}', Limited),
    ],
)
def test_what_pydantics_marks_forbid_is_refused(text: str, wanted: Any) -> None:
    with pytest.raises(PayloadError):
        Decoder(wanted).decode(text)


def test_addresses_and_urls_are_written_as_text() -> None:
    assert ENCODER.encode(pydantic.HttpUrl("http://a/b")) == '"http://a/b"'
    assert ENCODER.encode([ipaddress.ip_address("::1")]) == '["::1"]'


def test_a_secret_is_not_written_as_asterisks() -> None:
    with pytest.raises(PayloadError, match="get_secret_value"):
        ENCODER.encode(pydantic.SecretStr("x"))


@pytest.mark.parametrize("wanted", [Alien, list[Alien], collections.UserDict])
@pytest.mark.usefixtures("library")
def test_a_class_that_nothing_knows_is_refused_with_advice_when_a_payload_comes(wanted: Any) -> None:
    with pytest.raises(PayloadError, match="pydantic model"):
        Decoder(wanted).decode("[{}]" if wanted == list[Alien] else "{}")


@pytest.mark.usefixtures("library")
def test_a_union_with_a_class_that_nothing_knows_is_refused_when_it_is_registered() -> None:
    with pytest.raises(AppError, match="Alien"):
        Decoder(Card | Alien)
