"""Filters of lists, counts, streams and bulk operations, for Python programs.

The rule: an unknown filter is sent to the server, which refuses it with its name.

Methods of the client take them as keyword arguments; the command line makes them from its options.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from ..runtime.errors import InvalidRequest

Moment = datetime | str  # a datetime without a time zone is UTC; a text is RFC 3339
Length = timedelta | float | str  # a number is seconds; a text is `90s`, `15m`, `7d`


class Filter(TypedDict, total=False):
    """The conditions of a filter. All must hold; without any, all instances fit."""

    status: str | Iterable[str]  # `running`, `failed`, in any case; a `!` in front negates the whole list
    name: str | Iterable[str]  # of workflows; the same
    id_prefix: str  # the beginning of the id
    parent: str  # the id of the parent
    root: bool  # True: without a parent; False: with one
    created_after: Moment  # included
    created_before: Moment  # excluded
    updated_after: Moment  # included
    updated_before: Moment  # excluded
    tags: Mapping[str, str]  # all must fit
    stuck_for: Length  # stalled, set aside, or an activity open and no turn for so long
    app_id: str  # the first app of the daemon without it


def query_of(filter: Filter | Mapping[str, Any]) -> list[tuple[str, str]]:  # noqa: A002  the API's word
    """Convert a filter to a query. A list becomes an entry for each value, because values may contain commas.

    Raises:
        InvalidRequest: A value has a type that the filter does not take.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in filter.items():
        match value:
            case None:
                continue
            case Mapping():
                pairs += [(f"tag.{key}", str(each)) for key, each in value.items()]
            case bool():
                pairs.append((name, "true" if value else "false"))
            case str() | datetime() | timedelta() | int() | float():
                pairs.append((name, text_of_value(value)))
            case Iterable():
                pairs += [(name, text_of_value(each)) for each in value]
            case _:
                raise InvalidRequest(f"the filter {name!r} is a {type(value).__name__}")
    return pairs


def body_of(filter: Filter | Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Convert a filter to the body of a bulk operation.

    Raises:
        InvalidRequest: A value has a type that the filter does not take.
    """
    body: dict[str, Any] = {}
    for name, value in filter.items():
        match value:
            case None:
                continue
            case Mapping():
                body[name] = {key: str(each) for key, each in value.items()}
            case bool():
                body[name] = value
            case str() if name in ("status", "name"):
                body[name] = value.split(",")
            case str() | datetime() | timedelta() | int() | float():
                body[name] = text_of_value(value)
            case Iterable():
                body[name] = [text_of_value(each) for each in value]
            case _:
                raise InvalidRequest(f"the filter {name!r} is a {type(value).__name__}")
    return body


def text_of_value(value: Any) -> str:
    """Convert a value for the API: dates to RFC 3339, lengths to seconds; other values are unchanged."""
    match value:
        case datetime():
            moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return moment.isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{value // timedelta(microseconds=1)}us"
        case float():
            return f"{value:.6f}".rstrip("0").rstrip(".")
        case _:
            return str(value)
