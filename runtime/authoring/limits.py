"""The limits on the requests of workflow code, as one frozen value.

The rule: a limit holds for new turns only. Replay repeats turns that were recorded under other limits, or under none.

The engine's settings have one; executions and workflow actors keep to it. docs/limits.md has the table of all limits.
"""

from dataclasses import dataclass, field

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowLimits:
    """The limits of one instance. Beyond `…_warn` there is a line in the log, beyond `…_max` the instance fails.

    Raises:
        ValueError: A limit is below 1.
    """

    turn_commands_warn: int = 10_000  # activities, children, timers, waits that one turn requests
    turn_commands_max: int = 100_000  # some 0.1 GB; a million took 1.9 GiB
    payload_bytes_warn: int = 2 * MIB  # an input, a result, a custom status; in UTF-8
    payload_bytes_max: int = 32 * MIB
    name_bytes_max: int = 1024  # of an activity, a workflow, an event, a patch, an id that code or a caller chose
    history_events_warn: int = 10_000  # of one generation; a long history never fails
    # arrivals that wait while an instance takes none; some 50 MB. Beyond it events are refused
    held_events_max: int = 100_000
    # A text of at most this many characters is below each limit on payloads.
    light_chars: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        for name in LIMIT_NAMES:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        object.__setattr__(self, "light_chars", min(self.payload_bytes_warn, self.payload_bytes_max) // 4)


LIMIT_NAMES = (
    "turn_commands_warn",
    "turn_commands_max",
    "payload_bytes_warn",
    "payload_bytes_max",
    "name_bytes_max",
    "history_events_warn",
    "held_events_max",
)

USUAL_LIMITS = WorkflowLimits()


def bytes_of(text: str) -> int:
    """The length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def is_longer(text: str, bytes_max: int) -> bool:
    """Whether a text has more bytes in UTF-8. The bytes of a text that is far below it are not counted."""
    return len(text) * 4 > bytes_max and bytes_of(text) > bytes_max
