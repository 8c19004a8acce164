"""Payloads are JSON text: a value of the annotated type is the same after a round trip, or an error says why not."""

import json
import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure import PayloadError, PerdureError
from perdure.runtime.authoring.codec import NO_TYPE, Decoder, Encoder
from perdure.runtime.errors import AppError

from ...support.workflows.hard_exceptions import HARD_EXCEPTIONS

ENCODER = Encoder()


def round_trip(value: Any, wanted: Any = NO_TYPE) -> Any:
    text = ENCODER.encode(value)
    assert text is None or isinstance(text, str)
    return Decoder(wanted).decode(text)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Unit(StrEnum):
    PIECE = "piece"


@dataclass
class Line:
    sku: str
    price: Decimal
    count: int = 1
    unit: Unit = Unit.PIECE


@dataclass(frozen=True)
class Order:
    id: UUID
    placed: datetime
    lines: list[Line]
    colour: Colour | None = None
    sizes: dict[str, Size] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    pair: tuple[int, str] = (0, "")


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Place:
    x: float
    y: float


class Address(TypedDict):
    street: str
    number: int


class Customer(pydantic.BaseModel):
    name: str
    since: date
    colour: Colour = Colour.RED
    address: dict[str, int] = {}


class Basket(pydantic.BaseModel):
    customer: Customer
    lines: list[Line]


ORDER = Order(
    id=UUID("8d3f63f8-2f0a-4a53-8b2a-0c4b8f1a7c11"),
    placed=datetime(2026, 11, 23, 7, 42, 5, 123456, tzinfo=timezone(timedelta(hours=2))),
    lines=[Line("a", Decimal("10.10")), Line("ü", Decimal("0.1"), 3)],
    colour=Colour.BLUE,
    sizes={"shirt": Size.LARGE},
    tags=frozenset({"x", "y"}),
    pair=(2**70, "two"),
)


@pytest.mark.parametrize(
    "value",
    [
        True,
        0,
        -1,
        2**53 + 1,
        2**63,
        2**64 + 1,
        -(2**70),
        1.5,
        1e300,
        "",
        "Grüße 世界 🎉\x00\n\u2028",
        [],
        {},
        [1, [2, {"a": None}]],
    ],
)
def test_what_json_has_comes_back_as_it_was_without_any_type(value: Any) -> None:
    again = round_trip(value)
    assert again == value
    assert type(again) is type(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_value_comes_back_and_others_read_the_same_text(value: Any) -> None:
    assert round_trip([value]) == [value]
    text = ENCODER.encode([value])
    assert text is not None
    assert json.loads(text) == [value]


def test_none_is_no_payload_and_no_payload_is_none() -> None:
    assert ENCODER.encode(None) is None
    for wanted in (NO_TYPE, int, Order, Customer):
        assert Decoder(wanted).decode(None) is None
        # An HTTP start without a body: Dapr's Python SDK reads "" as no input (contract 1.2).
        assert Decoder(wanted).decode("") is None


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (ORDER, Order),
        ([ORDER, ORDER], list[Order]),
        ({"a": ORDER}, dict[str, Order]),
        (ORDER, Order | None),
        (Point(1, 2), Point),
        ({"street": "a", "number": 1}, Address),
        (Colour.RED, Colour),
        (Size.SMALL, Size),
        (Unit.PIECE, Unit),
        ("b", Literal["a", "b"]),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime),
        (date(2026, 2, 28), date),
        (timedelta(days=3, microseconds=5), timedelta),
        (Decimal("1.100"), Decimal),
        (UUID(int=7), UUID),
        (b"\x00\xff", bytes),
        ({1, 2, 3}, set[int]),
        ((1, "a"), tuple[int, str]),
        ({1: "a"}, dict[int, str]),
        (Customer(name="Ada", since=date(1815, 12, 10)), Customer),
        ([Customer(name="Ada", since=date(1815, 12, 10))], list[Customer]),
        (Customer(name="Ada", since=date(1815, 12, 10)), Customer | None),
        (Basket(customer=Customer(name="Ada", since=date(1815, 12, 10)), lines=ORDER.lines), Basket),
    ],
)
def test_a_value_of_an_annotated_type_comes_back_as_it_was(value: Any, wanted: Any) -> None:
    again = round_trip(value, wanted)
    assert again == value
    assert type(again) is type(value)


def test_a_model_inside_a_dataclass_comes_back() -> None:
    @dataclass
    class Holder:
        customer: Customer
        others: list[Customer]

    ada = Customer(name="Ada", since=date(1815, 12, 10))
    assert round_trip(Holder(ada, [ada]), Holder) == Holder(ada, [ada])


def test_a_model_whose_fields_have_other_names_in_json_comes_back() -> None:
    class Renamed(pydantic.BaseModel):
        order_id: int = pydantic.Field(alias="orderId")

    value = Renamed(orderId=7)
    assert json.loads(ENCODER.encode(value) or "") == {"orderId": 7}
    assert round_trip(value, Renamed) == value


def test_a_strict_model_takes_its_own_json_back() -> None:
    class Strict(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(strict=True)
        at: datetime
        id: UUID
        colour: Colour

    value = Strict(at=datetime(2026, 1, 1, tzinfo=UTC), id=UUID(int=7), colour=Colour.RED)
    assert round_trip(value, Strict) == value


def test_without_a_type_a_record_becomes_a_dictionary() -> None:
    assert round_trip(Line("a", Decimal("1.5"))) == {"sku": "a", "price": "1.5", "count": 1, "unit": "piece"}
    assert round_trip(Customer(name="Ada", since=date(1815, 12, 10))) == {
        "name": "Ada",
        "since": "1815-12-10",
        "colour": "red",
        "address": {},
    }


def test_a_date_keeps_its_time_zone() -> None:
    again = round_trip(ORDER, Order)
    assert again.placed.utcoffset() == timedelta(hours=2)
    assert round_trip(datetime(2026, 1, 1), datetime).tzinfo is None


def test_fields_that_are_missing_get_their_defaults_and_fields_that_are_unknown_do_no_harm() -> None:
    assert Decoder(Line).decode('{"sku":"a","price":"1","added later":[1]}') == Line("a", Decimal(1))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"7"', int),
        ("1.5", int),
        ("null", int),
        ("{}", Order),
        ("[]", Line),
        ('{"sku":"a","price":"1","count":"two"}', Line),
        ('"green"', Colour),
        ("3", Size),
        ('"yesterday"', datetime),
        ('{"name":"Ada"}', Customer),
        ('{"name":"Ada","since":"never"}', Customer),
        ('"c"', Literal["a", "b"]),
    ],
)
def test_a_payload_of_another_type_is_refused_and_the_type_is_named(text: str, wanted: Any) -> None:
    with pytest.raises(PayloadError) as caught:
        Decoder(wanted).decode(text)
    assert getattr(wanted, "__name__", "Literal") in str(caught.value)
    assert text[:20] in str(caught.value)


NO_JSON = ["{", "nope", "'single'", "[1,]", "1 2", "\x00", " ", "+1", "nan", '{"a":}', '"open', "[" * 100_000]


@pytest.mark.parametrize("text", NO_JSON)
@pytest.mark.parametrize("wanted", [NO_TYPE, object, str, str | None, Any | None, str | int])
def test_text_that_is_no_json_is_the_str_that_it_is(text: str, wanted: Any) -> None:
    assert Decoder(wanted).decode(text) == text


@pytest.mark.parametrize("text", NO_JSON)
@pytest.mark.parametrize("wanted", [int, Order, dict[str, int], list[str], Customer, Line | Place])
def test_an_annotation_that_such_text_does_not_fit_refuses_it_and_shows_it_shortened(text: str, wanted: Any) -> None:
    with pytest.raises(PayloadError, match="it is not JSON either") as caught:
        Decoder(wanted).decode(text)
    assert len(str(caught.value)) < 1_000


NAN = float("nan")
INFINITY = float("inf")

# Texts that Python's json writes and reads, and that JSON does not have.
PYTHONS = [
    (NAN, "NaN"),
    (INFINITY, "Infinity"),
    (-INFINITY, "-Infinity"),
    ([1.5, NAN, None], "[1.5,NaN,null]"),
    ({"a": {"b": [INFINITY]}}, '{"a":{"b":[Infinity]}}'),
    ({"a": (1, NAN)}, '{"a":[1,NaN]}'),
    ("\ud800", '"\\ud800"'),
    (["\udcff", "ü"], '["\\udcff","\\u00fc"]'),
    ({"\ud800": 1}, '{"\\ud800":1}'),
    ({True: 1, None: 2, 1.5: 3, 4: 4}, '{"true":1,"null":2,"1.5":3,"4":4}'),
]


@pytest.mark.parametrize(("value", "text"), PYTHONS)
def test_what_pythons_json_writes_is_written_as_it_does(value: Any, text: str) -> None:
    assert ENCODER.encode(value) == text == json.dumps(value, separators=(",", ":"))
    # Both on disk and on the wire a payload is UTF-8.
    assert text.isascii()


@pytest.mark.parametrize(
    "text", [*(text for _, text in PYTHONS), "1e999", "-1e999", '{"a":"\\udc00","b":"\\ud800\\ud800"}']
)
@pytest.mark.parametrize("wanted", [NO_TYPE, object])
def test_what_pythons_json_reads_is_read_as_it_does(text: str, wanted: Any) -> None:
    assert repr(Decoder(wanted).decode(text)) == repr(json.loads(text))


class Reading(pydantic.BaseModel):
    value: float
    label: str


@dataclass
class Sample:
    mean: float
    label: str
    taken: datetime | None = None
    raw: bytes = b""
    reading: Reading | None = None
    by_number: dict[int, float] = field(default_factory=dict)
    sizes: set[int] = field(default_factory=set)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (NAN, float),
        (NAN, float | None),
        ([NAN, -INFINITY], list[float]),
        ((NAN, 1), tuple[float, int]),
        ({1: INFINITY}, dict[int, float]),
        ("\ud800", str),
        (["\udfff"], list[str]),
        ({"\ud800": "\udc00"}, dict[str, str]),
        (Reading(value=NAN, label="a"), Reading),
        (Reading(value=1, label="\ud800"), Reading),
        ([Reading(value=INFINITY, label="\ud800")], list[Reading]),
        (Place(NAN, 1.0), Line | Place),
        (
            Sample(
                NAN,
                "\ud800",
                datetime(2026, 1, 1, tzinfo=UTC),
                b"\xff",
                Reading(value=NAN, label="q"),
                {1: INFINITY},
                {1},
            ),
            Sample,
        ),
    ],
)
def test_such_values_come_back_in_any_type_that_has_room_for_them(value: Any, wanted: Any) -> None:
    again = round_trip(value, wanted)
    assert repr(again) == repr(value)
    assert type(again) is type(value)


def test_null_is_no_number_and_a_null_beside_nan_stays_null() -> None:
    assert round_trip({"a": None, "b": 1.5}) == {"a": None, "b": 1.5}
    assert ENCODER.encode({"a": None, "b": "null"}) == '{"a":null,"b":"null"}'


class Float(float):
    """As numpy.float64 is one."""

    def __str__(self) -> str:
        return "Float"

    __repr__ = __str__


class Text(str):
    """As markupsafe.Markup is one."""

    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError("its own text is not asked for")


class Whole(int):
    def __repr__(self) -> str:
        return "Whole"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Float(1.5), 1.5),
        (Float("inf"), INFINITY),
        (Text("x"), "x"),
        (Text("\ud800"), "\ud800"),
        (Whole(2**70), 2**70),
        ({"mean": Float(0.5), "label": Text("y")}, {"mean": 0.5, "label": "y"}),
        ([Whole(1), (Whole(2),)], [1, [2]]),
        ({Text("k"): 1, Whole(3): 2, Float(1.5): 3}, {"k": 1, "3": 2, "1.5": 3}),
        (Line(Text("a"), Decimal(1), Whole(2)), {"sku": "a", "price": "1", "count": 2, "unit": "piece"}),
        (OrderedDict(a=Float(1)), {"a": 1.0}),
    ],
)
def test_numbers_and_texts_by_inheritance_are_written_as_what_they_inherit_from(value: Any, plain: Any) -> None:
    again = round_trip(value)
    assert again == plain
    assert repr(again) == repr(plain)


class Alien:
    pass


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [
        Alien(),
        [Alien()],
        {"a": Alien()},
        {(1, 2): 3},
        {"a": pydantic.SecretStr("x")},
        10**5_000,
        LOOP,
        lambda: None,
        iter([]),
        1j,
        object,
        ValueError("x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_json_has_no_form_for_is_refused_and_its_type_is_named(value: Any) -> None:
    with pytest.raises(PayloadError) as caught:
        ENCODER.encode(value)
    assert f"type {type(value).__name__}" in str(caught.value)


def test_nothing_is_ever_pickled() -> None:
    class Sneaky:
        def __reduce__(self) -> Any:
            raise AssertionError("somebody tried to pickle this")

    with pytest.raises(PayloadError):
        ENCODER.encode(Sneaky())


def test_a_type_that_no_json_can_become_is_refused_when_it_is_named() -> None:
    with pytest.raises(AppError, match="cannot be read from JSON"):
        Decoder(Line | Alien)


def test_a_class_that_is_neither_known_nor_a_model_is_refused_with_advice() -> None:
    with pytest.raises(PerdureError, match="pydantic model"):
        Decoder(Alien).decode("{}")


def test_an_encoder_is_as_good_after_an_error_as_before() -> None:
    encoder = Encoder()
    with pytest.raises(PayloadError):
        encoder.encode({"a": 1, "b": Alien()})
    assert encoder.encode({"a": 1}) == '{"a":1}'


class _OddType(type):
    def __repr__(cls) -> str:
        raise KeyboardInterrupt

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise KeyboardInterrupt


class OddlyTyped(metaclass=_OddType):
    pass


def test_a_type_that_cannot_be_named_is_named_all_the_same() -> None:
    with pytest.raises(PayloadError, match="is not OddlyTyped"):
        Decoder(OddlyTyped).decode("{}")
    with pytest.raises(PayloadError, match="a value of type OddlyTyped cannot be written"):
        Encoder().encode(OddlyTyped())


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_whatever_a_constructor_raises_is_a_payload_error(name: str) -> None:
    @dataclass
    class Order:
        sku: str

        def __post_init__(self) -> None:
            raise HARD_EXCEPTIONS[name]()

    with pytest.raises(PayloadError, match="is not Order"):
        Decoder(Order).decode('{"sku":"a"}')


def test_json_that_is_written_already_is_taken_as_it_is() -> None:
    for text in ('{"a": null}', "1e400", '"\u00fc"'):
        assert Encoder().encode(msgspec.Raw(text.encode())) == text


# Keys that are no text. JSON has them as texts, and a reader converts them back.


@dataclass
class Flags:
    by_flag: dict[bool, int]
    by_name: dict[str, int]


class Answers(TypedDict):
    answers: dict[bool | None, str]


class Pair(NamedTuple):
    left: dict[Literal[True, False], int]
    right: int = 0


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (dict[bool, int], {True: 1, False: 2}),
        (Mapping[bool, int], {True: 1}),
        (dict[bool | None, int], {True: 1, None: 2}),
        (dict[int | None, int], {7: 1, None: 2}),
        (dict[None, int], {None: 1}),
        (dict[Literal[True], int], {True: 1}),
        (dict[Annotated[bool, "paid"], int], {False: 1}),
        (dict[bool, dict[bool, int]], {True: {False: 1}}),
        (list[dict[bool, int] | None], [{True: 1}, None]),
        (dict[str, dict[bool, int]], {"true": {True: 1}}),
        (Flags, Flags({True: 1}, {"true": 2, "null": 3})),
        (Answers, {"answers": {None: "later", True: "yes"}}),
        (Pair, Pair({True: 1}, 2)),
        (dict[bool, float], {True: math.inf}),
        (dict[int, int], {1: 1}),
        (dict[date, int], {date(2026, 11, 27): 1}),
    ],
)
def test_a_key_that_is_no_text_comes_back_as_it_was(wanted: Any, value: Any) -> None:
    read = round_trip(value, wanted)
    assert read == value
    assert type(read) is type(value)
    assert repr(read) == repr(value)  # True is 1, too


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (dict[bool, int], '{"maybe":1}'),
        (dict[bool, int], '{"true":"x"}'),
        (Flags, '{"by_flag":{}}'),
        (dict[None, int], "[]"),
    ],
)
def test_a_key_or_a_value_that_does_not_fit_is_named(wanted: Any, text: str) -> None:
    with pytest.raises(PayloadError, match=re.escape(f"{text!r} is not ")):
        Decoder(wanted).decode(text)
