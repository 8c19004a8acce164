"""The operations by which instances are seen and steered, of one engine, in one value.

The rule: it holds and does nothing. Each operation is a module of its own below this folder.

The engine makes it; the doors are given it (`http/management/`).
"""

from dataclasses import dataclass

from .reading.status_wait import StatusWaits
from .steering.steering import Steering


@dataclass(frozen=True, slots=True, kw_only=True)
class Management:
    """What is to be asked of an engine about its instances, and done about them."""

    steering: Steering
    waits: StatusWaits
