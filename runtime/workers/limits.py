"""Limits of the dispatcher: how many jobs remote workers may have at once.

The engine's settings hold them; `runtime/workers/dispatcher.py` keeps to them.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchLimits:
    """How many jobs workers may have at once (contract 4.5); None is no limit."""

    # Dapr's JavaScript SDK works on 10 items, keeps 100, and drops those after them (contract 5.2).
    items_per_stream_max: int = 100
    workflows_max: int | None = None
    activities_max: int | None = None
    workflow_max: dict[str, int] = field(default_factory=dict)  # by name
    activity_max: dict[str, int] = field(default_factory=dict)  # by name
