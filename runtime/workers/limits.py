"""Limits of the dispatcher: how many jobs remote workers may have at once.

The rule: limits that do not fit each other are an error when they are made.

The engine's settings hold them; `runtime/workers/dispatcher.py` keeps to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar


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
    ITEMS_PER_STREAM_MAX: ClassVar[int] = 100

    # Two windows, and neither takes the other's room: activities that last for hours must leave room for turns.
    activities_per_stream_max: int = 80
    workflows_per_stream_max: int = 20
    workflows_max: int | None = None
    activities_max: int | None = None
    workflow_max: dict[str, int] = field(default_factory=dict)  # by name
    activity_max: dict[str, int] = field(default_factory=dict)  # by name

    def __post_init__(self) -> None:
        if self.answer_timeout_s is not None and self.answer_timeout_s <= 0:
            raise ValueError(f"answer_timeout_s must be more than 0 seconds or None, not {self.answer_timeout_s}")
        for name in ("activities_per_stream_max", "workflows_per_stream_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        together = self.activities_per_stream_max + self.workflows_per_stream_max
        if together > self.ITEMS_PER_STREAM_MAX:
            raise ValueError(
                f"activities_per_stream_max and workflows_per_stream_max must be at most {self.ITEMS_PER_STREAM_MAX} "
                f"together, not {together}: some workers drop further items"
            )

    def divided(self, hosts: int) -> "DispatchLimits":
        """The part of one host of several in the limits on all workers together, rounded up.

        So all hosts together may go beyond a limit, by less than one job for each host. The limit of one stream is
        divided by the host that has the stream (`runtime/workers/hosts/shares.py`).
        """
        return replace(
            self,
            workflows_max=_part(self.workflows_max, hosts),
            activities_max=_part(self.activities_max, hosts),
            workflow_max=_parts(self.workflow_max, hosts),
            activity_max=_parts(self.activity_max, hosts),
        )


def _part(limit: int | None, hosts: int) -> int | None:
    return None if limit is None else -(-limit // hosts)


def _parts(limits: Mapping[str, int], hosts: int) -> dict[str, int]:
    return {name: -(-limit // hosts) for name, limit in limits.items()}
