"""The operations by which instances are seen and steered, of one engine, in one value.

The rule: it holds and does nothing. Each operation is a module of its own below this folder.

The engine makes it; the doors are given it (`http/management/`).
"""

from dataclasses import dataclass

from ...actors.hosting.host import Host
from .bulk.bulk import Bulk
from .reading.feed import Feed
from .reading.status_wait import StatusWaits
from .reading.views import Views
from .steering.steering import Steering


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceOperations:
    """What is to be asked of an engine about its instances, and done about them."""

    views: Views
    steering: Steering
    waits: StatusWaits
    feed: Feed
    bulk: Bulk


def management_of(host: Host, views: Views, steering: Steering, bulk: Bulk) -> InstanceOperations:
    """Put together what an engine offers."""
    return InstanceOperations(views=views, steering=steering, waits=StatusWaits(host), feed=Feed(host), bulk=bulk)
