"""The operations by which instances are seen and steered, of one engine, in one value.

The rule: it holds the operations and does nothing itself. Each operation is a module of its own below this folder.

The engine makes it; the doors use it (`http/management/`).
"""

from dataclasses import dataclass

from ...actors.clock import Clock
from ...actors.hosting.host import Host
from .bulk.bulk import Bulk
from .overview.attention import Attentions
from .overview.audits import Audits
from .overview.reports import Reports
from .overview.series import Series
from .overview.workflows import Inventory
from .reading.feed import Feed
from .reading.status_wait import StatusWaits
from .reading.views import Views
from .steering.steering import Steering
from .steering.transfer import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceOperations:
    """The operations on the instances of an engine."""

    views: Views
    steering: Steering
    transfer: Transfer
    waits: StatusWaits
    feed: Feed
    bulk: Bulk
    audits: Audits
    attentions: Attentions
    reports: Reports
    series: Series
    inventory: Inventory


def management_of(
    host: Host,
    reports: Reports,
    attentions: Attentions,
    *,
    views: Views,
    steering: Steering,
    transfer: Transfer,
    bulk: Bulk,
    clock: Clock,
) -> InstanceOperations:
    """Collect the operations of an engine."""
    series = Series(host, reports.own, clock=clock, peers=reports.peers)
    return InstanceOperations(
        views=views,
        steering=steering,
        transfer=transfer,
        waits=StatusWaits(host, views.own),
        feed=Feed(host, views.own),
        bulk=bulk,
        audits=Audits(host),
        attentions=attentions,
        reports=reports,
        series=series,
        inventory=Inventory(host, reports, series),
    )
