"""Transfer: an instance is written out as lines, and read into another daemon's store.

The rule: an imported instance has ended, and has no effects: no activity is performed, nothing is sent, no timer is
set, also after a restart. It can be looked at, run again and purged like any other.

`Engine.transfer` is one.
"""

from collections.abc import AsyncIterable, AsyncIterator

from ....actors.hosting.host import Host
from ...errors import InstanceExists, InstanceNotFound, RequestRefused
from ...history.attribution import By
from ...history.row import unpack_row
from ...instance.message import Import
from ..facade import Facade
from ..reading.stored_history import Pieces, read_stored
from .exported import ExportHeader, ExportReader, header_line, turn_lines
from .id_taken import id_taken


class ImportUnfinished(RequestRefused):
    """The exported instance had not ended."""

    def __init__(self, instance_id: str, status: str) -> None:
        super().__init__(instance_id, status)
        self.instance_id = instance_id
        self.status = status

    def __str__(self) -> str:
        return (
            f"the exported instance {self.instance_id!r} is {self.status}, and only one that has ended is imported. "
            "Wait for its end or terminate it where it is, and export it again."
        )


class Transfer:
    """Exports and imports the instances of a host."""

    def __init__(self, host: Host, facade: Facade) -> None:
        self._host = host
        self._facade = facade

    async def export(self, instance_id: str) -> AsyncIterator[bytes]:
        """Write an instance out, as last committed: the history of its present generation.

        Yields:
            Lines of JSON, each with its end of line: the header, then the events.

        Raises:
            InstanceNotFound
            StoreDamaged, CorruptHistory: It cannot be read.
        """
        found = await read_stored(self._host, self._facade.own, instance_id)
        if found is None:
            raise InstanceNotFound(instance_id)
        stored = found.stored
        last_us = unpack_row(stored.entries[-1]).at_us if stored.entries else found.record.created_us
        changed_us = stored.facets.updated_us if stored.facets is not None else last_us
        yield header_line(ExportHeader(instance_id, found.record, changed_us))
        pieces = Pieces(self._host.instruments.stopwatch)
        for number, entry in enumerate(stored.entries):
            for line in turn_lines(number, unpack_row(entry)):
                yield line
            await pieces.cut()

    async def import_(self, lines: AsyncIterable[bytes], *, by: By, new_id: str | None = None) -> str:
        """Read an instance in that has ended, and return its id.

        Args:
            lines: As `export` gives them.
            by: On whose behalf.
            new_id: None: the id that it had.

        Raises:
            ImportMalformed, ImportUnfinished, IdTaken, LimitExceeded: Nothing was imported.
        """
        reader, pieces = ExportReader(), Pieces(self._host.instruments.stopwatch)
        async for line in lines:
            reader.feed(line)
            await pieces.cut()
        header = reader.end()
        if not header.record.status.terminal:
            raise ImportUnfinished(header.instance_id, header.record.status.name)
        instance_id = new_id or header.instance_id
        self._facade.check_name("the instance ID", instance_id)
        self._facade.check_name("the name of the workflow", header.record.name)
        message = Import(header.record, reader.entries, header.changed_us, by)
        try:
            await self._host.ask(self._facade.own.instance(instance_id), message)
        except InstanceExists:
            raise await id_taken(self._host, self._facade.own, instance_id) from None
        return instance_id
