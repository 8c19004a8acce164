"""E5 and E17 of calls: the activities that instances of another app request.

An activity that crosses begins after the commit of the call that requests it, and at rest no call is left.
"""

from collections.abc import Callable, Sequence

from perdure import ActivityContext
from perdure.actors.store.contract import Store, Write
from perdure.runtime.activities.calls import READ
from perdure.runtime.directory import CALL

from ..checks.broken import Broken


class CallsSeen:
    """The calls of a world.

    Args:
        call_types: Gives the types of the calls of all apps.
        tell: Takes violations of invariants.

    Attributes:
        number: The number of calls.
    """

    def __init__(self, call_types: Callable[[], Sequence[str]], tell: Callable[[Broken], None]) -> None:
        self._types = call_types
        self._tell = tell
        self._asked: set[tuple[str, int]] = set()  # the key of the activity, and the event id of the try

    @property
    def number(self) -> int:
        return len(self._asked)

    def committed(self, writes: Sequence[Write]) -> None:
        """Take note of a commit."""
        for write in writes:
            if write.address.type.startswith(CALL) and write.record is not None:
                invoke = READ(write.record).invoke
                self._asked.add((invoke.task_execution_id, invoke.task_id))

    def performing(self, ctx: ActivityContext) -> None:
        """Check an activity that another app has requested, and that begins."""
        if (ctx.task_execution_id, ctx.task_id) not in self._asked:
            self._tell(Broken("E5", f"{ctx.activity_name} of {ctx.workflow_id} begins before its call is on the disk"))

    async def check_none(self, store: Store) -> None:
        """E17, at rest.

        Raises:
            Broken
        """
        for each in self._types():
            if left := await store.ids(each, after=None, limit=100):
                raise Broken("E17", f"at rest {len(left)} calls are left of {each}: {left[0]}")
