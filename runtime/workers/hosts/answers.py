"""Answers: the answer of a worker at any host goes to the host that has the instance.

The rule: an answer is sent until its owner has taken or refused it, even if the worker has disconnected meanwhile. If
the instance has moved in between, the new owner may not know the job. Then the answer is void, like an answer to a job
that was dispatched again, and the worker gets no error, because it has made none.

`runtime/workers/hosts/sharing.py` has one, where there are other hosts.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from ....actors.address import Address
from ....actors.cluster.method import HostMethod
from ....actors.cluster.peers import AppPeers
from ....actors.cluster.placement import Placement
from ....actors.errors import HostLost, HostSilent, HostStopping, HostUnreachable, PerdureError
from ....actors.waiting.reply import Reply
from ....actors.waiting.task_keeper import TaskKeeper
from ...directory import AppAddresses
from ...instance.message import WorkflowAnswer
from ..dispatcher import Dispatcher
from ..items import ActivityAnswer, WorkUnknown, ends_generation, home_id_of
from ..stream import TurnGiver
from .wire import ACTIVITY_ANSWER, TURN_ANSWER, TurnAnswerForm, Verdict

logger = logging.getLogger(__name__)

AGAIN_S = 0.05  # before an answer is sent again
# An answer that no host has taken within this time is given up. By then the hosts have taken each other for dead, and
# the job was dispatched again.
GIVEN_UP_S = 120.0


class AnsweringHost(Protocol):
    """A host that has instances."""

    @property
    def placement(self) -> Placement:
        """Which host has an instance."""
        ...

    def is_open(self, address: Address) -> bool:
        """Whether an actor is this host's and takes messages now."""
        ...


# How long an answer without a token waits for its host, whose shard may be about to move.
CLOSED_S = 5.0

Take = Callable[[], Awaitable[None]]


class WorkerAnswers(TaskKeeper):
    """Takes the answers of workers, of this host's and of other hosts' instances.

    Args:
        host: This host.
        own: The addresses of the app; None: it is the only one.
        giver_of: Finds the giver of the turn that a worker without tokens answers; None if it is unknown.
        still_gives: Whether the process of a giver is known to run.
        forget: Called with instances whose history has ended.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        peers: AppPeers,
        host: AnsweringHost,
        *,
        own: AppAddresses | None = None,
        giver_of: Callable[[str], TurnGiver | None],
        still_gives: Callable[[TurnGiver], bool],
        forget: Callable[[str], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._peers = peers
        self._host = host
        self._own = own or AppAddresses()
        self._giver_of = giver_of
        self._still_gives = still_gives
        self._forget = forget
        peers.answer_async(TURN_ANSWER, self._hear_turn)
        peers.answer_async(ACTIVITY_ANSWER, self._hear_activity)

    async def complete_workflow(self, answer: WorkflowAnswer) -> None:
        """Take the answer to a turn.

        Raises:
            WorkUnknown: No turn of this instance is open.
            HostStopping: This host ends.
        """
        giver = self._giver_of(answer.instance_id) if not answer.token else None
        if giver is not None and self._tasks is not None:
            self._tasks.start_soon(self._to_giver, answer, giver)
        elif self._host.is_open(self._own.instance(answer.instance_id)):
            await self._take_turn(answer)
        else:
            form = TurnAnswerForm.of(answer)
            await self._send(answer, TURN_ANSWER, form, lambda: self._take_turn(answer))

    async def complete_activity(self, answer: ActivityAnswer) -> None:
        """Take the result of an activity.

        Raises:
            WorkUnknown: This activity is not open.
            HostStopping: This host ends.
        """
        if self._host.is_open(self._own.instance(home_id_of(answer))):
            await self._dispatcher.complete_activity(answer)
        else:
            await self._send(answer, ACTIVITY_ANSWER, answer, lambda: self._dispatcher.complete_activity(answer))

    # This host asks.

    async def _send(
        self,
        answer: WorkflowAnswer | ActivityAnswer,
        method: HostMethod,
        form: TurnAnswerForm | ActivityAnswer,
        take: Take,
    ) -> None:
        """Send an answer in a task of its own, because its worker may disconnect, and wait for the outcome."""
        if self._tasks is None:
            raise HostStopping
        reply = Reply()
        self._tasks.start_soon(self._be_answered, answer, method, form, take, reply)
        await reply.wait()

    async def _be_answered(
        self,
        answer: WorkflowAnswer | ActivityAnswer,
        method: HostMethod,
        form: TurnAnswerForm | ActivityAnswer,
        take: Take,
        reply: Reply,
    ) -> None:
        task_id = answer.task_id if isinstance(answer, ActivityAnswer) else None
        try:
            home_id = home_id_of(answer) if isinstance(answer, ActivityAnswer) else answer.instance_id
            known = await self._persist(home_id, method, form, take)
        except PerdureError as error:
            reply.fail(error)
        except anyio.get_cancelled_exc_class():
            reply.fail(HostStopping())
            raise
        else:
            if known:
                reply.succeed(None)
            else:
                reply.fail(WorkUnknown(answer.instance_id, task_id))

    async def _persist(
        self, instance_id: str, method: HostMethod, form: TurnAnswerForm | ActivityAnswer, take: Take
    ) -> bool:
        """Send an answer until it is taken or refused; return False if the first host that was asked knows no such job.

        Raises:
            HostUnreachable: No host has taken it within GIVEN_UP_S.
        """
        address = self._own.instance(instance_id)
        moved = False
        until_s = anyio.current_time() + GIVEN_UP_S
        while anyio.current_time() < until_s:
            try:
                verdict = await self._try(address, method, form, take)
            except (HostUnreachable, HostLost, HostSilent):
                verdict = Verdict.ELSEWHERE
            if verdict is Verdict.TAKEN:
                return True
            if verdict is Verdict.UNKNOWN:
                return moved
            moved = True
            await anyio.sleep(AGAIN_S)
        owner = self._host.placement.elsewhere(address) or self._host.placement.host
        logger.warning("an answer of a worker to %s was given up: %s has not taken it", instance_id, owner)
        raise HostUnreachable(owner)

    async def _try(
        self, address: Address, method: HostMethod, form: TurnAnswerForm | ActivityAnswer, take: Take
    ) -> Verdict:
        if self._host.is_open(address):
            return await _verdict(take)
        owner = self._host.placement.elsewhere(address)
        outbound = self._peers.find(owner) if owner is not None else None
        if outbound is None:
            return Verdict.ELSEWHERE
        return Verdict(await self._peers.call(outbound, method, form))

    async def _to_giver(self, answer: WorkflowAnswer, giver: TurnGiver) -> None:
        """Send an answer to a turn without a token to the host that has dispatched the turn, and to no other.

        The next owner dispatches the turn again, and would take this answer for the answer to that dispatch. For the
        same reason the answer is not sent twice to a host that may have taken it.
        """
        until_s = anyio.current_time() + CLOSED_S
        while anyio.current_time() < until_s and (not giver.host or self._peers.find(giver.host) is not None):
            try:
                if await self._ask_giver(answer, giver.host) is not Verdict.ELSEWHERE:
                    return
            except (HostLost, HostSilent):
                return
            except HostUnreachable:
                # A restarted host connects to this one, and dispatches turns, before this one connects to it.
                if self._peers.membership.part is not None and not self._still_gives(giver):
                    return  # that process has exited; the next one has dispatched nothing
            except PerdureError as error:
                logger.warning(
                    "%s does not take an answer of a worker to %s: %s", giver.host, answer.instance_id, error
                )
                return
            await anyio.sleep(AGAIN_S)

    async def _ask_giver(self, answer: WorkflowAnswer, giver: str) -> Verdict:
        if not giver:
            here = self._host.is_open(self._own.instance(answer.instance_id))
            return await _verdict(lambda: self._take_turn(answer)) if here else Verdict.ELSEWHERE
        outbound = self._peers.find(giver)
        if outbound is None:
            return Verdict.ELSEWHERE
        return Verdict(await self._peers.call(outbound, TURN_ANSWER, TurnAnswerForm.of(answer)))

    # Other hosts ask.

    async def _hear_turn(self, form: TurnAnswerForm) -> int:
        return await self._hear(form.instance_id, lambda: self._take_turn(form.value()))

    async def _hear_activity(self, answer: ActivityAnswer) -> int:
        return await self._hear(home_id_of(answer), lambda: self._dispatcher.complete_activity(answer))

    async def _hear(self, instance_id: str, take: Take) -> int:
        return await _verdict(take) if self._host.is_open(self._own.instance(instance_id)) else Verdict.ELSEWHERE

    async def _take_turn(self, answer: WorkflowAnswer) -> None:
        await self._dispatcher.complete_workflow(answer)
        if ends_generation(answer):
            self._forget(answer.instance_id)


async def _verdict(take: Take) -> Verdict:
    try:
        await take()
    except WorkUnknown:
        return Verdict.UNKNOWN
    return Verdict.TAKEN
