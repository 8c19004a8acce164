"""A call: an activity or a child that workflow code has requested, over all its tries.

The rule: it holds the facts for its next try, and refers to no event.

`runtime/execution/drive.py` makes it, and `runtime/execution/pending.py` keeps it until it has an answer. It has a
module of its own because a compiled build does not compile Structs, which msgspec makes in C.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ..authoring.codec import Decoder
from ..authoring.retry import RetryPolicy
from ..authoring.task import Task
from ..history.failure import ACTIVITY_CALL, CHILD_CALL, FailedCall


class Call(Struct, eq=False):
    """An activity or a child that was requested, over all its tries."""

    task: Task[Any]
    what: str  # for messages: "Activity" or "Child workflow"
    name: str  # of the activity or the workflow
    decoder: Decoder
    payload: str | None  # its input, JSON text
    ask: Callable[["Call"], None]  # emits the command of a try
    policy: RetryPolicy | None
    started_us: int  # Unix time, microseconds
    chosen_id: str | None = None  # of a child: the instance ID that the code has given
    attempt: int = 0
    first_id: int = 0  # the event id of the first try
    reference: str = ""  # names the call in the timers between its tries
    child_id: str = ""  # of a child: the instance of the last try
    target_app: str | None = None  # the id of the app that has it; None: that of the workflow

    @property
    def is_activity(self) -> bool:
        """Whether it is a call of an activity, not of a child."""
        return self.what == "Activity"

    def failed(self, task_id: int) -> FailedCall:
        """The last try, as the call that has failed."""
        if self.is_activity:
            return FailedCall(kind=ACTIVITY_CALL, name=self.name, id=task_id, attempt=self.attempt)
        return FailedCall(kind=CHILD_CALL, name=self.name, id=self.child_id, attempt=self.attempt)
