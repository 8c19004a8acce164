"""Limits of the dispatcher: how many jobs remote workers may have at once.

The engine's settings hold them; `runtime/workers/dispatcher.py` keeps to them.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchLimits:
    """How many jobs workers may have at once (contract 4.5), and how long for an answer; None is no limit.

    Raises:
        ValueError: A limit is out of its range.
    """

    # After this many seconds without an answer to a turn the worker is sent it again, then after twice the time; None:
    # never. A turn takes milliseconds, and its answer may be behind others that the worker computes.
    answer_timeout_s: float | None = 30.0
    # Dapr's JavaScript SDK works on 10 items, keeps 100, and drops those after them (contract 5.2).
    items_per_stream_max: int = 100
    workflows_max: int | None = None
    activities_max: int | None = None
    workflow_max: dict[str, int] = field(default_factory=dict)  # by name
    activity_max: dict[str, int] = field(default_factory=dict)  # by name

    def __post_init__(self) -> None:
        if self.answer_timeout_s is not None and self.answer_timeout_s <= 0:
            raise ValueError(f"answer_timeout_s must be more than 0 seconds or None, not {self.answer_timeout_s}")
