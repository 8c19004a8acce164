"""Children with a chosen id are started in tasks that can wait, and every parent gets an answer."""

from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.errors import ActorFailed
from perdure.actors.store.errors import StoreFailed
from perdure.runtime.directory import CHILD_START, AppAddresses
from perdure.runtime.errors import InstanceExists
from perdure.runtime.history.event import Parent
from perdure.runtime.instance.message import ChildDone, ChildStarted, Start
from perdure.runtime.operations import child_starter
from perdure.runtime.operations.child_starter import ChildStarter

pytestmark = pytest.mark.anyio

CHILD = Address(CHILD_START, "c")


def start_by(parent_id: str) -> Start:
    return Start("w", None, "x", Parent(parent_id, "px", 4, "parent"))


class Facade:
    """Answers starts with the errors it is given, then with success."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[str] = []
        self.own = AppAddresses()

    async def request_start(self, instance_id: str, start: Start) -> str:
        assert start.parent is not None
        self.asked.append(start.parent.instance_id)
        await anyio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        return instance_id


async def answers(facade: Facade, *starts: Start) -> list[tuple[str, Any]]:
    sent: list[tuple[str, Any]] = []
    starter = ChildStarter(facade, send=lambda address, body: sent.append((address.id, body)))  # type: ignore[arg-type]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(starter.run)
            for start in starts:
                starter.receive(CHILD, start)
            while len(sent) < len({start.parent for start in starts}):
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
    return sent


async def test_a_child_that_was_started_is_confirmed_to_its_parent() -> None:
    assert await answers(Facade(), start_by("p")) == [("p", ChildStarted("px", 4))]


async def test_a_refusal_fails_the_parents_task() -> None:
    [(parent_id, done)] = await answers(Facade(InstanceExists("c")), start_by("p"))
    assert parent_id == "p"
    assert isinstance(done, ChildDone)
    assert done.failure is not None
    assert "already exists" in done.failure.message


async def test_a_store_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_starter, "RETRY_S", 0.001)
    facade = Facade(StoreFailed("no disk"), StoreFailed("no disk"))
    assert await answers(facade, start_by("p")) == [("p", ChildStarted("px", 4))]
    assert len(facade.asked) == 3


@pytest.mark.parametrize("error", [ActorFailed(CHILD, KeyError("x")), ZeroDivisionError("bug")])
async def test_what_will_not_get_better_fails_the_parents_task(error: Exception) -> None:
    [(_, done)] = await answers(Facade(error), start_by("p"))
    assert isinstance(done, ChildDone)


async def test_the_same_request_twice_is_one_start_and_two_parents_are_two() -> None:
    facade = Facade()
    sent = await answers(facade, start_by("p"), start_by("p"), start_by("q"))
    assert sorted(facade.asked) == ["p", "q"]
    assert sorted(parent_id for parent_id, _ in sent) == ["p", "q"]
