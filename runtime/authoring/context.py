"""The contexts that workflow and activity code is given to work with.

The rule: all that a workflow sees through its context is the same at every
replay. Names and meanings are those of Dapr's Python SDK (contract 6).

The execution makes the context of a workflow, and the activity actors that of an
activity.
"""

import logging
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, MutableMapping
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import Any, Protocol, TypeVar, overload
from uuid import UUID, uuid5

from msgspec import Struct

from ..dates import from_us
from .misuse import no_member, one_list
from .retry import RetryPolicy
from .task import Task, when_all, when_any

R = TypeVar("R")

WORKFLOW_LOGGERS, ACTIVITY_LOGGERS = (
    "perdure.workflow.",
    "perdure.activity.",
)  # and the name of the workflow or activity

_NAMESPACE = UUID("6b6f2f2e-5d1f-5d53-9c0e-0c1f4d0f7e11")  # of the ids that workflows make; must not change


class Orders(Protocol):
    """The execution as its context sees it: it describes the instance and takes the requests of the code.

    `Execution` in `runtime/execution/drive.py` fulfils it. Each verb is described at the method of `WorkflowContext`
    that calls it.
    """

    @property
    def instance_id(self) -> str:
        """The id of the instance."""
        ...

    @property
    def execution_id(self) -> str:
        """The id of this generation of the instance."""
        ...

    @property
    def parent_id(self) -> str | None:
        """The id of the parent, if there is one."""
        ...

    @property
    def workflow_name(self) -> str:
        """The name under which the workflow is registered."""
        ...

    @property
    def now_us(self) -> int:
        """When the current turn began; Unix time, microseconds."""
        ...

    @property
    def replaying(self) -> bool:
        """Whether the code repeats a turn that is in the history."""
        ...

    def expect_stepping(self) -> None:
        """Check that the workflow's own code runs right now.

        Raises:
            WorkflowMisuse: It does not.
        """
        ...

    def call_activity(
        self, activity: Callable[..., Any] | str, value: Any, policy: RetryPolicy | None, app_id: str | None
    ) -> Task[Any]:
        """Request an activity; see `WorkflowContext.call_activity`."""
        ...

    def call_child_workflow(
        self,
        workflow: Callable[..., Any] | str,
        value: Any,
        instance_id: str | None,
        policy: RetryPolicy | None,
        app_id: str | None,
    ) -> Task[Any]:
        """Request a child; see `WorkflowContext.call_child_workflow`."""
        ...

    def create_timer(self, fire_at: datetime | timedelta | float) -> Task[None]:
        """Request a timer; see `WorkflowContext.create_timer`."""
        ...

    def wait_for_external_event(self, name: str, timeout: datetime | timedelta | float | None) -> Task[Any]:
        """Wait for an event; see `WorkflowContext.wait_for_external_event`."""
        ...

    def continue_as_new(self, value: Any, *, save_events: bool) -> None:
        """Go on as a new generation; see `WorkflowContext.continue_as_new`."""
        ...

    def set_custom_status(self, status: Any) -> None:
        """Set the custom status; see `WorkflowContext.set_custom_status`."""
        ...

    def is_patched(self, name: str) -> bool:
        """Say whether a patch applies; see `WorkflowContext.is_patched`."""
        ...


class WorkflowContext:
    """A workflow's only view of the world.

    Args:
        orders: The execution that runs the workflow; its commands go there.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._random: Random | None = None
        self._uuids = 0

    @cached_property
    def logger(self) -> "_ReplayLogger":
        """A logger that is silent in replay, and whose records have the fields instance_id and workflow."""
        return _ReplayLogger(self._orders)

    @property
    def instance_id(self) -> str:
        """The id of the instance."""
        return self._orders.instance_id

    @property
    def execution_id(self) -> str:
        """The id of this generation; continue_as_new begins another."""
        return self._orders.execution_id

    @property
    def workflow_name(self) -> str:
        """The name under which the workflow is registered."""
        return self._orders.workflow_name

    @property
    def parent_instance_id(self) -> str | None:
        """The instance that this one is a child of."""
        return self._orders.parent_id

    @property
    def current_utc_datetime(self) -> datetime:
        """When the current turn began, with UTC as time zone; it stands still between awaits."""
        return from_us(self._orders.now_us)

    @property
    def is_replaying(self) -> bool:
        """Whether the code repeats a turn that is in the history."""
        return self._orders.replaying

    def now(self) -> datetime:
        """The same as current_utc_datetime."""
        return self.current_utc_datetime

    def uuid4(self) -> UUID:
        """A new id: unlike any other, and the same at every replay."""
        self._orders.expect_stepping()
        self._uuids += 1
        return uuid5(_NAMESPACE, f"{self._orders.execution_id}/{self._uuids}")

    def new_guid(self) -> UUID:
        """The same as uuid4."""
        return self.uuid4()

    def random(self) -> Random:
        """This execution's source of random numbers: the same numbers at every replay."""
        self._orders.expect_stepping()
        if self._random is None:
            self._random = Random(self._orders.execution_id)  # noqa: S311  not for secrets; it must be repeatable
        return self._random

    def set_custom_status(self, custom_status: Any) -> None:
        """Set a status of your own, which callers see beside the instance's.

        Args:
            custom_status: Text is shown as it is, any other value as JSON.

        Raises:
            LimitExceeded: It is larger than the limit (docs/limits.md).
        """
        self._orders.set_custom_status(custom_status)

    @overload
    def call_activity(
        self,
        activity: Callable[..., Coroutine[Any, Any, R]],
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        app_id: str | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity(
        self,
        activity: Callable[..., R],
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        app_id: str | None = None,
    ) -> Task[R]: ...
    @overload
    def call_activity(
        self,
        activity: str,
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        app_id: str | None = None,
    ) -> Task[Any]: ...
    def call_activity(
        self,
        activity: Callable[..., Any] | str,
        *,
        input: Any = None,  # noqa: A002  Dapr's word
        retry_policy: RetryPolicy | None = None,
        app_id: str | None = None,
    ) -> Task[Any]:
        """Have an activity performed, at least once; its result is recorded once.

        The task fails with TaskFailedError when the activity does.

        Args:
            activity: The function, or the name by which it is registered.
            input: Any value that JSON can hold; None is no input.
            retry_policy: When it is tried again; None: never.
            app_id: The app that performs it; None is this app. While no host has that app, the task waits.

        Raises:
            PayloadError: The input is not JSON.
            LimitExceeded: The input, the name or the number of calls is beyond its limit (docs/limits.md).
        """
        return self._orders.call_activity(activity, input, retry_policy, app_id)

    @overload
    def call_child_workflow(
        self,
        workflow: Callable[..., Coroutine[Any, Any, R]],
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        app_id: str | None = None,
    ) -> Task[R]: ...
    @overload
    def call_child_workflow(
        self,
        workflow: Callable[..., Generator[Any, Any, R]],
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        app_id: str | None = None,
    ) -> Task[R]: ...
    @overload
    def call_child_workflow(
        self,
        workflow: Callable[..., Any] | str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        app_id: str | None = None,
    ) -> Task[Any]: ...
    def call_child_workflow(
        self,
        workflow: Callable[..., Any] | str,
        *,
        input: Any = None,  # noqa: A002
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        app_id: str | None = None,
    ) -> Task[Any]:
        """Start another workflow and wait for its result.

        The task fails with TaskFailedError when the child does, or its id belongs to another instance.

        Args:
            workflow: The function, or the name by which it is registered.
            input: Any value that JSON can hold; None is no input.
            instance_id: By default `<this instance>:<n>`, with n as four hex digits; after a continue_as_new
                `<this instance>:<generation>:<n>`, with the first eight digits of its execution_id.
            retry_policy: When another child is started in its place; None: never.
            app_id: The app of the child; None is this app. While no host has that app, the task waits.

        Raises:
            PayloadError, LimitExceeded: As for `call_activity`.
        """
        return self._orders.call_child_workflow(workflow, input, instance_id, retry_policy, app_id)

    def create_timer(self, fire_at: datetime | timedelta | float) -> Task[None]:
        """Sleep until a date (UTC if it names no time zone), or for an interval; months are fine.

        Args:
            fire_at: A number is an interval in seconds.
        """
        return self._orders.create_timer(fire_at)

    def wait_for_external_event(self, name: str, *, timeout: datetime | timedelta | float | None = None) -> Task[Any]:
        """Wait for an event of a name; upper and lower case are the same.

        An event that came before counts, the oldest first. The task fails with TimeoutError when the timeout comes
        first.

        Args:
            name: The event's name.
            timeout: A date (UTC if it names no time zone), an interval, or seconds; None: no timeout.
        """
        return self._orders.wait_for_external_event(name, timeout)

    def continue_as_new(self, new_input: Any, *, save_events: bool = False) -> None:
        """Begin again with a new input and an empty history, once the workflow's function returns.

        Args:
            new_input: Any value that JSON can hold; None is no input.
            save_events: Keep the events that the code has not waited for.
        """
        self._orders.continue_as_new(new_input, save_events=save_events)

    def is_patched(self, patch_name: str) -> bool:
        """Whether this instance takes the new path of a change to its code.

        True for an instance that comes here for the first time; False for one
        that has been past this point with the old code.

        Args:
            patch_name: A name for the change, which stays the same for good.
        """
        return self._orders.is_patched(patch_name)

    def when_all(self, tasks: Iterable[Task[R]], *more: Task[R]) -> Task[list[R]]:
        """Wait for all tasks: their results in their order, or the first failure as soon as it happens.

        Args:
            tasks: The tasks, in one list; the list may be empty.
        """
        if more:
            raise one_list("when_all")
        return when_all(tasks)

    def when_any(self, tasks: Iterable[Task[Any]], *more: Task[Any]) -> Task[Task[Any]]:
        """Wait for the first task to complete or fail; the result is that task.

        Args:
            tasks: The tasks, in one list; one at least.
        """
        if more:
            raise one_list("when_any")
        return when_any(tasks)

    def __getattr__(self, name: str) -> Any:
        """Name the attribute that was probably meant, or say that an activity has been called as a function."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise no_member(name, dir(type(self)), activitys=name in ActivityContext.__struct_fields__)


class ActivityContext(Struct, frozen=True):
    """The call that an activity performs."""

    workflow_id: str  # the instance that requested it
    task_id: int  # the event id of the request in that instance's history
    task_execution_id: str  # the same at each try of the call: an idempotency key
    activity_name: str  # under which it is registered
    workflow_name: str = ""  # of the instance that requested it
    attempt: int | None = 1  # the number of this try, from 1 on; None: a remote worker's workflow requested it
    traceparent: str | None = None  # W3C's trace context of this try, for services that it calls; None: no trace
    tracestate: str | None = None  # the same

    @property
    def logger(self) -> "_FieldsLogger":
        """A logger whose records identify the call: instance_id, workflow, activity, attempt, task_execution_id."""
        return _FieldsLogger(
            logging.getLogger(ACTIVITY_LOGGERS + self.activity_name), self.log_fields, said=self.workflow_id
        )

    @property
    def log_fields(self) -> dict[str, object]:
        """The call as fields of a log record."""
        fields: dict[str, object] = {
            "instance_id": self.workflow_id,
            "workflow": self.workflow_name or None,
            "activity": self.activity_name,
            "attempt": self.attempt,
            "task_execution_id": self.task_execution_id,
        }
        return {name: value for name, value in fields.items() if value is not None}


class _FieldsLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger with fields on each record, beside the caller's of `extra=`.

    Args:
        said: Text in front of each message, for logs that show no fields.
    """

    def __init__(self, logger: logging.Logger, fields: Mapping[str, object], *, said: str) -> None:
        super().__init__(logger, fields)
        self._fields = fields
        self._said = said

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**self._fields, **(kwargs.get("extra") or {})}
        return f"[{self._said}] {msg}", kwargs


class _ReplayLogger(_FieldsLogger):
    """A logger that writes each message once, however often the workflow is replayed."""

    def __init__(self, orders: Orders) -> None:
        fields = {"instance_id": orders.instance_id, "workflow": orders.workflow_name}
        super().__init__(logging.getLogger(WORKFLOW_LOGGERS + orders.workflow_name), fields, said=orders.instance_id)
        self._orders = orders

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  the library's name
        return not self._orders.replaying and super().isEnabledFor(level)
