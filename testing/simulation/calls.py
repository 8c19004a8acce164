"""Requests of a story to the host of a world, over a network that may lose, delay and double them.

The rule: a request is code of the life that answers it, and dies with it; its caller is code of the world, and
learns that the connection is lost.

A lossy network has these streams of choices, where 0 is no fault:

    request.slow      the request is late
    request.lost      the request does not arrive
    request.again     the request arrives twice, as a proxy sends it again: at once, or a second after the first
    caller.gives_up   the caller does not wait for the answer, and the request goes on
    answer.lost       the request is answered, and the answer does not arrive
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias, TypeVar

from ...runtime.engine import Engine
from .choices import Choices
from .life import Life
from .loop import SimLoop
from .trace import WorldTrace

T = TypeVar("T")

Request: TypeAlias = Callable[[Engine], Coroutine[Any, Any, T]]

SLOW_S = (0.0, 0.000_1, 0.05, 3.0)
AGAIN_S = (0.0, 0.0, 1.0)  # the first is never used: 0 is no repetition
PATIENCE_S = (0.0, 0.01, 1.0)


class ConnectionLost(Exception):
    """The host died while it answered, or the network lost a message: the outcome of the call is unknown."""

    def __init__(self, what: str = "the host that had the request has ended") -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what}; it may have been done, or not"


class StoryCalls:
    """Sends requests to lives.

    Args:
        lossy: Whether the network has faults of its own.
    """

    def __init__(self, loop: SimLoop, choices: Choices, trace: WorldTrace, *, lossy: bool) -> None:
        self._loop = loop
        self._choices = choices
        self._trace = trace
        self._lossy = lossy

    async def call(self, life: Life, request: Request[T]) -> T:
        """Have a request answered by a life that is up.

        Raises:
            ConnectionLost: The life has ended meanwhile, or a message was lost.
            Exception: The error with which the life has answered.
        """
        if not self._lossy:
            return await self._answered(life, self._send(life, request))
        fault = self._choices.fault
        if late := fault("request.slow", len(SLOW_S)):
            await asyncio.sleep(SLOW_S[late])
            if not life.up:
                raise ConnectionLost
        if fault("request.lost"):
            raise self._lost("the request was lost")
        if again := fault("request.again", len(AGAIN_S)):
            self._tell(f"a request arrives twice, {AGAIN_S[again]} s apart")
            self._loop.call_later(AGAIN_S[again], self._send_again, life, request)
        answer = self._send(life, request)
        if patience := fault("caller.gives_up", len(PATIENCE_S)):
            self._loop.call_later(PATIENCE_S[patience], self._give_up, answer)
        result = await self._answered(life, answer)
        if fault("answer.lost"):
            raise self._lost("the answer was lost")
        return result

    def cut(self, life: Life) -> None:
        """Report to all callers of a life that it has ended."""
        for answer in life.calls:
            if not answer.done():
                answer.set_exception(ConnectionLost())
        life.calls.clear()

    def _send(self, life: Life, request: Request[T]) -> "asyncio.Future[T]":
        assert life.engine is not None
        answer: asyncio.Future[T] = self._loop.create_future()
        life.calls[answer] = None
        task = self._loop.create_task(request(life.engine), context=self._loop.in_life(life.number))
        task.add_done_callback(partial(_answer, answer))
        return answer

    def _send_again(self, life: Life, request: Request[Any]) -> None:
        if life.up:
            self._send(life, request).add_done_callback(partial(_forget, life))

    async def _answered(self, life: Life, answer: "asyncio.Future[T]") -> T:
        try:
            return await answer
        finally:
            life.calls.pop(answer, None)

    def _give_up(self, answer: "asyncio.Future[Any]") -> None:
        if not answer.done():
            answer.set_exception(self._lost("the caller has given up"))

    def _lost(self, what: str) -> ConnectionLost:
        self._tell(what)
        return ConnectionLost(what)

    def _tell(self, what: str) -> None:
        self._trace.tell(self._loop.time(), "network", what, fault=True)


def _answer(answer: "asyncio.Future[T]", task: "asyncio.Task[T]") -> None:
    # read in any case, or asyncio warns that it was never retrieved
    error = None if task.cancelled() else task.exception()
    if answer.done():
        return
    if task.cancelled():
        answer.set_exception(ConnectionLost())
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())


def _forget(life: Life, answer: "asyncio.Future[Any]") -> None:
    life.calls.pop(answer, None)
    if not answer.cancelled():
        answer.exception()  # no caller waits for it
