"""Tasks for an actor end when the actor moves to another host."""

import anyio
import pytest

from perdure.actors.waiting.attendance import Attendance

pytestmark = pytest.mark.anyio


class Sleeper(Attendance):
    """Sleeps for actors."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[str] = []
        self.ended: list[str] = []

    def begin(self, name: str) -> None:
        self._attend(name, self._sleep, name)

    async def _sleep(self, name: str) -> None:
        self.began.append(name)
        try:
            await anyio.sleep_forever()
        finally:
            self.ended.append(name)


async def test_what_is_done_for_an_actor_that_has_left_is_cancelled_and_the_rest_goes_on() -> None:
    sleeper = Sleeper()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(sleeper.run)
            sleeper.begin("a")
            sleeper.begin("b")
            await anyio.wait_all_tasks_blocked()
            # A task that has not run in the event loop yet ends too.
            sleeper.begin("a")
            sleeper.leave(lambda name: name == "a")
            await anyio.wait_all_tasks_blocked()
            assert sleeper.ended == ["a"]
            assert sorted(sleeper.began) == ["a", "b"]
            sleeper.leave(lambda name: True)
            await anyio.wait_all_tasks_blocked()
            assert sorted(sleeper.ended) == ["a", "b"]
            sleeper.begin("c")
            await anyio.wait_all_tasks_blocked()
            assert sleeper.began[2:] == ["c"]
            tasks.cancel_scope.cancel()
