"""The client of a daemon for programs without an event loop.

The rule: it has the methods of `RemoteClient`, each of which waits, and nothing of its own. The event loop runs in a
thread, which the first call starts and the end of the program ends. A process that was forked starts its own.

`perdure.connect_sync` makes one.
"""

import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, Unpack, overload

import anyio
from anyio.from_thread import BlockingPortal
from msgspec import UNSET

from ..api.management.actions import ActionDone
from ..api.management.history import HistoryList
from ..api.management.instances import CountResult, InstanceDetails, InstanceList, InstanceSummary, InstanceTree
from ..runtime.authoring.app import App
from ..runtime.history.status import Status
from ..runtime.operations.client import IfTaken
from ..runtime.operations.facade import finished
from ..runtime.operations.handle import Seconds, Workflow, WorkflowState
from .blocking_steering import BlockingSteering
from .filters import Filter
from .remote_client import Order, Payloads, RemoteClient, StatusChange
from .server import Server

R = TypeVar("R")
T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own, with a client that is open in it."""

    def __init__(self, make: Callable[[], RemoteClient]) -> None:
        self.process = os.getpid()
        self._make = make
        self._ready = threading.Event()
        self._portal: BlockingPortal | None = None
        self._error: BaseException | None = None
        self.client = make()
        # A daemon thread: a program that forgets to close the client must be able to end.
        self._thread = threading.Thread(target=anyio.run, args=(self._run,), name="perdure client", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        try:
            async with BlockingPortal() as portal, self.client:
                self._portal = portal
                self._ready.set()
                await portal.sleep_until_stopped()
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._ready.set()

    def call(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Await a function in the loop."""
        assert self._portal is not None
        future = self._portal.start_task_soon(function, *arguments)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # of a caller that was interrupted; else it is over already
            raise

    def stop(self) -> None:
        """End the loop, once all that is under way there has ended."""
        assert self._portal is not None
        self._portal.call(self._portal.stop)
        self._thread.join()


class LoopOnDemand:
    """The event loop of a client that several threads share: there when it is needed, and once."""

    def __init__(self, make: Callable[[], RemoteClient]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._loop: LoopThread | None = None

    def running(self) -> LoopThread:
        """The loop; it is started if there is none in this process."""
        with self._lock:
            # A forked process has the object and not the thread.
            if self._loop is None or self._loop.process != os.getpid():
                self._loop = LoopThread(self._make)
            return self._loop

    def close(self) -> None:
        """End the loop, if there is one."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and loop.process == os.getpid():
            loop.stop()


class BlockingHandle(str, Generic[R]):
    """An instance of a workflow whose result is an `R`; a str, its id, as `perdure.Handle` is."""

    __slots__ = ("_client", "_workflow")

    _client: "BlockingClient"
    _workflow: Workflow | None

    def __new__(cls, instance_id: str, client: "BlockingClient", workflow: Workflow | None = None) -> Self:
        self = str.__new__(cls, instance_id)
        self._client = client
        self._workflow = workflow
        return self

    @property
    def id(self) -> str:
        """The id as a plain `str`."""
        return str.__str__(self)

    def result(self, *, timeout: Seconds = None) -> R:
        """Wait for the end, and return the result as the workflow's annotation has it."""
        result: R = self._client.result(self, workflow=self._workflow, timeout=timeout)
        return result

    def wait(self, *, until: Callable[[Status], bool] = finished, timeout: Seconds = None) -> WorkflowState:
        """Wait for the end, or for another status."""
        return self._client.wait(self, until=until, timeout=timeout)

    def state(self) -> WorkflowState | None:
        """Describe the instance as last committed; None if there is none."""
        return self._client.get(self)

    def raise_event(self, name: str, data: Any = None, *, idempotency_key: str | None = None) -> None:
        """Send an event."""
        self._client.raise_event(self, name, data, idempotency_key=idempotency_key)

    def suspend(self, *, reason: str | None = None, recurse: bool = False) -> None:
        """Let it take no further step until it is resumed."""
        self._client.suspend(self, reason=reason, recurse=recurse)

    def resume(self, *, reason: str | None = None, recurse: bool = False) -> None:
        """Let it go on."""
        self._client.resume(self, reason=reason, recurse=recurse)

    def terminate(self, *, output: Any = None, recurse: bool = True, reason: str | None = None) -> None:
        """End it without asking its code."""
        self._client.terminate(self, output=output, recurse=recurse, reason=reason)

    def purge(self, *, recurse: bool = True, force: bool = False, reason: str | None = None) -> int:
        """Forget it, and say how many instances were forgotten."""
        return self._client.purge(self, recurse=recurse, force=force, reason=reason)

    def __repr__(self) -> str:
        return f"BlockingHandle({str.__repr__(self)})"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.id,)


class BlockingClient(BlockingSteering):
    """Starts, sees and steers the instances of a daemon; each method waits. Threads may share it.

    Args:
        url: The daemon's address.
        token: One of its API tokens.
        app: Tells the types of workflows that are given by name.
    """

    def __init__(self, url: str, *, token: str | None = None, app: App | None = None) -> None:
        self.url = url
        self._loops = LoopOnDemand(lambda: RemoteClient(Server(url, token), app))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the client's thread. A later call starts another."""
        self._loops.close()

    # Starting.

    @overload
    def start(
        self,
        workflow: Callable[..., Coroutine[Any, Any, R]],
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        if_exists: IfTaken | None = None,
        force: bool = False,
        idempotency_key: str | None = None,
    ) -> BlockingHandle[R]: ...
    @overload
    def start(
        self,
        workflow: Callable[..., Generator[Any, Any, R]],
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        if_exists: IfTaken | None = None,
        force: bool = False,
        idempotency_key: str | None = None,
    ) -> BlockingHandle[R]: ...
    @overload
    def start(
        self,
        workflow: Callable[..., R],
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        if_exists: IfTaken | None = None,
        force: bool = False,
        idempotency_key: str | None = None,
    ) -> BlockingHandle[R]: ...
    @overload
    def start(
        self,
        workflow: str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        if_exists: IfTaken | None = None,
        force: bool = False,
        idempotency_key: str | None = None,
    ) -> BlockingHandle[Any]: ...
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
        """Start an instance; as `Client.start`."""
        started = self._call(
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
        return BlockingHandle(started, self, workflow)

    @overload
    def run(
        self, workflow: Callable[..., Coroutine[Any, Any, R]], *, input: Any = None, instance_id: str | None = None
    ) -> R: ...
    @overload
    def run(
        self, workflow: Callable[..., Generator[Any, Any, R]], *, input: Any = None, instance_id: str | None = None
    ) -> R: ...
    @overload
    def run(self, workflow: Callable[..., R], *, input: Any = None, instance_id: str | None = None) -> R: ...
    @overload
    def run(self, workflow: str, *, input: Any = None, instance_id: str | None = None) -> Any: ...
    def run(
        self,
        workflow: Workflow,
        *,
        input: Any = None,  # noqa: A002
        instance_id: str | None = None,
    ) -> Any:
        """Start an instance, wait for its end, and return its result; as `Client.run`."""
        return self.start(workflow, input=input, instance_id=instance_id).result()

    @overload
    def handle(self, instance_id: str, workflow: Callable[..., Coroutine[Any, Any, R]]) -> BlockingHandle[R]: ...
    @overload
    def handle(self, instance_id: str, workflow: Callable[..., Generator[Any, Any, R]]) -> BlockingHandle[R]: ...
    @overload
    def handle(self, instance_id: str, workflow: Callable[..., R]) -> BlockingHandle[R]: ...
    @overload
    def handle(self, instance_id: str, workflow: str | None = None) -> BlockingHandle[Any]: ...
    def handle(self, instance_id: str, workflow: Workflow | None = None) -> BlockingHandle[Any]:
        """Make the handle of an instance by its id; as `Client.handle`."""
        return BlockingHandle(instance_id, self, workflow)

    # Seeing.

    def result(self, instance_id: str, *, workflow: Workflow | None = None, timeout: Seconds = None) -> Any:
        """Wait for the end of an instance, and return its result; as `Client.result`."""
        return self._call(lambda client: client.result(instance_id, workflow=workflow, timeout=timeout))

    def get(self, instance_id: str) -> WorkflowState | None:
        """Describe an instance as last committed; as `Client.get`."""
        return self._call(lambda client: client.get(instance_id))

    def wait(
        self, instance_id: str, *, until: Callable[[Status], bool] = finished, timeout: Seconds = None
    ) -> WorkflowState:
        """Wait for an instance to end, or for another status; as `Client.wait`."""
        return self._call(lambda client: client.wait(instance_id, until=until, timeout=timeout))

    def list(
        self,
        *,
        order: Order = "-created",
        limit: int = 100,
        cursor: str | None = None,
        extras: Iterable[str] = (),
        **filter: Unpack[Filter],  # noqa: A002
    ) -> InstanceList:
        """Read a page of the list of instances; as `RemoteClient.list`."""
        return self._call(lambda client: client.list(order=order, limit=limit, cursor=cursor, extras=extras, **filter))

    def instances(
        self,
        *,
        order: Order = "-created",
        limit: int | None = None,
        extras: Iterable[str] = (),
        **filter: Unpack[Filter],  # noqa: A002
    ) -> Iterator[InstanceSummary]:
        """Read the list of instances, page by page, to its end; as `RemoteClient.instances`."""
        return self._each(lambda client: client.instances(order=order, limit=limit, extras=extras, **filter))

    def count(self, *, by: Iterable[str] = (), **filter: Unpack[Filter]) -> CountResult:  # noqa: A002
        """Count instances; as `RemoteClient.count`."""
        return self._call(lambda client: client.count(by=by, **filter))

    def describe(self, instance_id: str) -> InstanceDetails | None:
        """Describe an instance without its payloads; as `RemoteClient.describe`."""
        return self._call(lambda client: client.describe(instance_id))

    def wait_for(
        self, instance_id: str, *, until: Iterable[str] = (), timeout: timedelta | float | None = None
    ) -> InstanceDetails | None:
        """Wait for the end of an instance, or for one of some statuses; as `RemoteClient.wait_for`."""
        return self._call(lambda client: client.wait_for(instance_id, until=until, timeout=timeout))

    def history(
        self,
        instance_id: str,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        payloads: Payloads = "head",
    ) -> HistoryList:
        """Read a page of a history; as `RemoteClient.history`."""
        return self._call(
            lambda client: client.history(
                instance_id, after=after, limit=limit, newest_first=newest_first, payloads=payloads
            )
        )

    def payload(self, instance_id: str, key: str, kind: Literal["input", "result", "failure"]) -> str | None:
        """Read one payload of a history; as `RemoteClient.payload`."""
        return self._call(lambda client: client.payload(instance_id, key, kind))

    def tree(self, instance_id: str, *, depth: int = 3) -> InstanceTree:
        """Show an instance with its descendants."""
        return self._call(lambda client: client.tree(instance_id, depth=depth))

    def events(
        self,
        *,
        last_event_id: str | None = None,
        **filter: Unpack[Filter],  # noqa: A002
    ) -> Iterator[StatusChange]:
        """Follow the changes of status; as `RemoteClient.events`."""

        async def followed(client: RemoteClient) -> AsyncGenerator[StatusChange, None]:
            async with client.events(last_event_id=last_event_id, **filter) as events:
                async for event in events:
                    yield event

        return self._each(followed)

    # Steering.

    def raise_event(self, instance_id: str, name: str, data: Any = None, *, idempotency_key: str | None = None) -> None:
        """Send an event to an instance; as `Client.raise_event`."""
        self._call(lambda client: client.raise_event(instance_id, name, data, idempotency_key=idempotency_key))

    def suspend(self, instance_id: str, *, reason: str | None = None, recurse: bool = False) -> None:
        """Let an instance take no further step until it is resumed; as `Client.suspend`."""
        self._call(lambda client: client.suspend(instance_id, reason=reason, recurse=recurse))

    def resume(self, instance_id: str, *, reason: str | None = None, recurse: bool = False) -> None:
        """Let a suspended instance go on; as `Client.resume`."""
        self._call(lambda client: client.resume(instance_id, reason=reason, recurse=recurse))

    def terminate(
        self, instance_id: str, *, output: Any = None, recurse: bool = True, reason: str | None = None
    ) -> None:
        """End an instance without asking its code; as `Client.terminate`."""
        self._call(lambda client: client.terminate(instance_id, output=output, recurse=recurse, reason=reason))

    def purge(self, instance_id: str, *, recurse: bool = True, force: bool = False, reason: str | None = None) -> int:
        """Forget an instance; as `Client.purge`."""
        return self._call(lambda client: client.purge(instance_id, recurse=recurse, force=force, reason=reason))

    def act(
        self,
        action: Literal["suspend", "resume", "terminate", "purge"],
        instance_id: str,
        *,
        reason: str | None = None,
        recurse: bool | None = None,
        force: bool = False,
        output: Any = None,
        expected_run: str | None = None,
    ) -> ActionDone:
        """Suspend, resume, terminate or purge an instance; as `RemoteClient.act`."""
        return self._call(
            lambda client: client.act(
                action,
                instance_id,
                reason=reason,
                recurse=recurse,
                force=force,
                output=output,
                expected_run=expected_run,
            )
        )

    def rerun(
        self,
        instance_id: str,
        *,
        from_event: int | None = None,
        new_id: str | None = None,
        input: Any = UNSET,  # noqa: A002
        reason: str | None = None,
    ) -> BlockingHandle[Any]:
        """Run an instance again, as a new one; as `RemoteClient.rerun`."""
        handle = self._call(
            lambda client: client.rerun(instance_id, from_event=from_event, new_id=new_id, input=input, reason=reason)
        )
        return self.handle(handle.id)

    def call(self, function: Callable[[RemoteClient], Awaitable[T]]) -> T:
        """Do whatever else a client can: `client.call(lambda client: client.payloads("order-17"))`."""
        return self._call(function)

    # How.

    def _call(self, function: Callable[[RemoteClient], Awaitable[T]]) -> T:
        loop = self._loops.running()
        return loop.call(partial(function, loop.client))

    def _each(self, function: Callable[[RemoteClient], AsyncGenerator[T, None]]) -> Iterator[T]:
        loop = self._loops.running()
        items = function(loop.client)
        try:
            while (item := loop.call(anext, items, None)) is not None:
                yield item
        finally:
            loop.call(items.aclose)
