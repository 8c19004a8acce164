"""Waiting for an instance to come to a status, by the words that lists have for statuses.

The rule: the committed status counts, on any host, and a change costs the waiter a look at the record only.

`http/management/routes/instances.py` waits with it. `Facade.wait` does the same for callers that know the `Status`.
"""

from collections.abc import Collection

from ....actors.hosting.host import Host
from ....actors.store.contract import Inspection
from ....actors.store.errors import StoreDamaged
from ...directory import AppAddresses
from ...errors import InstanceNotFound
from ...history.facets import status_word
from ...history.record import unpack_record
from ...history.row import CorruptHistory
from ...history.status import Status

TERMINAL_WORDS = frozenset(status.name for status in Status if status.terminal)
STALLED = Status.STALLED.name


class StatusWaits:
    """Waits for instances of all hosts."""

    def __init__(self, host: Host, own: AppAddresses) -> None:
        self._host = host
        self._own = own

    async def until(self, instance_id: str, words: Collection[str] = TERMINAL_WORDS) -> str:
        """Wait until an instance has one of these statuses, and return which.

        Args:
            words: Words of `history/facets.py`.

        Raises:
            InstanceNotFound: It does not exist, or was purged meanwhile.
            HostStopping: The host has ended before that.
        """
        address = self._own.instance(instance_id)
        with self._host.watch(address) as watch:
            while True:
                watch.record = None  # a commit from here on counts, whether the inspection sees it or not
                watch.lost = watch.deleted = False
                try:
                    inspection = await self._host.inspect(address)
                except StoreDamaged as error:
                    inspection = Inspection(b"", None, None, 0, stalled=error.stall)
                if inspection is None:
                    raise InstanceNotFound(instance_id)
                word = STALLED if inspection.stalled is not None else word_of(inspection.record)
                while word not in words:
                    if watch.deleted:
                        raise InstanceNotFound(instance_id)
                    if (refusal := self._host.refusal) is not None:
                        raise refusal
                    await watch.changed()
                    if watch.lost:
                        break
                    if watch.record is not None:
                        word = word_of(watch.record)
                else:
                    return word


def word_of(record: bytes) -> str:
    """Read the status out of a record; a record that cannot be read is that of an instance that cannot be loaded."""
    try:
        return status_word(unpack_record(record))
    except CorruptHistory:
        return STALLED
