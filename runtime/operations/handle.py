"""A handle of an instance: its id, with the operations on it as methods.

The rule: a handle is the id. It is a `str`, so programs that keep, compare, print or send the id that `start` gives
them need no change, and every method that takes an id takes a handle. Copied out of the process (pickle, JSON) it is
the id alone.

`Client.start` and `Client.handle` make them (docs/design/handles.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, Self, TypeVar

from ..history.failure import FailureDetails
from ..history.instance_state import InstanceState
from ..history.status import Status
from .facade import finished

R = TypeVar("R")
Workflow = Callable[..., Any] | str
Seconds = timedelta | float | None  # a person's limit; a number is seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowState:
    """An instance as Python sees it: dates with UTC as time zone, values decoded.

    The input, and the output of a completed instance, have the annotated types if the client's app has a workflow of
    that name and they fit. Otherwise they have the types that JSON has, where `Handle.result` raises.
    """

    instance_id: str  # unique within its app
    name: str  # the workflow's
    status: Status  # as last committed
    created_at: datetime  # when this generation was started
    last_updated_at: datetime  # the newest event
    input: Any  # None without an input
    output: Any  # of a completed instance, or given with its termination; None without an output
    custom_status: str | None  # text as it is, any other value as JSON
    details: InstanceState  # all facts of the instance, payloads as text

    @property
    def failure(self) -> FailureDetails | None:
        """Why it is FAILED: the error, its causes, and the activity or child that failed."""
        return self.details.failure


class Steered(Protocol):
    """The methods of a client that a handle has too."""

    async def result(self, instance_id: str, *, workflow: Workflow | None, timeout: Seconds) -> Any:  # noqa: ASYNC109
        """Wait for the end of an instance, and return its output; see `Client.result`."""
        ...

    async def get(self, instance_id: str) -> WorkflowState | None:
        """Describe an instance; see `Client.get`."""
        ...

    async def wait(
        self,
        instance_id: str,
        *,
        until: Callable[[Status], bool],
        timeout: Seconds,  # noqa: ASYNC109
    ) -> WorkflowState:
        """Wait for a status; see `Client.wait`."""
        ...

    async def raise_event(self, instance_id: str, name: str, data: Any, *, idempotency_key: str | None) -> None:
        """Send an event; see `Client.raise_event`."""
        ...

    async def suspend(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        """Suspend an instance; see `Client.suspend`."""
        ...

    async def resume(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        """Let an instance go on; see `Client.resume`."""
        ...

    async def terminate(self, instance_id: str, *, output: Any, recurse: bool, reason: str | None) -> bool:
        """End an instance; see `Client.terminate`."""
        ...

    async def purge(self, instance_id: str, *, recurse: bool, force: bool, reason: str | None) -> int:
        """Forget an instance; see `Client.purge`."""
        ...


class Handle(str, Generic[R]):
    """An instance of a workflow whose result is an `R`."""

    __slots__ = ("_client", "_workflow")

    _client: Steered
    _workflow: Workflow | None

    def __new__(cls, instance_id: str, client: Steered, workflow: Workflow | None = None) -> Self:
        """Make the handle of an instance that may exist.

        Args:
            instance_id: The id of the instance.
            client: Carries out the methods.
            workflow: Has the type of the result; None: the workflow of the instance's name in the client's app has it.
        """
        self = str.__new__(cls, instance_id)
        self._client = client
        self._workflow = workflow
        return self

    @property
    def id(self) -> str:
        """The id as a plain `str`."""
        return str.__str__(self)

    @property
    def workflow(self) -> Workflow | None:
        """The workflow, which has the type of the result: its function, or its name."""
        return self._workflow

    async def result(self, *, timeout: Seconds = None) -> R:  # noqa: ASYNC109
        """Wait for the end, and return the result in the annotated type.

        Args:
            timeout: A number is seconds; None: there is no limit.

        Raises:
            WorkflowFailed: It ended, but not COMPLETED.
            PayloadError: The result does not fit the annotation.
            TimeoutError, InstanceNotFound: As for `Client.wait`.
        """
        result: R = await self._client.result(self, workflow=self._workflow, timeout=timeout)
        return result

    async def wait(
        self,
        *,
        until: Callable[[Status], bool] = finished,
        timeout: Seconds = None,  # noqa: ASYNC109
    ) -> WorkflowState:
        """Wait for the end, or for another status; as `Client.wait`."""
        return await self._client.wait(self, until=until, timeout=timeout)

    async def state(self) -> WorkflowState | None:
        """Describe the instance as last committed; None if there is none."""
        return await self._client.get(self)

    async def raise_event(self, name: str, data: Any = None, *, idempotency_key: str | None = None) -> None:
        """Send an event; as `Client.raise_event`."""
        await self._client.raise_event(self, name, data, idempotency_key=idempotency_key)

    async def suspend(self, *, reason: str | None = None, recurse: bool = False) -> bool:
        """Let it take no further step until it is resumed; as `Client.suspend`."""
        return await self._client.suspend(self, reason=reason, recurse=recurse)

    async def resume(self, *, reason: str | None = None, recurse: bool = False) -> bool:
        """Let it go on; as `Client.resume`."""
        return await self._client.resume(self, reason=reason, recurse=recurse)

    async def terminate(self, *, output: Any = None, recurse: bool = True, reason: str | None = None) -> bool:
        """End it without running its code; as `Client.terminate`."""
        return await self._client.terminate(self, output=output, recurse=recurse, reason=reason)

    async def purge(self, *, recurse: bool = True, force: bool = False, reason: str | None = None) -> int:
        """Forget it, and return how many instances were forgotten; as `Client.purge`."""
        return await self._client.purge(self, recurse=recurse, force=force, reason=reason)

    def __repr__(self) -> str:
        return f"Handle({str.__repr__(self)})"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.id,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self
