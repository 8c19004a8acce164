"""The limits on activities that are performed here, as a part of an engine's settings.

The rule: settings name the workshop (`runtime/settings.py`), so a workshop does not import settings.
"""

from typing import Protocol

from ..workers.limits import DispatchLimits


class ActivityLimits(Protocol):
    """How many activities of each kind are under way at once; `Settings` describes each limit."""

    @property
    def activities_max(self) -> int:
        """How many asynchronous activities are under way at once."""
        ...

    @property
    def activity_threads_max(self) -> int:
        """How many activities are under way in threads at once."""
        ...

    @property
    def activity_processes_max(self) -> int:
        """How many activities are under way in processes at once."""
        ...

    @property
    def dispatch(self) -> DispatchLimits:
        """The limits of remote workers."""
        ...
