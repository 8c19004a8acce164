"""Views: everything that is read of instances beside the seven calls of Dapr's API, for one host.

The rule: reading changes nothing and runs no code.

`runtime/engine.py` makes them; the doors use them.
"""

from dataclasses import dataclass

from ....actors.hosting.host import Host
from ...directory import AppAddresses
from .description import Descriptions
from .history_page import Histories
from .listing import Listing
from .tree import Trees
from .under_way import WorkLocator


@dataclass(frozen=True, slots=True)
class Views:
    """The readers of one host, each of which sees the instances of all hosts."""

    own: AppAddresses  # of the app
    listing: Listing
    descriptions: Descriptions
    histories: Histories
    trees: Trees


def views_of(host: Host, work: WorkLocator, own: AppAddresses) -> Views:
    """Make the readers of a host.

    Args:
        work: Finds the work under way for an instance.
        own: The addresses of the app whose instances are read.
    """
    descriptions = Descriptions(host, work, own)
    return Views(own, Listing(host, descriptions, own), descriptions, Histories(host, own), Trees(host, own))
