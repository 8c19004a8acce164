"""The refusal for an id that another instance has, with that instance's workflow and status.

The rule: the error names what a caller can do instead.

`rerunning.py` and `transfer.py` raise it.
"""

from ....actors.hosting.host import Host
from ...directory import AppAddresses
from ...errors import IdTaken
from ...history.facets import status_word
from ...history.record import unpack_record


async def id_taken(host: Host, own: AppAddresses, instance_id: str) -> IdTaken:
    """Read the holder of an id, and make the refusal that names it."""
    inspection = await host.inspect(own.instance(instance_id))
    if inspection is None:
        return IdTaken(instance_id, name="", status="purged by now", restart=None)
    holder = unpack_record(inspection.record)
    return IdTaken(instance_id, name=holder.name, status=status_word(holder), restart=None)
