"""A meter of the requests to the apps of a daemon, and of the work of their workers.

The rule: a daemon without a port for metrics counts nothing, and does not load the library for it.
"""

from typing import Protocol

from ...runtime.hosted_app import HostedApp
from ...runtime.observing.observer import ActivityWatch
from ...runtime.operations.facade import Facade


class AppMeter(Protocol):
    """Counts the requests to apps, and the activities of their workers."""

    def facade(self, hosted: HostedApp) -> Facade:
        """Return the facade of an app, whose requests are counted."""
        ...

    def activities(self, app_id: str) -> ActivityWatch | None:
        """Return the watch of the activities of an app's workers; None: they are not counted."""
        ...


class NoMeter:
    """Counts nothing (`AppMeter`)."""

    def facade(self, hosted: HostedApp) -> Facade:
        return hosted.facade

    def activities(self, app_id: str) -> ActivityWatch | None:
        return None
