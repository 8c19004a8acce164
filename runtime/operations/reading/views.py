"""Views: everything that is read of instances beside the seven calls of Dapr's API, for one host.

The rule: reading changes nothing and runs no code.

`runtime/engine.py` makes them; the doors use them.
"""

from dataclasses import dataclass

from ....actors.hosting.host import Host
from .description import Descriptions
from .history_page import Histories
from .listing import Listing
from .tree import Trees
from .under_way import WorkLocator


@dataclass(frozen=True, slots=True)
class Views:
    """The readers of one host, each of which sees the instances of all hosts."""

    listing: Listing
    descriptions: Descriptions
    histories: Histories
    trees: Trees


def views_of(host: Host, work: WorkLocator, *, app_id: str) -> Views:
    """Make the readers of a host.

    Args:
        work: Finds what is under way for an instance.
        app_id: Of the app that is here.
    """
    descriptions = Descriptions(host, work, app_id=app_id)
    return Views(Listing(host, descriptions, app_id=app_id), descriptions, Histories(host), Trees(host))
