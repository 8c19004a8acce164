"""The rules that must hold in the world of any app, without a check of its own.

    no instance stalls, nor is set aside      at each commit
    work under way ends or falls asleep       at the end, after the last fault
    the code stands where its history ends    at the end
    no error reaches the event loop           at the end
    no error is lost                          at the end

The rule: the rules read the disk, and change nothing.
"""

from collections.abc import Sequence
from datetime import timedelta

from ...actors.store.contract import Write
from ...runtime.authoring.codec import Encoder
from ...runtime.directory import WORKFLOW
from ...runtime.errors import NondeterminismError
from ...runtime.history.record import unpack_record
from ...runtime.history.status import Status
from ...runtime.instance.message import workflow_address
from ..simulation.world import SimWorld
from .errors import InvariantFailed
from .settling import settle
from .standing import check_stands, kept_history

IDS = 1_000_000


class Rules:
    """The rules of a world.

    Attributes:
        broken: The first that was broken by a commit.
        replayed: How many histories were run through their code at the end.
    """

    def __init__(self, world: SimWorld) -> None:
        self.broken: InvariantFailed | None = None
        self.replayed = 0
        self._world = world
        world.on_commit.append(self._read)
        world.on_step.append(self._raise)

    async def check_end(self, within: timedelta) -> None:
        """Check what must hold once the story is over.

        Raises:
            Stuck, InvariantFailed
        """
        await settle(self._world, within, ended=False)
        await self._check_standing()
        self._check_loop()

    def _read(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if write.record is None or write.address.type != WORKFLOW or self.broken is not None:
                continue
            record = unpack_record(write.record)
            if record.status.terminal:
                self._world.trace.tell(self._world.loop.time(), write.address.id, f"is {record.status.name}")
            if record.set_aside is not None:
                what = f"{write.address.id} is set aside: {record.set_aside.reason}"
                self.broken = InvariantFailed("no instance is set aside", what)
            elif record.status is Status.STALLED:
                what = f"{write.address.id} is stalled: {record.stall}"
                self.broken = InvariantFailed("no instance stalls", what)

    def _raise(self) -> None:
        if self.broken is not None:
            raise self.broken

    def _check_loop(self) -> None:
        loop = self._world.loop
        for error in loop.errors:
            raised = error.get("exception")
            if raised is not None and not isinstance(raised, Exception):
                continue  # code that was killed in the middle of a step
            raise InvariantFailed("no error reaches the event loop", f"{error.get('message')}: {raised!r}")
        for task in loop.tasks:
            if (
                not task._log_traceback
                or task.life in loop.dead
                or not isinstance(raised := task.exception(), Exception)
            ):
                continue
            name = getattr(task.get_coro(), "__qualname__", "a task")
            raise InvariantFailed(
                "no error is lost", f"{name} ended with {raised!r}, and nothing awaited its task"
            ) from raised

    async def _check_standing(self) -> None:
        """Run the code through the histories that it has to fit: of all instances, or with several apps, of those under
        way.

        An instance that has ended is never replayed, so another version of its code need not fit.
        """
        world = self._world
        several, app, encoder = len(world.deploys.apps) > 1, world.deploys.now, Encoder()
        ids = await world.contents.ids(WORKFLOW, after=None, limit=IDS)
        for instance_id, stored in zip(
            ids, await world.contents.load([workflow_address(each) for each in ids]), strict=True
        ):
            if stored is None or isinstance(stored, Exception):
                continue
            history = kept_history(instance_id, stored)
            if several and history.record.status.terminal:
                continue
            try:
                self.replayed += check_stands(app, history, encoder)
            except NondeterminismError as error:
                raise InvariantFailed("the code fits what it has done", str(error)) from error
