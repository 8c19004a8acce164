"""An instance as seen from outside."""

from dataclasses import dataclass

from .failure import FailureDetails
from .status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceState:
    """What a caller may know of an instance. Payloads are JSON text as given, never decoded."""

    instance_id: str
    execution_id: str  # of the current generation
    name: str  # the workflow's
    status: Status
    created_us: int  # Unix time, microseconds: when this generation was started
    updated_us: int  # Unix time, microseconds: the newest event
    input: str | None
    output: str | None
    custom_status: str | None
    failure: FailureDetails | None  # FAILED only
    stall: str | None  # STALLED only: why
    parent_id: str | None
    version: str | None = None
