"""The endpoints of the management API that show instances, as a table.

The rule: no fixed word stands where an id can, because an id may be any text.
"""

from typing import Any

from ....api.management.filters import STATUSES
from ....api.management.instances import CountResult, InstanceDetails, InstanceList, InstanceTree
from ....api.management.words import HISTORY_UNREADABLE
from ....api.words import NOT_FOUND
from ..endpoint import NDJSON, Endpoint, QueryField, Success

Json = dict[str, Any]

LIMIT_MAX = 500
WITH_MAX = 50  # rows of a page with what each waits for, which is read one by one
DEPTH_MAX = 20
WAIT_MAX_S = 300

ORDERS = ("-created", "created", "-updated", "updated", "id")
COUNTED_BY = ("status", "name", "root")
EXTRAS = ("waiting_for", "children")

TEXT: Json = {"type": "string"}
WORD: Json = {"type": "string", "minLength": 1}  # an id or a name


WAIT_LENGTH: Json = {
    "type": "string",
    "pattern": r"^(([0-9]|[1-9][0-9]|[12][0-9][0-9])(\.[0-9]{1,6})?|300)s?$|^([0-4](\.[0-9]{1,6})?|5)m$",
}


def words(*options: str) -> Json:
    """The schema of a parameter that is one of these words."""
    return {"type": "string", "enum": list(options)}


def listed(*options: str) -> Json:
    """The schema of a parameter that lists some of these words, with commas."""
    one = "|".join(options)
    return {"type": "string", "pattern": f"^({one})(,({one}))*$"}


def number(low: int, high: int) -> Json:
    """The schema of a parameter that is a whole number from `low` to `high`."""
    return {"type": "integer", "minimum": low, "maximum": high}


CURSOR = QueryField("cursor", TEXT, "Of the page before. Opaque; it survives inserts.")

LIST = Endpoint(
    "list_instances",
    "GET",
    "/instances",
    "instances",
    "List instances",
    (Success(200, "A page", InstanceList, media=(NDJSON,)),),
    query=(
        QueryField(
            "order",
            words(*ORDERS),
            "The newest first by default. By `-updated` the list moves under the reader.",
        ),
        CURSOR,
        QueryField("limit", number(1, LIMIT_MAX), "100 by default. A page may be short, or empty, and have a cursor."),
        QueryField(
            "with",
            listed(*EXTRAS),
            f"`waiting_for`, `children`: what else each item is to have, for at most {WITH_MAX} rows.",
        ),
    ),
    filters=True,
    description=(
        f"`Accept: {NDJSON}` streams all that fit, an item on each line, from the cursor on if there is one; `limit` "
        "is then how many are read at a time. If it cannot go on, the last line is an error."
    ),
)

COUNT = Endpoint(
    "count_instances",
    "GET",
    "/count",
    "instances",
    "Count instances",
    (Success(200, "The counts", CountResult),),
    query=(
        QueryField(
            "by",
            listed(*COUNTED_BY),
            "`status`, `name`, `root`: the sides that are counted apart. Without it there is one count of all.",
        ),
    ),
    filters=True,
    description="By status, name and root it is exact at any size. Any other count stops at 100 000 with `more: true`.",
)

GET = Endpoint(
    "get_instance",
    "GET",
    "/instances/{id}",
    "instances",
    "Describe an instance",
    (Success(200, "The instance, as last committed", InstanceDetails, etag=True),),
    errors=(NOT_FOUND,),
    description="It never runs user code. The ETag is that of the run; an action takes it back in `If-Match`.",
)

WAIT = Endpoint(
    "wait_for_instance",
    "GET",
    "/instances/{id}/wait",
    "instances",
    "Wait until an instance has ended, or has a status",
    (
        Success(200, "It has come to that: the instance, as last committed", InstanceDetails, etag=True),
        Success(204, "The time is over"),
    ),
    errors=(NOT_FOUND,),
    query=(
        QueryField(
            "until",
            listed("terminal", *(form for word in STATUSES for form in (word, word.lower()))),
            "`terminal` (the default), or statuses, of which one is enough",
        ),
        QueryField("timeout", WAIT_LENGTH, f"30s by default, {WAIT_MAX_S}s at most; a bare number is seconds"),
    ),
)

TREE = Endpoint(
    "get_tree",
    "GET",
    "/instances/{id}/tree",
    "instances",
    "Show an instance with its descendants",
    (Success(200, "The tree", InstanceTree),),
    errors=(NOT_FOUND, HISTORY_UNREADABLE),
    query=(QueryField("depth", number(0, DEPTH_MAX), "3 by default; 0 shows the instance alone"),),
)

READING = (LIST, COUNT, GET, WAIT, TREE)
