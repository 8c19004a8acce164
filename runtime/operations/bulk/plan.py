"""A plan: the findings of a dry run, as a text that begins the operation.

The rule: a plan holds the filter, the action, its options and the moment, and no ids. It lasts for fifteen minutes,
and needs nothing in the store: any host can read it, also after a restart.
"""

import base64
import binascii
import zlib
from typing import NamedTuple

import msgpack

from ...errors import InvalidRequest, RequestRefused
from .operation import ActionOptions, BulkAction, Selection, pack_selection, unpack_selection

FORMAT = 1
LASTS_US = 15 * 60 * 1_000_000


class Restated(NamedTuple):
    """The values of a plan that its caller repeats. None, and the default of an option, count as not repeated."""

    selection: Selection | None = None  # its moment does not count
    options: ActionOptions = ActionOptions()
    rate: float | None = None


class Plan(NamedTuple):
    """An operation that could begin."""

    action: BulkAction
    selection: Selection
    options: ActionOptions
    reason: str | None
    rate: float
    matches: int
    more: bool

    def write(self) -> str:
        """The text of the plan."""
        action, selection, *rest = self
        packed = msgpack.packb((FORMAT, action, pack_selection(selection), *rest))
        return base64.urlsafe_b64encode(zlib.crc32(packed).to_bytes(4) + packed).rstrip(b"=").decode()

    def difference(self, restated: Restated) -> str | None:
        """The name of the first restated value that differs from the plan's; None if all are equal."""
        selection, options, rate = restated
        if selection is not None and selection._replace(moment_us=self.selection.moment_us) != self.selection:
            return "filter"
        if options.recurse not in (None, self.options.recurse):
            return "recurse"
        if options.force and not self.options.force:
            return "force"
        return None if rate in (None, self.rate) else "rate"


class PlanExpired(RequestRefused):
    """A plan is too old."""

    def __str__(self) -> str:
        return "the plan is more than 15 minutes old: make another with a dry run"


def read_plan(text: str, *, now_us: int) -> Plan:
    """Read the text of a plan.

    Args:
        now_us: Unix time, microseconds.

    Raises:
        InvalidRequest: It is no plan of this release.
        PlanExpired: It is too old.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        checksum, packed = data[:4], data[4:]
        if int.from_bytes(checksum) != zlib.crc32(packed):
            raise ValueError("its checksum is another")
        found, *fields = msgpack.unpackb(packed, use_list=False)
        if found != FORMAT:
            raise ValueError(f"its format is {found}")
        action, selection, options, *rest = fields
        plan = Plan(BulkAction(action), unpack_selection(selection), ActionOptions(*options), *rest)
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidRequest("this is no plan that a dry run gave, or not the whole of it. Make one first.") from error
    if not 0 <= now_us - plan.selection.moment_us <= LASTS_US:
        raise PlanExpired
    return plan
