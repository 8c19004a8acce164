"""Decodes the filters of lists, counts, streams and bulk operations from the query or the body of a request.

The rule: an unknown filter or an impossible value is an error that names it. If an unknown filter were ignored, a purge
would delete more instances than the caller wanted.

In a query a list has commas between its values, or its name is repeated. In a body lists are arrays, and tags are an
object. A `!` before a list negates the whole list.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from ...runtime.history.status import STATUS_WORDS
from ...runtime.operations.reading.listing import InstanceFilter
from ..words import Refusal
from .moments import parse_length, parse_moment
from .words import FILTER_INVALID

Value = TypeVar("Value")

TAG = "tag."
LISTS = ("status", "name")
TEXTS = ("id_prefix", "parent")
MOMENTS = {
    "created_after": "created_from_us",
    "created_before": "created_to_us",
    "updated_after": "updated_from_us",
    "updated_before": "updated_to_us",
}
NAMES = (*LISTS, *TEXTS, "root", *MOMENTS, "tag.KEY", "stuck_for", "app_id")


class FilterBody(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A filter in the body of a bulk operation. All its conditions must hold; an empty filter matches all instances."""

    status: Annotated[
        list[str] | None,
        Meta(description="Statuses in any case; a `!` before the first negates the list"),
    ] = None
    name: Annotated[
        list[str] | None,
        Meta(description="Names of workflows; a `!` before the first negates the list"),
    ] = None
    id_prefix: Annotated[str | None, Meta(description="The beginning of the id")] = None
    parent: Annotated[str | None, Meta(description="The id of the parent")] = None
    root: Annotated[bool | None, Meta(description="true: without a parent; false: with one")] = None
    created_after: Annotated[str | None, Meta(description="RFC 3339; included")] = None
    created_before: Annotated[str | None, Meta(description="RFC 3339; excluded")] = None
    updated_after: Annotated[str | None, Meta(description="RFC 3339; included")] = None
    updated_before: Annotated[str | None, Meta(description="RFC 3339; excluded")] = None
    tags: Annotated[dict[str, str] | None, Meta(description="Tags with their values; all must match")] = None
    stuck_for: Annotated[
        str | int | float | None,
        Meta(description="Stalled, set aside, or with an open activity and no turn for this time: 90s, 15m"),
    ] = None
    app_id: Annotated[str | None, Meta(description="The app; in a body it must be equal to that of the query")] = None


def is_filter(name: str) -> bool:
    """Return whether a parameter of a query is a filter."""
    return name in NAMES or (name.startswith(TAG) and name != "tag.")


def filter_of_query(pairs: Iterable[tuple[str, str]], *, app_id: str) -> InstanceFilter:
    """Decode the filter in a query.

    Args:
        pairs: The filters of the query, decoded; names may be repeated.
        app_id: The app that the request is for.

    Raises:
        Refusal: FILTER_INVALID, which names the filter.
    """
    found: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for name, value in pairs:
        if not is_filter(name):
            raise _invalid(f"there is no filter {name!r}; there are {', '.join(NAMES)}")
        if name in LISTS:
            found.setdefault(name, []).extend(value.split(","))
        elif name in found or name[len(TAG) :] in tags:
            raise _invalid(f"the filter {name!r} is given twice; it takes one value")
        elif name.startswith(TAG):
            tags[name[len(TAG) :]] = value
        elif name == "root":
            found[name] = _read(name, value, _boolean)
        else:
            found[name] = value
    return filter_of_body(FilterBody(**found, tags=tags or None), app_id=app_id)


def filter_of_body(body: FilterBody, *, app_id: str) -> InstanceFilter:
    """Decode the filter in a body.

    Raises:
        Refusal: FILTER_INVALID, which names the filter.
    """
    if body.app_id is not None and body.app_id != app_id:
        raise _invalid(
            f"the filter 'app_id' is {body.app_id!r}, and the request is for {app_id!r}; name the app in the query"
        )
    given: dict[str, Any] = {}
    given["statuses"], given["not_statuses"] = _choice("status", body.status, _status)
    given["names"], given["not_names"] = _choice("name", body.name, lambda name: name)
    for name, field in MOMENTS.items():
        value = getattr(body, name)
        given[field] = _read(name, value, parse_moment) if value is not None else None
    for name in TEXTS:
        if getattr(body, name) == "":  # for example an unset variable of a script
            raise _invalid(f"the filter {name!r} has an empty value; leave it out for all")
    stuck_for_us = _read("stuck_for", str(body.stuck_for), parse_length) if body.stuck_for is not None else None
    tags: Mapping[str, str] = body.tags or {}
    return InstanceFilter(
        **given,
        id_prefix=body.id_prefix or "",
        parent=body.parent,
        root=body.root,
        tags=tags,
        stuck_for_us=stuck_for_us,
    )


def _choice(
    filter_name: str, values: Sequence[str] | None, read: Callable[[str], str]
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Decode a list. Returns the allowed values (None: all), and the forbidden values."""
    if values is None:
        return None, frozenset()
    negated = bool(values) and values[0].startswith("!")
    texts = [values[0][1:], *values[1:]] if negated else values
    chosen = frozenset(_read(filter_name, text, read) for text in texts)
    if not chosen or "" in chosen:
        raise _invalid(f"the filter {filter_name!r} has an empty value; leave it out for all")
    return (None, chosen) if negated else (chosen, frozenset())


def _status(text: str) -> str:
    if (word := text.upper()) in STATUS_WORDS:
        return word
    raise ValueError(f"{text!r} is no status; there are {', '.join(STATUS_WORDS)}")


def _boolean(text: str) -> bool:
    if text in ("true", "false"):
        return text == "true"
    raise ValueError(f"{text!r} is neither true nor false")


def _read(filter_name: str, text: str, read: Callable[[str], Value]) -> Value:
    try:
        return read(text)
    except ValueError as error:
        raise _invalid(f"the filter {filter_name!r}: {error}") from None


def _invalid(detail: str) -> Refusal:
    return Refusal(FILTER_INVALID, detail=detail)
