"""The runner acts on each instance of a selection, at the operation's rate, and reports each step to the actor."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.errors import HostStopping, MailboxFull, PerdureError
from perdure.actors.store.errors import StoreFailed
from perdure.actors.turn import Envelope
from perdure.actors.waiting.reply import Reply
from perdure.runtime.directory import OPERATION_RUN
from perdure.runtime.errors import InstanceNotFound
from perdure.runtime.history.attribution import By
from perdure.runtime.operations.bulk.actor import (
    Begin,
    Cancel,
    Look,
    OperationActorType,
    OperationStatus,
    RunOperation,
    operation_address,
)
from perdure.runtime.operations.bulk.operation import BulkOperation, OperationProgress, OperationState
from perdure.runtime.operations.bulk.runner import BulkRunner, Matching, Skipped
from perdure.testing.virtual_time import run_virtually
from tests.support.workflows.bulk_operations import MOMENT_US, operation

pytestmark = pytest.mark.anyio

OP = operation_address("op")


class Instances:
    """Instances "0", "1", ..., and their answers."""

    def __init__(self, count: int, answers: dict[str, list[Exception]] | None = None) -> None:
        self.count = count
        self.answers = answers or {}
        self.asked: list[str] = []
        self.listing_fails: list[Exception] = []

    async def matching(self, operation: BulkOperation, *, cursor: str | None, limit: int) -> Matching:
        await anyio.lowlevel.checkpoint()
        if self.listing_fails:
            raise self.listing_fails.pop(0)
        begin = int(cursor or 0)
        ids = tuple(str(number) for number in range(begin, min(begin + limit, self.count)))
        behind = begin + limit
        return Matching(ids, str(behind) if behind < self.count else None)

    async def act(self, operation_id: str, operation: BulkOperation, instance_id: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.asked.append(instance_id)
        if answers := self.answers.get(instance_id):
            raise answers.pop(0)


class Daemon:
    """An actor of one operation and the runner."""

    def __init__(self, instances: Instances) -> None:
        self.actor = OperationActorType().activate(OP, None)
        self.runner = BulkRunner(instances, ask=self.ask)
        self.asks_fail: list[Exception] = []

    async def ask(self, address: Address, body: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        if self.asks_fail:
            raise self.asks_fail.pop(0)
        turn = self.actor.turn([Envelope(body, Reply())], MOMENT_US)
        for to, message in turn.messages:
            self.runner.receive(to, message)
        [(_, answer)] = turn.replies
        if isinstance(answer, PerdureError):
            raise answer
        return answer

    async def status(self) -> OperationStatus:
        return await self.ask(OP, Look())  # type: ignore[no-any-return]

    async def until(self, holds: Callable[[OperationStatus], bool], *, look_s: float = 0.002) -> OperationStatus:
        with anyio.fail_after(look_s * 10_000):
            while not holds(status := await self.status()):
                await anyio.sleep(look_s)
        return status


@asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        await tasks.start(daemon.runner.run)
        yield
        tasks.cancel_scope.cancel()


def ended(status: OperationStatus) -> bool:
    return status.operation.state is not OperationState.RUNNING


async def run(instances: Instances, begun: BulkOperation | None = None, *, look_s: float = 0.002) -> OperationStatus:
    daemon = Daemon(instances)
    async with running(daemon):
        await daemon.ask(OP, Begin(begun or operation(rate=10_000.0)))
        return await daemon.until(ended, look_s=look_s)


async def test_each_instance_is_asked_once_in_the_order_of_the_list() -> None:
    instances = Instances(5)

    status = await run(instances)

    assert sorted(instances.asked, key=int) == ["0", "1", "2", "3", "4"]
    assert status.operation.progress[1:4] == (5, 0, 0)
    assert status.operation.state is OperationState.COMPLETED


async def test_a_selection_that_fits_nothing_completes() -> None:
    assert (await run(Instances(0))).operation.state is OperationState.COMPLETED


async def test_refusals_are_errors_and_what_no_longer_fits_is_passed_over() -> None:
    instances = Instances(4, {"1": [InstanceNotFound("1")], "2": [Skipped()]})

    status = await run(instances)

    assert status.operation.progress[1:4] == (2, 1, 1)
    assert [tuple(error) for error in status.errors] == [("1", "no such instance exists")]


async def test_many_pages_are_walked_to_the_end() -> None:
    instances = Instances(25)

    status = await run(instances, operation(rate=50.0 * 10))

    assert status.operation.progress.done == 25


async def test_the_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = anyio.sleep

    async def remember(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    instances = Instances(100)
    daemon = Daemon(instances)
    async with running(daemon):
        monkeypatch.setattr("perdure.runtime.operations.bulk.runner.anyio.sleep", remember)
        # The clock does not move, because on a busy machine the answers would take some of the pause.
        monkeypatch.setattr("perdure.runtime.operations.bulk.runner.anyio.current_time", lambda: 0.0)
        await daemon.ask(OP, Begin(operation(rate=100.0)))
        with anyio.fail_after(20):
            while not ended(await daemon.status()):
                await sleep(0.001)

    assert slept == pytest.approx([0.2] * 5)


@pytest.mark.parametrize("error", [StoreFailed("the disk is full"), MailboxFull(OP, messages_max=1)])
async def test_what_the_engine_cannot_take_now_is_asked_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.runtime.operations.bulk.runner.RETRY_S", 0.0)
    instances = Instances(3, {"1": [error, error]})
    instances.listing_fails = [error]
    daemon = Daemon(instances)
    async with running(daemon):
        await daemon.ask(OP, Begin(operation(rate=10_000.0)))
        daemon.asks_fail = [error]
        with anyio.fail_after(20):
            while daemon.asks_fail:
                await anyio.sleep(0.001)
        status = await daemon.until(ended)

    assert status.operation.progress[1:4] == (3, 0, 0)


async def test_after_a_stop_it_goes_on_behind_the_last_step_that_was_told() -> None:
    instances = Instances(30, {"12": [HostStopping()]})
    daemon = Daemon(instances)
    begun = operation(rate=50.0, progress=OperationProgress())
    async with running(daemon):
        await daemon.ask(OP, Begin(begun))
        with anyio.fail_after(20):
            while "12" not in instances.asked:
                await anyio.sleep(0.005)
        await anyio.sleep(0.02)
        assert (await daemon.status()).operation.progress.done == 10

    daemon.runner = BulkRunner(instances, ask=daemon.ask)
    async with running(daemon):
        daemon.runner.receive(Address(OPERATION_RUN, "op"), RunOperation((await daemon.status()).operation))
        status = await daemon.until(ended)

    assert status.operation.progress.done == 30
    assert set(instances.asked) == {str(number) for number in range(30)}


async def test_a_cancelled_operation_asks_no_further_instance() -> None:
    instances = Instances(1_000)
    daemon = Daemon(instances)
    async with running(daemon):
        await daemon.ask(OP, Begin(operation(rate=50.0)))
        await daemon.until(lambda status: status.operation.progress.done > 0)
        await daemon.ask(OP, Cancel(By()))
        await anyio.sleep(0.3)
        asked = len(instances.asked)
        await anyio.sleep(0.3)

    assert len(instances.asked) == asked < 1_000


async def test_an_error_of_ours_ends_the_run_and_not_the_daemon(caplog: pytest.LogCaptureFixture) -> None:
    instances = Instances(1)
    instances.listing_fails = [ZeroDivisionError("ours")]
    daemon = Daemon(instances)
    async with running(daemon):
        with caplog.at_level(logging.ERROR):
            await daemon.ask(OP, Begin(operation()))
            with anyio.fail_after(5):
                while not caplog.records:
                    await anyio.sleep(0.001)

    assert "operation op is stopped until the next start" in caplog.text


class SlowInstances(Instances):
    """Instances with slow answers, as in a daemon whose loop or whose commits are late."""

    def __init__(self, count: int, takes_s: Callable[[], float]) -> None:
        super().__init__(count)
        self.takes_s = takes_s
        self.at_s: list[float] = []

    async def act(self, operation_id: str, operation: BulkOperation, instance_id: str) -> None:
        self.at_s.append(anyio.current_time())
        await anyio.sleep(self.takes_s())
        self.asked.append(instance_id)

    def between(self, begin_s: float, end_s: float) -> int:
        return sum(begin_s <= at_s < end_s for at_s in self.at_s)


def test_an_operation_gives_way_while_answers_are_late_and_has_its_pace_again_afterwards() -> None:
    async def story() -> None:
        # Given a daemon that is late from the 2nd to the 12th second,
        began_s = anyio.current_time()

        def takes_s() -> float:
            return 0.5 if 2.0 <= anyio.current_time() - began_s < 12.0 else 0.01

        instances = SlowInstances(6_000, takes_s)
        status = await run(instances, operation(rate=200.0), look_s=0.05)
        seen = [instances.between(began_s + second, began_s + second + 4.0) / 4 for second in (-2.0, 8.0, 20.0)]
        # then the operation has its rate before and after, and a small part of it meanwhile, and asks each instance
        # once.
        assert seen[0] * 2 >= 180
        assert seen[1] <= 20
        assert seen[2] >= 180
        assert instances.asked == [str(number) for number in range(6_000)]
        assert status.operation.progress.done == 6_000

    run_virtually(story)
