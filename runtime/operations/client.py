"""The client: workflows from Python, with values in the place of JSON text.

The rule: it decides nothing. It encodes, makes one call, and decodes by the workflow's annotations.

`Engine.client` is one; it calls the facade of the engine in the same process.
"""

from collections.abc import Callable, Coroutine, Generator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypedDict, TypeVar, Unpack, overload

import anyio

from ..authoring.app import App, name_of
from ..authoring.codec import UNTYPED, Decoder, Encoder
from ..authoring.parameters import result_decoder
from ..dates import from_us, to_us
from ..errors import InvalidRequest, PayloadError, WorkflowFailed
from ..history.instance_state import InstanceState
from ..history.status import Status
from ..state.client import StateClient, StateOperations
from .facade import finished
from .handle import Handle, Seconds, Workflow, WorkflowState
from .steering.starting import IfExists, StartRequest

R = TypeVar("R")
IfTaken = Literal["reject", "return", "restart"]
AsyncCode = Callable[..., Coroutine[Any, Any, R]]
GeneratorCode = Callable[..., Generator[Any, Any, R]]


class RunOptions(TypedDict, total=False):
    """The keyword arguments of `Client.run`, for type checkers."""

    input: Any
    instance_id: str | None
    if_exists: IfTaken | None
    idempotency_key: str | None


class StartOptions(RunOptions, total=False):
    """The keyword arguments of `Client.start`, for type checkers."""

    start_at: datetime | None
    tags: Mapping[str, str] | None
    force: bool


class Operations(Protocol):
    """The operations that a client calls. Payloads are JSON text; see the methods of `Client`."""

    @property
    def states(self) -> StateOperations:
        """The state stores of the app."""
        ...

    async def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,  # noqa: A002
        start_at_us: int | None = None,
    ) -> str:
        """Start an instance, and return its id. `start_at_us` is Unix time in microseconds."""
        ...

    async def begin(self, request: StartRequest) -> str:
        """Start an instance with all options of a start, and return its id."""
        ...

    async def inspect(self, instance_id: str) -> InstanceState | None:
        """Read an instance; None if it does not exist."""
        ...

    async def wait(self, instance_id: str, until: Callable[[Status], bool] = finished) -> InstanceState:
        """Wait until the status of an instance fulfils a condition, and read it."""
        ...

    async def raise_event(self, instance_id: str, name: str, data: str | None, *, key: str | None) -> None:
        """Send an event to an instance, once for each key."""
        ...

    async def suspend(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        """Suspend an instance; return whether this changed anything."""
        ...

    async def resume(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        """Let a suspended instance go on; return whether this changed anything."""
        ...

    async def terminate(self, instance_id: str, *, output: str | None, recurse: bool, reason: str | None) -> bool:
        """End an instance without its code; return whether this changed anything."""
        ...

    async def purge(self, instance_id: str, *, recurse: bool, force: bool, reason: str | None) -> int:
        """Forget an instance; return how many instances were forgotten."""
        ...


class Client:
    """Starts and steers instances.

    Args:
        app: Has the types of inputs and results; None: only workflows that are passed as functions have them.
    """

    def __init__(self, operations: Operations, app: App | None = None) -> None:
        self._operations = operations
        self._app = app
        self._encoder = Encoder()

    def state(self, store: str) -> StateClient:
        """The values of a state store, which the app's SDKs in other languages reach with Dapr's state API.

        Args:
            store: The name of the store, such as `statestore`.

        Raises:
            StateStoreNotFound: There is no such store. Of a daemon the first call says so.
        """
        return StateClient(self._operations.states, store)

    @overload
    async def start(self, workflow: AsyncCode[R], **options: Unpack[StartOptions]) -> Handle[R]: ...
    @overload
    async def start(self, workflow: GeneratorCode[R], **options: Unpack[StartOptions]) -> Handle[R]: ...
    @overload
    async def start(self, workflow: Callable[..., R], **options: Unpack[StartOptions]) -> Handle[R]: ...
    @overload
    async def start(self, workflow: str, **options: Unpack[StartOptions]) -> Handle[Any]: ...
    async def start(
        self,
        workflow: Workflow,
        *,
        input: Any = None,  # noqa: A002  Dapr's word
        instance_id: str | None = None,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        if_exists: IfTaken | None = None,
        force: bool = False,
        idempotency_key: str | None = None,
    ) -> Handle[Any]:
        """Start an instance and return its handle, which is its id. Durable when it returns.

        Args:
            workflow: The function, or the name by which it is registered.
            input: Any value that JSON can hold; None is no input.
            instance_id: Of the new instance; made up if it is None.
            start_at: When its code is to begin; UTC if it names no time zone.
            tags: Names and values by which lists can be filtered; 16 at most.
            if_exists: If an instance has the id: `reject` refuses, also if it has ended; `return` returns that
                instance, if it is of the same workflow; `restart`, the default, begins an ended instance anew.
            force: With `restart`: terminate an instance that has not ended.
            idempotency_key: The same start twice with the same key is one instance.

        Raises:
            InstanceExists: The id belongs to another instance, which `if_exists` does not let go.
            PayloadError: The input is not JSON.
            AppError, InvalidRequest, RequestRefused: The workflow, the id or an option is refused. Nothing was started.
        """
        if instance_id is not None:
            instance_id = id_of(instance_id)
        if start_at is not None:
            _expect(datetime, start_at, "start_at")
        name = name_of(workflow, self._app)
        content = self._encoder.encode(input)
        start_at_us = to_us(start_at) if start_at is not None else None
        if tags is None and if_exists is None and not force and idempotency_key is None:
            started = await self._operations.start(
                name, instance_id=instance_id, input=content, start_at_us=start_at_us
            )
        else:
            usual = IfExists.RESTART if instance_id is not None or force else IfExists.REJECT
            request = StartRequest(
                name=name,
                instance_id=instance_id,
                input=content,
                start_at_us=start_at_us,
                tags=tags,
                if_exists=usual if if_exists is None else _if_exists(if_exists),
                force=force,
                key=idempotency_key,
            )
            started = await self._operations.begin(request)
        return Handle(started, self, workflow)

    @overload
    async def run(self, workflow: AsyncCode[R], **options: Unpack[RunOptions]) -> R: ...
    @overload
    async def run(self, workflow: GeneratorCode[R], **options: Unpack[RunOptions]) -> R: ...
    @overload
    async def run(self, workflow: Callable[..., R], **options: Unpack[RunOptions]) -> R: ...
    @overload
    async def run(self, workflow: str, **options: Unpack[RunOptions]) -> Any: ...
    async def run(
        self,
        workflow: Workflow,
        *,
        input: Any = None,  # noqa: A002
        instance_id: str | None = None,
        if_exists: IfTaken | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Start an instance, wait for its end, and return its result in the annotated type.

        Args:
            workflow: The function, or the name by which it is registered.
            input: Any value that JSON can hold; None is no input.
            instance_id: Of the new instance; made up if it is None.
            if_exists: The choice if the id is taken, as for `start`.
            idempotency_key: As for `start`. A program that repeats a call needs this or `if_exists`; otherwise the call
                runs an ended instance again.

        Raises:
            WorkflowFailed: It ended, but not COMPLETED.
            PayloadError: The result does not fit the annotation.
        """
        started = await self.start(
            workflow, input=input, instance_id=instance_id, if_exists=if_exists, idempotency_key=idempotency_key
        )
        return await self.result(started, workflow=workflow)

    @overload
    def handle(self, instance_id: str, workflow: AsyncCode[R]) -> Handle[R]: ...
    @overload
    def handle(self, instance_id: str, workflow: GeneratorCode[R]) -> Handle[R]: ...
    @overload
    def handle(self, instance_id: str, workflow: Callable[..., R]) -> Handle[R]: ...
    @overload
    def handle(self, instance_id: str, workflow: str | None = None) -> Handle[Any]: ...
    def handle(self, instance_id: str, workflow: Workflow | None = None) -> Handle[Any]:
        """Make the handle of an instance by its id, without checking that it exists.

        Args:
            instance_id: The id, or a handle.
            workflow: Has the type of the result.
        """
        return Handle(id_of(instance_id), self, workflow)

    async def result(
        self,
        instance_id: str,
        *,
        workflow: Workflow | None = None,
        timeout: Seconds = None,  # noqa: ASYNC109
    ) -> Any:
        """Wait for the end of an instance, and return its result.

        Args:
            workflow: Has the type of the result; by default the workflow of the instance's name in the app.
            timeout: A number is seconds; None: there is no limit.

        Raises:
            WorkflowFailed, PayloadError: As for `run`.
            TimeoutError, InstanceNotFound: As for `wait`.
        """
        state = await self._wait(id_of(instance_id), finished, timeout)
        if state.status is not Status.COMPLETED:
            raise WorkflowFailed(state)
        return self._output_decoder(state.name if workflow is None else workflow).decode(state.output)

    async def get(self, instance_id: str) -> WorkflowState | None:
        """Describe an instance as last committed.

        Args:
            instance_id: The id, or a handle.

        Returns:
            The state with its payloads decoded; None if there is no such instance.
        """
        state = await self._operations.inspect(id_of(instance_id))
        return self._described(state) if state is not None else None

    async def wait(
        self,
        instance_id: str,
        *,
        until: Callable[[Status], bool] = finished,
        timeout: Seconds = None,  # noqa: ASYNC109  a person's limit, in a person's unit
    ) -> WorkflowState:
        """Wait for an instance to end, or for another status.

        Args:
            until: Whether a status is the one; by default whether it is an end.
            timeout: A number is seconds; None: there is no limit.

        Raises:
            TimeoutError: It took longer.
            InstanceNotFound: There is no such instance.
            InvalidRequest: `until` is true for no status.
        """
        instance_id = id_of(instance_id)
        if until is not finished and not any(map(until, Status)):
            raise InvalidRequest("no status of an instance satisfies `until`; the wait would never end")
        if timeout is None:
            return self._described(await self._operations.wait(instance_id, until))
        return self._described(await self._wait(instance_id, until, timeout))

    async def raise_event(
        self, instance_id: str, name: str, data: Any = None, *, idempotency_key: str | None = None
    ) -> None:
        """Send an event to an instance. An instance that does not wait for it keeps it; a finished one drops it.

        Args:
            name: The event's name; upper and lower case are the same.
            data: Any value that JSON can hold; None is no data.
            idempotency_key: Only the first event of an instance with the same key counts. With a key, a new event
                to a finished instance is refused.

        Raises:
            InvalidRequest: The name or the payload is not allowed.
            InstanceNotFound: There is no such instance.
            InstanceStalled: It is stalled.
            EventRefused: It has ended, or holds as many events as it may.
        """
        _expect(str, name, "the name of the event")
        await self._operations.raise_event(id_of(instance_id), name, self._encoder.encode(data), key=idempotency_key)

    async def suspend(self, instance_id: str, *, reason: str | None = None, recurse: bool = False) -> bool:
        """Let an instance take no further step until it is resumed. Arrivals are kept.

        Args:
            reason: Stands in the history and in the audit.
            recurse: Suspend its descendants too.

        Returns:
            False if nothing was changed, because it was suspended already or had ended.

        Raises:
            InstanceNotFound: There is no such instance.
            InstanceStalled: It is stalled.
        """
        return await self._operations.suspend(id_of(instance_id), reason=reason, recurse=recurse)

    async def resume(self, instance_id: str, *, reason: str | None = None, recurse: bool = False) -> bool:
        """Let a suspended instance go on.

        Args:
            reason: Stands in the history and in the audit.
            recurse: Resume its descendants too.

        Returns:
            False if nothing was changed, because it was not suspended.

        Raises:
            InstanceNotFound: There is no such instance.
            InstanceStalled: It is stalled.
        """
        return await self._operations.resume(id_of(instance_id), reason=reason, recurse=recurse)

    async def terminate(
        self, instance_id: str, *, output: Any = None, recurse: bool = True, reason: str | None = None
    ) -> bool:
        """End an instance without running its code, even if it is stalled or set aside.

        An activity that has not begun is not performed; an `async def` one and one in a process are cancelled. One in a
        thread runs to its end, and its result is dropped.

        Args:
            output: The result that the instance then has; any value that JSON can hold.
            recurse: End its children too.
            reason: For the audit.

        Returns:
            False if nothing was changed, because it had ended already.

        Raises:
            InstanceNotFound: There is no such instance.
        """
        content = self._encoder.encode(output)
        return await self._operations.terminate(id_of(instance_id), output=content, recurse=recurse, reason=reason)

    async def purge(
        self, instance_id: str, *, recurse: bool = True, force: bool = False, reason: str | None = None
    ) -> int:
        """Forget an instance that has ended, is stalled or is set aside, and return how many were forgotten.

        Args:
            recurse: Forget its descendants too; all of them must be finished.
            force: Forget it with any status.
            reason: For the audit.

        Raises:
            InstanceNotFound: There is no such instance.
            InstanceUnfinished: It has not ended, and `force` is False.
        """
        return await self._operations.purge(id_of(instance_id), recurse=recurse, force=force, reason=reason)

    async def _wait(
        self,
        instance_id: str,
        until: Callable[[Status], bool],
        timeout: Seconds,  # noqa: ASYNC109
    ) -> InstanceState:
        if timeout is None:
            return await self._operations.wait(instance_id, until)
        if not isinstance(timeout, timedelta):
            _expect((int, float), timeout, "timeout")
            timeout = timedelta(seconds=timeout)
        with anyio.fail_after(timeout.total_seconds()):
            return await self._operations.wait(instance_id, until)

    def _output_decoder(self, workflow: Workflow) -> Decoder:
        """The decoder of a workflow's results; for a name that of the app's workflow, if there is one."""
        if isinstance(workflow, str):
            return self._decoders(workflow)[1]
        if self._app is not None:
            return self._app.output_of(workflow)
        return result_decoder(workflow, getattr(workflow, "__name__", repr(workflow)))

    def _decoders(self, name: str) -> tuple[Decoder, Decoder]:
        """The decoders of the input and of the result of the app's workflow of a name."""
        definition = self._app.workflows.get(name) if self._app is not None else None
        if definition is None:
            return UNTYPED, UNTYPED
        return definition.parameters.input, definition.app.output_of(definition.function)

    def _described(self, state: InstanceState) -> WorkflowState:
        given, result = self._decoders(state.name)
        if state.status is not Status.COMPLETED:
            result = UNTYPED  # the output of an instance that was terminated came from a caller
        # A payload that does not fit its type was written by older code.
        try:
            value = given.decode(state.input)
        except PayloadError:
            value = UNTYPED.decode(state.input)
        try:
            output = result.decode(state.output)
        except PayloadError:
            output = UNTYPED.decode(state.output)
        return WorkflowState(
            instance_id=state.instance_id,
            name=state.name,
            status=state.status,
            created_at=from_us(state.created_us),
            last_updated_at=from_us(state.updated_us),
            input=value,
            output=output,
            custom_status=state.custom_status,
            details=state,
        )


def id_of(instance_id: str) -> str:
    """The id that a caller has given, as a plain str. Callers may be programs that no type checker has seen.

    Raises:
        InvalidRequest: It is of another type.
    """
    if type(instance_id) is str:
        return instance_id
    _expect(str, instance_id, "instance_id")
    return str.__str__(instance_id)


def _if_exists(word: str) -> IfExists:
    """Read a caller's choice. Raises InvalidRequest."""
    try:
        return IfExists(word)
    except ValueError:
        raise InvalidRequest(f"if_exists is {' or '.join(IfExists)}, not {word!r}") from None


def _expect(kind: type[Any] | tuple[type[Any], ...], value: Any, what: str) -> None:
    """Refuse a value of another type.

    Raises:
        InvalidRequest: It is of another type.
    """
    if not isinstance(value, kind):
        kinds = " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))
        raise InvalidRequest(f"{what} must be {kinds}, not {type(value).__name__}")
