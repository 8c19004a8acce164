"""The client of an engine in the same process: the facade, with values in the place of JSON text.

The one law: it decides nothing; it encodes, makes one call of the facade, and
decodes. `Engine.client` is one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import anyio

from ..authoring.app import App, name_of
from ..authoring.codec import UNTYPED, Encoder
from ..dates import from_us, to_us
from ..errors import InvalidRequest, WorkflowFailed
from ..history.failure import FailureDetails
from ..history.instance_state import InstanceState
from ..history.status import Status
from .facade import Facade, finished


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowState:
    """An instance as Python sees it: values decoded, dates with UTC as time zone."""

    instance_id: str
    name: str
    status: Status
    created_at: datetime
    last_updated_at: datetime
    input: Any
    output: Any
    custom_status: str | None
    details: InstanceState  # all facts of the instance, payloads as text

    @property
    def failure(self) -> FailureDetails | None:
        """Why it is FAILED: the error, its causes, and the activity or child that let the workflow down."""
        return self.details.failure


class Client:
    """Starts and steers the instances of an engine in the same process."""

    def __init__(self, facade: Facade, app: App | None = None) -> None:
        self._facade = facade
        self._app = app
        self._encoder = Encoder()

    async def start(
        self,
        workflow: Callable[..., Any] | str,
        *,
        input: Any = None,  # noqa: A002  Dapr's word
        instance_id: str | None = None,
        start_at: datetime | None = None,
    ) -> str:
        """Start an instance and return its id. Durable when it returns.

        Args:
            start_at: When its code is to begin; UTC if it names no time zone.

        Raises:
            AppError, InvalidRequest, InstanceExists, ChildUnfinished: Nothing was started.
        """
        if instance_id is not None:
            _expect(str, instance_id, "instance_id")
        if start_at is not None:
            _expect(datetime, start_at, "start_at")
        return await self._facade.start(
            name_of(workflow, self._app),
            instance_id=instance_id,
            input=self._encoder.encode(input),
            start_at_us=to_us(start_at) if start_at is not None else None,
        )

    async def run(
        self,
        workflow: Callable[..., Any] | str,
        *,
        input: Any = None,  # noqa: A002
        instance_id: str | None = None,
    ) -> Any:
        """Start an instance, wait for its end, and return its result.

        Raises:
            WorkflowFailed: It ended in another way than COMPLETED.
        """
        state = await self.wait(await self.start(workflow, input=input, instance_id=instance_id))
        if state.status is not Status.COMPLETED:
            raise WorkflowFailed(state.details)
        return state.output

    async def get(self, instance_id: str) -> WorkflowState | None:
        """Describe an instance as last committed; None if there is none."""
        _expect(str, instance_id, "instance_id")
        state = await self._facade.inspect(instance_id)
        return _described(state) if state is not None else None

    async def wait(
        self,
        instance_id: str,
        *,
        until: Callable[[Status], bool] = finished,
        timeout: timedelta | float | None = None,  # noqa: ASYNC109  a person's limit, in a person's unit
    ) -> WorkflowState:
        """Wait for an instance to end, or for another status.

        Args:
            timeout: A number is seconds.

        Raises:
            TimeoutError: It took longer.
            InstanceNotFound: There is no such instance.
        """
        _expect(str, instance_id, "instance_id")
        if timeout is None:
            return _described(await self._facade.wait(instance_id, until))
        if not isinstance(timeout, timedelta):
            _expect((int, float), timeout, "timeout")
            timeout = timedelta(seconds=timeout)
        with anyio.fail_after(timeout.total_seconds()):
            return _described(await self._facade.wait(instance_id, until))

    async def raise_event(self, instance_id: str, name: str, data: Any = None) -> None:
        _expect(str, instance_id, "instance_id")
        _expect(str, name, "the name of the event")
        await self._facade.raise_event(instance_id, name, self._encoder.encode(data))

    async def suspend(self, instance_id: str, *, reason: str | None = None) -> None:
        _expect(str, instance_id, "instance_id")
        await self._facade.suspend(instance_id, reason=reason)

    async def resume(self, instance_id: str, *, reason: str | None = None) -> None:
        _expect(str, instance_id, "instance_id")
        await self._facade.resume(instance_id, reason=reason)

    async def terminate(self, instance_id: str, *, output: Any = None, recurse: bool = True) -> None:
        _expect(str, instance_id, "instance_id")
        await self._facade.terminate(instance_id, output=self._encoder.encode(output), recurse=recurse)

    async def purge(self, instance_id: str, *, recurse: bool = True, force: bool = False) -> int:
        _expect(str, instance_id, "instance_id")
        return await self._facade.purge(instance_id, recurse=recurse, force=force)


def _expect(kind: type[Any] | tuple[type[Any], ...], value: Any, what: str) -> None:
    """Refuse a value of another type. Callers may be programs that no type checker has seen.

    Raises:
        InvalidRequest: It is of another type.
    """
    if not isinstance(value, kind):
        kinds = " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))
        raise InvalidRequest(f"{what} must be {kinds}, not {type(value).__name__}")


def _described(state: InstanceState) -> WorkflowState:
    return WorkflowState(
        instance_id=state.instance_id,
        name=state.name,
        status=state.status,
        created_at=from_us(state.created_us),
        last_updated_at=from_us(state.updated_us),
        input=UNTYPED.decode(state.input),
        output=UNTYPED.decode(state.output),
        custom_status=state.custom_status,
        details=state,
    )
