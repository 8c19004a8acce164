"""A caller: sends requests to a world's host, repeats the unanswered ones, and checks the answers.

Each answer is checked against the commits of the instance (E13), and each refusal with nothing done likewise (E1).
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from perdure import InstanceNotFound, Status, WorkflowState
from perdure.runtime.engine import Engine
from perdure.runtime.errors import RequestRefused
from perdure.runtime.history.event import ExecutionResumed, ExecutionSuspended
from perdure.runtime.operations.client import Client
from perdure.testing.simulation.base import REPEAT_S, UNANSWERED, BaseWorld
from perdure.testing.simulation.calls import ConnectionLost

from ..checks.answers import Version
from ..checks.broken import Broken
from ..doors import Doors
from ..invariants import Witness

T = TypeVar("T")
Request = Callable[[Engine], Coroutine[Any, Any, T]]


def has_ended(version: Version | None) -> bool:
    return version is None or version.status.terminal


class Caller:
    """Sends requests for one instance.

    Args:
        id: The id of the instance.
        sendings: Counts the sendings of events of the whole world, so that each has a payload of its own.
        doors: The ways to the host, of which each request takes one.

    Attributes:
        asking: The request that has no answer yet; None if there is none.
        workflow: The workflow of the instance.
        sometimes: The events that have happened.
    """

    def __init__(
        self,
        world: BaseWorld,
        witness: Witness,
        id: str,  # noqa: A002
        sendings: Counter[str],
        doors: Doors,
    ) -> None:
        self.id = id
        self.asking: str | None = None
        self.workflow = "carry_out"
        self._world = world
        self._witness = witness
        self._versions = witness.versions
        self._sendings = sendings
        self.doors = doors
        self._sometimes = witness.sometimes

    async def start(self, given: Any, **options: Any) -> None:
        """Have the instance started; options are those of the client."""
        since = self._versions.now(self.id)
        new = self._versions.newest(self.id) is None
        options.setdefault("if_exists", "return")
        uncertain = False

        async def start(engine: Engine) -> None:
            nonlocal uncertain
            before, uncertain = uncertain, True
            try:
                await self._client(engine).start(self.workflow, input=given, instance_id=self.id, **options)
            except UNANSWERED as error:
                if is_certain(error) and not before:
                    uncertain = False
                    if new and self._versions.newest(self.id) is not None:
                        self._witness.tell(
                            Broken("E1", f"the start of {self.id} was refused ({error}), and it is there")
                        )
                raise

        await self._ask("start", start)
        await self.get()
        self._versions.check_done("the start of", self.id, since, lambda version: version is not None)

    async def raise_event(self, name: str, *, key: str | None = None) -> None:
        """Send an event. The effect on a finished or missing instance is not checked.

        Args:
            key: Only the first sending with a key counts. Each sending without a key has a payload of its own.
        """
        since = self._versions.now(self.id)

        async def send(engine: Engine) -> None:
            self._sendings[name] += 1
            which = self._sendings[name] if key is None else key
            payload = f"for {name}/{self.id}.{which}"
            try:
                await self._client(engine).raise_event(self.id, name, payload, idempotency_key=key)
            except (InstanceNotFound, *UNANSWERED) as error:
                if is_certain(error) and key is None:
                    self._witness.refused.add(f'"{payload}"')
                raise
            if key is None and (self.id, f'"{payload}"') not in self._versions.raised and not self._over(since):
                self._witness.tell(Broken("E13", f"event {payload} was acknowledged by {self.id}, and is not on disk"))

        await self.steer(f"event {name}", send)

    def _over(self, since: int) -> bool:
        """Whether the generation has ended since then; events of its last turn are in no history."""
        versions = self._versions.since(self.id, since)
        runs = {each.execution_id for each in versions if each is not None}
        return any(map(has_ended, versions)) or len(runs) > 1

    async def suspend(self, **options: Any) -> None:
        since, before = self._versions.now(self.id), self._versions.steered[self.id, ExecutionSuspended]
        done = await self.steer("suspend", lambda engine: self._client(engine).suspend(self.id, **options))
        if done and self._versions.steered[self.id, ExecutionSuspended] == before:
            self._versions.check_done("a suspension of", self.id, since, is_suspended)

    async def resume(self, **options: Any) -> None:
        since, before = self._versions.now(self.id), self._versions.steered[self.id, ExecutionResumed]
        done = await self.steer("resume", lambda engine: self._client(engine).resume(self.id, **options))
        # A turn may resume a generation, end it, and take a doubled suspension into the next one.
        if done and self._versions.steered[self.id, ExecutionResumed] == before and not self._over(since):
            self._versions.check_done("a resumption of", self.id, since, is_not_suspended)

    async def terminate(self, **options: Any) -> None:
        since = self._versions.now(self.id)
        if await self.steer("terminate", lambda engine: self._client(engine).terminate(self.id, **options)):
            self._versions.check_done("the termination of", self.id, since, has_ended)

    async def purge(self, **options: Any) -> None:
        """Have the instance forgotten; if it does not exist, a repeated request has done that."""
        since = self._versions.now(self.id)
        self._witness.purging(self.id)
        await self.steer("purge", lambda engine: self._client(engine).purge(self.id, **options))
        self._versions.check_done("the purge of", self.id, since, lambda version: version is None)

    async def get(self) -> WorkflowState | None:
        """Read the instance."""
        since = self._versions.now(self.id)
        found = await self._ask("get", lambda engine: self._client(engine).get(self.id))
        self._versions.check_read(self.id, since, found)
        return found

    async def wait(self) -> WorkflowState | None:
        """Wait for the end of the instance; None if it does not exist."""
        since = self._versions.now(self.id)
        try:
            state = await self._ask(None, lambda engine: self._client(engine).wait(self.id, timeout=None))
        except InstanceNotFound:
            self._versions.check_read(self.id, since, None)
            return None
        self._versions.check_read(self.id, since, state)
        return state

    def _client(self, engine: Engine) -> Client:
        """A client that uses the door chosen by chance."""
        return self.doors.client(engine)

    async def steer(self, what: str, request: Request[Any]) -> bool:
        """Send a request that an instance refuses if it has ended, or was purged by a repeated request.

        Returns:
            Whether it was done.
        """
        try:
            await self._ask(what, request)
        except (InstanceNotFound, RequestRefused):
            return False
        finally:
            await self.get()
        return True

    async def _ask(self, what: str | None, request: Request[T]) -> T:
        """Repeat a request until it is answered.

        Args:
            what: The request; None: one without a time limit.
        """
        while True:
            self.asking = what
            try:
                return await self._world.call(request)
            except UNANSWERED:
                self._sometimes["repeated request"] += 1
            finally:
                self.asking = None
            await self._world.sleep(REPEAT_S)


def is_certain(error: Exception) -> bool:
    """Whether an error says that nothing was done."""
    return not isinstance(error, ConnectionLost) and "may have" not in str(error)


def is_suspended(version: Version | None) -> bool:
    return version is None or version.status in (Status.SUSPENDED, Status.STALLED) or version.status.terminal


def is_not_suspended(version: Version | None) -> bool:
    return version is None or version.status is not Status.SUSPENDED
