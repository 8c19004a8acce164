"""The endpoints of the management API that show instances, as a table.

The rule: no path has a fixed word in the place of an id, because an id may be any text.
"""

from typing import Any

from ....api.management.instances import CountResult, InstanceDetails, InstanceList, InstanceTree
from ....api.management.words import HISTORY_UNREADABLE
from ....api.words import NOT_FOUND
from ....runtime.history.status import STATUS_WORDS
from ..endpoint import NDJSON, Endpoint, QueryField, Success

Json = dict[str, Any]

LIMIT_MAX = 500
WITH_MAX = 50  # rows of a page with `waiting_for` or `children`, which are read row by row
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
    """Return the schema of a parameter that is one of these words."""
    return {"type": "string", "enum": list(options)}


def listed(*options: str) -> Json:
    """Return the schema of a parameter that lists some of these words, with commas."""
    one = "|".join(options)
    return {"type": "string", "pattern": f"^({one})(,({one}))*$"}


def number(low: int, high: int) -> Json:
    """Return the schema of a parameter that is a whole number from `low` to `high`."""
    return {"type": "integer", "minimum": low, "maximum": high}


CURSOR = QueryField("cursor", TEXT, "From the previous page. Opaque; new instances do not invalidate it.")

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
            "By default the newest first. With `-updated` instances may move between pages.",
        ),
        CURSOR,
        QueryField("limit", number(1, LIMIT_MAX), "By default 100. A short or empty page may have a cursor."),
        QueryField(
            "with",
            listed(*EXTRAS),
            f"`waiting_for`, `children`: further fields of each item, for at most {WITH_MAX} rows.",
        ),
    ),
    filters=True,
    description=(
        f"`Accept: {NDJSON}` streams all matches, one item a line, from the cursor if there is one; `limit` "
        "is then the number of items that are read at a time. If the stream fails, the last line is an error."
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
            "`status`, `name`, `root`: the fields to group by. Without it there is one count of all.",
        ),
    ),
    filters=True,
    description="Counts by status, name and root are exact. Any other count stops at 100 000 with `more: true`.",
)

GET = Endpoint(
    "get_instance",
    "GET",
    "/instances/{id}",
    "instances",
    "Describe an instance",
    (Success(200, "The instance, as last committed", InstanceDetails, etag=True),),
    errors=(NOT_FOUND,),
    description="It never runs user code. The ETag identifies the run, for the `If-Match` of an action.",
)

WAIT = Endpoint(
    "wait_for_instance",
    "GET",
    "/instances/{id}/wait",
    "instances",
    "Wait until an instance has ended, or has a status",
    (
        Success(200, "The instance, as last committed, with such a status", InstanceDetails, etag=True),
        Success(204, "The time is over"),
    ),
    errors=(NOT_FOUND,),
    query=(
        QueryField(
            "until",
            listed("terminal", *(form for word in STATUS_WORDS for form in (word, word.lower()))),
            "`terminal` (the default), or a list of statuses",
        ),
        QueryField("timeout", WAIT_LENGTH, f"By default 30s, at most {WAIT_MAX_S}s; a bare number is seconds"),
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
    query=(QueryField("depth", number(0, DEPTH_MAX), "By default 3; 0 shows only the instance"),),
)

READING = (LIST, COUNT, GET, WAIT, TREE)
