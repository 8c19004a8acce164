"""The roster: the hosts of a daemon, each with its own report and the view of the host that answers.

The rule: each living host has one line, even if it does not answer; unknown figures are left out.

`http/management/routes/overview.py` shows it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ....actors.cluster.leases.seen import ClusterSeen, HostSeen
from ....actors.store.cluster import HostState
from .reports import HostReport


class RosterLine(NamedTuple):
    """A host."""

    name: str
    report: HostReport | None  # None: it does not answer
    seen: HostSeen | None  # None: the hosts of this daemon are fixed
    state: str | None  # in a word; None as above


def roster(reports: Mapping[str, HostReport | None], seen: ClusterSeen | None) -> Sequence[RosterLine]:
    """Put together the known figures of each host.

    Args:
        reports: Of the hosts that were asked, by their names.
        seen: The hosts that share the store, as the host that answers sees them; None: they are fixed.
    """
    if seen is None:
        return [RosterLine(name, report, None, None) for name, report in reports.items()]
    hosts = {host.name: host for host in seen.hosts}
    # This host's own row may be gone, although the host answers.
    names = sorted({*hosts, seen.me})
    return [
        RosterLine(name, reports.get(name), hosts.get(name), state_of(name, hosts.get(name), seen)) for name in names
    ]


def state_of(name: str, host: HostSeen | None, seen: ClusterSeen) -> str:
    """The state of a host among the others, in one word. Only a host itself knows more than its row says."""
    if name == seen.me:
        return seen.standing.value
    assert host is not None, name
    return "leaving" if host.state is HostState.LEAVING else "serving"
