"""An answer of a worker goes to the host of its instance, until it is accepted, is void, or has waited too long."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.cluster.method import HostMethod
from perdure.actors.errors import HostLost, HostSilent, HostStopping, HostUnreachable, PerdureError
from perdure.runtime.history.event import ExecutionCompleted
from perdure.runtime.history.status import Status
from perdure.runtime.instance.message import WorkflowAnswer
from perdure.runtime.workers.dispatcher import Dispatcher
from perdure.runtime.workers.hosts.answers import AGAIN_S, CLOSED_S, GIVEN_UP_S, AnsweringHost, WorkerAnswers
from perdure.runtime.workers.hosts.wire import ACTIVITY_ANSWER, TURN_ANSWER, TurnAnswerForm, Verdict
from perdure.runtime.workers.items import ActivityAnswer, WorkUnknown
from perdure.runtime.workers.stream import HERE, TurnGiver
from perdure.testing.virtual_time import run_virtually

from ....support.workflows.scripted_peers import ScriptedPeers

ACTIVITY = ActivityAnswer("i", 1, "token", "1", None)
TURN = WorkflowAnswer("i", "token", [ExecutionCompleted(1, Status.COMPLETED, "1")])
TOKENLESS = WorkflowAnswer("i", "", [])
GIVER = TurnGiver("owner", "lease")

Fate = Verdict | PerdureError


class Bench:
    """The answers of a host, and their fates. It plays the host, its dispatcher and its placement.

    Args:
        fates: What the other host "owner" answers; the last one for ever.

    Attributes:
        is_here: Whether this host has the instance.
        owner: The host that has it; None: it is not known.
        unknown: Whether the dispatcher has no such job.
        taken: The answers that the dispatcher of this host has taken.
        giver: Of a turn that is answered without a token.
    """

    host = "me"

    def __init__(self, *fates: Fate) -> None:
        self._fates = list(fates)
        self.peers = ScriptedPeers(self.hear, "owner")
        self.is_here = False
        self.owner: str | None = "owner"
        self.unknown = False
        self.taken: list[object] = []
        self.forgotten: list[str] = []
        self.giver: TurnGiver | None = None
        self.gives = True
        self.answers = WorkerAnswers(
            cast(Dispatcher, SimpleNamespace(complete_workflow=self.take, complete_activity=self.take)),
            self.peers.peers,
            cast(AnsweringHost, SimpleNamespace(placement=self, is_open=lambda address: self.is_here)),
            giver_of=lambda instance_id: self.giver,
            still_gives=lambda giver: self.gives,
            forget=self.forgotten.append,
        )

    def elsewhere(self, address: Address) -> str | None:
        return self.owner

    async def take(self, answer: object) -> None:
        if self.unknown:
            raise WorkUnknown("i")
        self.taken.append(answer)

    def hear(self, host: str, method: HostMethod, arguments: tuple[Any, ...]) -> int:
        fate = self._fates.pop(0) if len(self._fates) > 1 else self._fates[0]
        if isinstance(fate, PerdureError):
            raise fate
        return fate

    @property
    def asked(self) -> int:
        """The number of calls to other hosts."""
        return len(self.peers.called)


def story(bench: Bench, tell: Callable[[WorkerAnswers], Awaitable[None]]) -> Bench:
    async def told() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(bench.answers.run)
            await tell(bench.answers)
            tasks.cancel_scope.cancel()

    run_virtually(told)
    return bench


async def activity(answers: WorkerAnswers) -> None:
    await answers.complete_activity(ACTIVITY)


async def turn(answers: WorkerAnswers) -> None:
    await answers.complete_workflow(TURN)


async def tokenless(answers: WorkerAnswers) -> None:
    await answers.complete_workflow(TOKENLESS)
    await anyio.sleep(2 * CLOSED_S)


AWAY = [HostUnreachable("owner"), HostLost("owner"), HostSilent("owner", waited_s=1), Verdict.ELSEWHERE]


@pytest.mark.parametrize("complete", [activity, turn])
def test_an_answer_to_an_instance_of_this_host_stays_here(complete: Callable[..., Awaitable[None]]) -> None:
    bench = Bench(Verdict.TAKEN)
    bench.is_here = True
    story(bench, complete)
    assert (len(bench.taken), bench.asked) == (1, 0)


def test_an_answer_that_ends_the_history_lets_it_be_forgotten() -> None:
    bench = Bench(Verdict.TAKEN)
    bench.is_here = True
    assert story(bench, turn).forgotten == ["i"]


@pytest.mark.parametrize("complete", [activity, turn])
@pytest.mark.parametrize("away", AWAY, ids=lambda fate: type(fate).__name__)
def test_an_answer_is_sent_until_its_owner_has_taken_it(complete: Callable[..., Awaitable[None]], away: Fate) -> None:
    bench = story(Bench(away, away, Verdict.TAKEN), complete)
    method = ACTIVITY_ANSWER if complete is activity else TURN_ANSWER
    assert bench.peers.called == [("owner", method.name)] * 3


def test_an_answer_to_a_job_that_its_owner_has_not_is_refused() -> None:
    async def tell(answers: WorkerAnswers) -> None:
        with pytest.raises(WorkUnknown) as error:
            await activity(answers)
        assert (error.value.instance_id, error.value.task_id) == ("i", 1)

    assert story(Bench(Verdict.UNKNOWN), tell).asked == 1


def test_an_answer_is_void_where_its_instance_has_moved_and_the_new_owner_knows_no_such_job() -> None:
    assert story(Bench(Verdict.ELSEWHERE, Verdict.UNKNOWN), activity).asked == 2


def test_an_answer_is_taken_here_once_its_instance_has_come_here() -> None:
    bench = Bench(Verdict.ELSEWHERE)

    async def tell(answers: WorkerAnswers) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(activity, answers)
            await anyio.sleep(2.5 * AGAIN_S)
            bench.is_here = True

    assert story(bench, tell).taken == [ACTIVITY]


@pytest.mark.parametrize(("owner", "named"), [("owner", "owner"), (None, "me")])
def test_an_answer_that_no_host_takes_is_given_up(
    owner: str | None, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(Verdict.ELSEWHERE)
    bench.owner = owner

    async def tell(answers: WorkerAnswers) -> None:
        began_s = anyio.current_time()
        with pytest.raises(HostUnreachable):
            await activity(answers)
        assert GIVEN_UP_S <= anyio.current_time() - began_s < GIVEN_UP_S + 1

    story(bench, tell)
    assert f"an answer of a worker to i was given up: {named} has not taken it" in caplog.text


def test_another_error_of_the_owner_is_the_workers() -> None:
    async def tell(answers: WorkerAnswers) -> None:
        with pytest.raises(PerdureError, match="cannot be read"):
            await turn(answers)

    assert story(Bench(PerdureError("its events cannot be read")), tell).asked == 1


def test_a_worker_whose_host_stops_hears_so() -> None:
    bench = Bench(Verdict.ELSEWHERE)
    heard: list[str] = []

    async def answer() -> None:
        try:
            await bench.answers.complete_activity(ACTIVITY)
        except HostStopping as error:
            heard.append(str(error))

    async def told() -> None:
        await answer()  # before it runs
        async with anyio.create_task_group() as tasks, anyio.create_task_group() as running:
            await running.start(bench.answers.run)
            tasks.start_soon(answer)
            await anyio.sleep(1)
            running.cancel_scope.cancel()

    run_virtually(told)
    assert heard == [str(HostStopping())] * 2


# Without a token.


@pytest.mark.parametrize(
    ("fates", "asked"),
    [
        ([Verdict.TAKEN], 1),
        ([Verdict.UNKNOWN], 1),
        ([Verdict.ELSEWHERE, HostUnreachable("owner"), Verdict.TAKEN], 3),
        ([HostLost("owner")], 1),  # it may have been taken
        ([HostSilent("owner", waited_s=1)], 1),
    ],
)
def test_a_turn_without_a_token_is_answered_once_at_the_host_that_gave_it(fates: list[Fate], asked: int) -> None:
    bench = Bench(*fates)
    bench.giver = GIVER
    assert story(bench, tokenless).asked == asked


def test_a_giver_whose_shard_is_closed_is_asked_for_a_few_seconds() -> None:
    bench = Bench(Verdict.ELSEWHERE)
    bench.giver = GIVER
    assert story(bench, tokenless).asked == pytest.approx(CLOSED_S / AGAIN_S, abs=1)


def test_a_giver_that_is_gone_is_not_asked() -> None:
    bench = Bench(Verdict.ELSEWHERE)
    bench.giver = GIVER
    bench.peers.names.clear()
    assert story(bench, tokenless).asked == 0


def test_another_process_in_the_place_of_the_giver_is_not_asked_again() -> None:
    bench = Bench(HostUnreachable("owner"))
    bench.giver, bench.gives, bench.peers.part = GIVER, False, "a part of the store"
    assert story(bench, tokenless).asked == 1


def test_an_error_of_the_giver_is_told_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    # Given a giver that fails at the answer, as one of another release may,
    bench = Bench(PerdureError("its events cannot be read"))
    bench.giver = GIVER

    async def tell(answers: WorkerAnswers) -> None:
        await tokenless(answers)
        # then this host continues with the next answer.
        bench.is_here, bench.giver = True, None
        await activity(answers)

    assert (story(bench, tell).asked, bench.taken) == (1, [ACTIVITY])
    assert "owner does not take an answer of a worker to i: its events cannot be read" in caplog.text


def test_a_turn_that_this_host_gave_is_answered_here_when_its_shard_is_open() -> None:
    bench = Bench(Verdict.ELSEWHERE)
    bench.giver = HERE

    async def tell(answers: WorkerAnswers) -> None:
        await answers.complete_workflow(TOKENLESS)
        await anyio.sleep(3 * AGAIN_S)
        assert not bench.taken
        bench.is_here = True
        await anyio.sleep(3 * AGAIN_S)

    assert (story(bench, tell).taken, bench.asked) == ([TOKENLESS], 0)


# Requests of other hosts.


@pytest.mark.parametrize(
    ("is_here", "unknown", "verdict"),
    [(False, False, Verdict.ELSEWHERE), (True, False, Verdict.TAKEN), (True, True, Verdict.UNKNOWN)],
)
def test_another_host_hears_what_became_of_an_answer(is_here: bool, unknown: bool, verdict: Verdict) -> None:
    bench = Bench(Verdict.ELSEWHERE)
    bench.is_here, bench.unknown = is_here, unknown

    async def tell(answers: WorkerAnswers) -> None:
        assert await bench.peers.answers[TURN_ANSWER.name](TurnAnswerForm.of(TURN)) == verdict
        assert await bench.peers.answers[ACTIVITY_ANSWER.name](ACTIVITY) == verdict

    assert len(story(bench, tell).taken) == (2 if verdict is Verdict.TAKEN else 0)
