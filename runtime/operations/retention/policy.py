"""How long finished instances and the audit are kept, as one frozen value.

The rule: a time for one status counts before the time for all of them.

Settings and configurations hold it; `runtime/operations/retention/loop.py` acts on
it.
"""

from dataclasses import dataclass

from ...history.status import TERMINAL, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long finished instances and rows of the audit are kept, in microseconds.

    None means for ever; for a single status it means `any_terminal_us`.

    Raises:
        ValueError: A time is negative.
    """

    any_terminal_us: int | None = None
    completed_us: int | None = None
    failed_us: int | None = None
    terminated_us: int | None = None
    audit_us: int | None = None

    def __post_init__(self) -> None:
        for name in ("any_terminal_us", "completed_us", "failed_us", "terminated_us", "audit_us"):
            kept_us = getattr(self, name)
            if kept_us is not None and kept_us < 0:
                raise ValueError(f"{name} must be at least 0, not {kept_us}")

    def __bool__(self) -> bool:
        """Whether any time is set."""
        return self.shortest_us is not None or self.audit_us is not None

    @property
    def shortest_us(self) -> int | None:
        """The shortest time for which any instance is kept; None: all are kept for ever."""
        kept = [self.kept_us(status) for status in TERMINAL]
        return min((kept_us for kept_us in kept if kept_us is not None), default=None)

    def kept_us(self, status: Status) -> int | None:
        """How long an instance is kept after it got a status; None: for ever, or until it gets another status."""
        if not status.terminal:
            return None
        named = {
            Status.COMPLETED: self.completed_us,
            Status.FAILED: self.failed_us,
            Status.TERMINATED: self.terminated_us,
        }.get(status)
        return named if named is not None else self.any_terminal_us
