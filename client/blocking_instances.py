"""The blocking twin of `Client`, and of its handles.

The rule: each method is the one of `Client`, and waits.

Made by tests/support/blocking_twin.py of runtime/operations/client.py. Changes are made there.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, Self, TypeVar, Unpack, overload

from ..runtime.history.status import Status
from ..runtime.operations.client import AsyncCode, GeneratorCode, IfTaken, RunOptions, StartOptions
from ..runtime.operations.facade import finished
from ..runtime.operations.handle import Seconds, Workflow, WorkflowState
from .blocking_calls import BlockingCalls
from .blocking_state import BlockingState

R = TypeVar("R")


class BlockingHandle(str, Generic[R]):
    """An instance of a workflow whose result is an `R`."""

    __slots__ = ("_client", "_workflow")

    _client: "BlockingInstances"
    _workflow: Workflow | None

    def __new__(cls, instance_id: str, client: "BlockingInstances", workflow: Workflow | None = None) -> Self:
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

    def result(self, *, timeout: Seconds = None) -> R:
        """Wait for the end, and return the result in the annotated type.

        Args:
            timeout: A number is seconds; None: there is no limit.

        Raises:
            WorkflowFailed: It ended, but not COMPLETED.
            PayloadError: The result does not fit the annotation.
            TimeoutError, InstanceNotFound: As for `Client.wait`.
        """
        result: R = self._client.result(self, workflow=self._workflow, timeout=timeout)
        return result

    def wait(
        self,
        *,
        until: Callable[[Status], bool] = finished,
        timeout: Seconds = None,
    ) -> WorkflowState:
        """Wait for the end, or for another status; as `Client.wait`."""
        return self._client.wait(self, until=until, timeout=timeout)

    def state(self) -> WorkflowState | None:
        """Describe the instance as last committed; None if there is none."""
        return self._client.get(self)

    def raise_event(self, name: str, data: Any = None, *, idempotency_key: str | None = None) -> None:
        """Send an event; as `Client.raise_event`."""
        self._client.raise_event(self, name, data, idempotency_key=idempotency_key)

    def suspend(self, *, reason: str | None = None, recurse: bool = False) -> bool:
        """Let it take no further step until it is resumed; as `Client.suspend`."""
        return self._client.suspend(self, reason=reason, recurse=recurse)

    def resume(self, *, reason: str | None = None, recurse: bool = False) -> bool:
        """Let it go on; as `Client.resume`."""
        return self._client.resume(self, reason=reason, recurse=recurse)

    def terminate(self, *, output: Any = None, recurse: bool = True, reason: str | None = None) -> bool:
        """End it without running its code; as `Client.terminate`."""
        return self._client.terminate(self, output=output, recurse=recurse, reason=reason)

    def purge(self, *, recurse: bool = True, force: bool = False, reason: str | None = None) -> int:
        """Forget it, and return how many instances were forgotten; as `Client.purge`."""
        return self._client.purge(self, recurse=recurse, force=force, reason=reason)

    def __repr__(self) -> str:
        return f"BlockingHandle({str.__repr__(self)})"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.id,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class BlockingInstances(BlockingCalls):
    """The methods of `Client`, each of which waits."""

    def state(self, store: str) -> BlockingState:
        """The values of a state store, which the app's SDKs in other languages reach with Dapr's state API.

        Args:
            store: The name of the store, such as `statestore`.

        Raises:
            StateStoreNotFound: There is no such store. Of a daemon the first call says so.
        """
        return BlockingState(self, store)

    @overload
    def start(self, workflow: AsyncCode[R], **options: Unpack[StartOptions]) -> BlockingHandle[R]: ...

    @overload
    def start(self, workflow: GeneratorCode[R], **options: Unpack[StartOptions]) -> BlockingHandle[R]: ...

    @overload
    def start(self, workflow: Callable[..., R], **options: Unpack[StartOptions]) -> BlockingHandle[R]: ...

    @overload
    def start(self, workflow: str, **options: Unpack[StartOptions]) -> BlockingHandle[Any]: ...

    def start(
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
    ) -> BlockingHandle[Any]:
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
        handle = self._call(
            lambda client: client.start(
                workflow,
                input=input,
                instance_id=instance_id,
                start_at=start_at,
                tags=tags,
                if_exists=if_exists,
                force=force,
                idempotency_key=idempotency_key,
            )
        )
        return BlockingHandle(handle, self, handle.workflow)

    @overload
    def run(self, workflow: AsyncCode[R], **options: Unpack[RunOptions]) -> R: ...

    @overload
    def run(self, workflow: GeneratorCode[R], **options: Unpack[RunOptions]) -> R: ...

    @overload
    def run(self, workflow: Callable[..., R], **options: Unpack[RunOptions]) -> R: ...

    @overload
    def run(self, workflow: str, **options: Unpack[RunOptions]) -> Any: ...

    def run(
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
        return self._call(
            lambda client: client.run(
                workflow, input=input, instance_id=instance_id, if_exists=if_exists, idempotency_key=idempotency_key
            )
        )

    @overload
    def handle(self, instance_id: str, workflow: AsyncCode[R]) -> BlockingHandle[R]: ...

    @overload
    def handle(self, instance_id: str, workflow: GeneratorCode[R]) -> BlockingHandle[R]: ...

    @overload
    def handle(self, instance_id: str, workflow: Callable[..., R]) -> BlockingHandle[R]: ...

    @overload
    def handle(self, instance_id: str, workflow: str | None = None) -> BlockingHandle[Any]: ...

    def handle(self, instance_id: str, workflow: Workflow | None = None) -> BlockingHandle[Any]:
        """Make the handle of an instance by its id, without checking that it exists.

        Args:
            instance_id: The id, or a handle.
            workflow: Has the type of the result.
        """
        client = self._unopened
        handle = client.handle(instance_id, workflow)
        return BlockingHandle(handle, self, handle.workflow)

    def result(
        self,
        instance_id: str,
        *,
        workflow: Workflow | None = None,
        timeout: Seconds = None,
    ) -> Any:
        """Wait for the end of an instance, and return its result.

        Args:
            workflow: Has the type of the result; by default the workflow of the instance's name in the app.
            timeout: A number is seconds; None: there is no limit.

        Raises:
            WorkflowFailed, PayloadError: As for `run`.
            TimeoutError, InstanceNotFound: As for `wait`.
        """
        return self._call(lambda client: client.result(instance_id, workflow=workflow, timeout=timeout))

    def get(self, instance_id: str) -> WorkflowState | None:
        """Describe an instance as last committed.

        Args:
            instance_id: The id, or a handle.

        Returns:
            The state with its payloads decoded; None if there is no such instance.
        """
        return self._call(lambda client: client.get(instance_id))

    def wait(
        self,
        instance_id: str,
        *,
        until: Callable[[Status], bool] = finished,
        timeout: Seconds = None,
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
        return self._call(lambda client: client.wait(instance_id, until=until, timeout=timeout))

    def raise_event(self, instance_id: str, name: str, data: Any = None, *, idempotency_key: str | None = None) -> None:
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
        self._call(lambda client: client.raise_event(instance_id, name, data, idempotency_key=idempotency_key))

    def suspend(self, instance_id: str, *, reason: str | None = None, recurse: bool = False) -> bool:
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
        return self._call(lambda client: client.suspend(instance_id, reason=reason, recurse=recurse))

    def resume(self, instance_id: str, *, reason: str | None = None, recurse: bool = False) -> bool:
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
        return self._call(lambda client: client.resume(instance_id, reason=reason, recurse=recurse))

    def terminate(
        self, instance_id: str, *, output: Any = None, recurse: bool = True, reason: str | None = None
    ) -> bool:
        """End an instance without running its code, even if it is stalled or set aside.

        An activity that has not begun is not performed; an `def` one and one in a process are cancelled. One in a
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
        return self._call(lambda client: client.terminate(instance_id, output=output, recurse=recurse, reason=reason))

    def purge(self, instance_id: str, *, recurse: bool = True, force: bool = False, reason: str | None = None) -> int:
        """Forget an instance that has ended, is stalled or is set aside, and return how many were forgotten.

        Args:
            recurse: Forget its descendants too; all of them must be finished.
            force: Forget it with any status.
            reason: For the audit.

        Raises:
            InstanceNotFound: There is no such instance.
            InstanceUnfinished: It has not ended, and `force` is False.
        """
        return self._call(lambda client: client.purge(instance_id, recurse=recurse, force=force, reason=reason))
