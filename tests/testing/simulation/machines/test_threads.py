"""One thread runs at a time, in virtual time, and none outlives its world."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.machines import threads
from perdure.testing.simulation.machines.threads import HostGone, SimThread, ThreadAway, current

T = TypeVar("T")


def new_loop() -> SimLoop:
    return SimLoop()  # type: ignore[abstract]


def run(story: Coroutine[Any, Any, T], loop: SimLoop | None = None) -> T:
    loop = loop or new_loop()
    try:
        return loop.run(story)
    finally:
        loop.close()


def begin(function: Callable[[], Any]) -> "tuple[SimThread, asyncio.Future[Any]]":
    loop: Any = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def ended(result: Any, error: BaseException | None) -> None:
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    thread = SimThread(loop, function, ended)
    loop.call_soon(thread.step)
    return thread, answer


def here() -> SimThread:
    thread = current()
    assert thread is not None
    return thread


def test_a_pause_takes_virtual_time_and_others_run_meanwhile() -> None:
    seen: list[str] = []

    def stand(name: str, seconds: float) -> str:
        seen.append(f"{name} begins")
        here().pause(seconds)
        seen.append(f"{name} ends")
        return name

    async def story() -> tuple[list[Any], float]:
        answers = [begin(lambda: stand("long", 3_600))[1], begin(lambda: stand("short", 60))[1]]
        results = [await answer for answer in answers]
        return results, asyncio.get_running_loop().time()

    assert run(story()) == (["long", "short"], 3_600)
    assert seen == ["long begins", "short begins", "short ends", "long ends"]


def test_it_is_a_thread_of_its_own_and_the_loop_does_what_it_asks_for() -> None:
    async def story() -> tuple[Any, Any]:
        asked = begin(lambda: (threading.get_ident(), here().do(threading.get_ident)))[1]
        inside, outside = await asked
        return inside != threading.get_ident(), outside == threading.get_ident()

    assert run(story()) == (True, True)
    assert current() is None


def test_errors_cross_in_both_directions() -> None:
    def refused() -> None:
        with pytest.raises(ZeroDivisionError):
            here().do(lambda: 1 // 0)
        raise KeyError("mine")

    async def story() -> None:
        await begin(refused)[1]

    with pytest.raises(KeyError, match="mine"):
        run(story())


def test_a_thread_that_was_dropped_goes_no_further_and_ends_when_it_is_buried() -> None:
    seen: list[str] = []

    def stand() -> None:
        try:
            here().pause(1)
            seen.append("went on")
        finally:
            with pytest.raises(HostGone):
                here().pause(1)  # behind dead doors
            seen.append("cleaned up")

    async def story() -> SimThread:
        thread, _ = begin(stand)
        await asyncio.sleep(0.5)
        thread.drop()
        await asyncio.sleep(10)
        return thread

    thread = run(story())
    assert seen == []
    thread.bury()
    assert seen == ["cleaned up"]
    assert thread.over


def test_a_thread_that_denies_its_end_is_left_where_it_stands() -> None:
    denials: list[int] = []

    def deny() -> None:
        while True:
            try:
                here().pause(1)
            except HostGone:
                denials.append(1)
                if len(denials) == 5 * threads.DENIALS_MAX:
                    raise

    async def story() -> SimThread:
        thread, _ = begin(deny)
        await asyncio.sleep(0.5)
        return thread

    # Each pause of a thread whose host is gone raises at once, so it never gives the baton back: only this one's end.
    run(story()).bury()
    assert len(denials) == 5 * threads.DENIALS_MAX


def test_a_thread_that_waits_for_another_is_an_error_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "AWAY_S_MAX", 0.05)
    lock = threading.Lock()

    def hold() -> None:
        with lock:
            here().pause(10)

    begun: list[SimThread] = []

    async def story() -> None:
        begun.extend([begin(hold)[0], begin(lock.acquire)[0]])
        await asyncio.sleep(1)

    with pytest.raises(ThreadAway):
        run(story())
    holding, waiting = begun
    waiting.bury()  # which does not wait for it once more
    holding.bury()
    assert holding.over


def test_a_thread_that_stands_in_a_debugger_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "AWAY_S_MAX", 0.01)
    prompt = threading.Lock()
    prompt.acquire()
    looks: list[int] = []

    def is_debugged() -> bool:
        looks.append(1)
        if len(looks) == 3:
            prompt.release()  # its user lets the code go on
        return True

    monkeypatch.setattr(threads, "is_debugged", is_debugged)

    async def story() -> Any:
        return await begin(prompt.acquire)[1]

    assert run(story()) is True
    assert len(looks) >= 3
