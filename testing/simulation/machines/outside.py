"""Systems outside: a fake behind a network that loses, delays and doubles calls. The fake itself never dies.

The rule: a caller on a host may not learn of a call's effect; the story sees it at once.

Each method of a fake has streams of choices of its own; for `bank.charge`:

    bank.charge.slow      the call takes longer
    bank.charge.lost      1: the request is lost, and nothing was done; 2: it was done, and the answer is lost
    bank.charge.error     one of the errors that the fake may answer with, and nothing was done
    bank.charge.doubled   the request arrives twice
    kill.bank.charge      it was done, and the host is killed before it knows

A plain method may be called from a thread, or from code that blocks the event loop.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import anyio

from ..choices import Choices
from ..loop import HOST, SimLoop, never
from ..trace import WorldTrace

# How long a message takes from the host to a system outside, or back.
TRAVEL_S = 0.000_1
# How much longer a call may take.
SLOW_S = (0.0, 0.05, 3.0, 60.0)
LOST, UNHEARD = 1, 2


class Deed(NamedTuple):
    """A call that a fake has carried out for a host.

    Args:
        told: Its words in the story, such as "charge order-0".
        key: The keyword arguments, as text; the same for a call that is repeated under the same key.
        life: The life of the caller.
    """

    told: str
    key: str
    life: int


class HasHosts(Protocol):
    """The world that a fake stands in."""

    choices: Choices
    loop: SimLoop
    trace: WorldTrace

    def kill(self, why: str) -> None:
        """End the running host as SIGKILL does."""
        ...

    def touched(self) -> None:
        """Take note that the outside has changed."""
        ...


class BlockingCode(Protocol):
    """Waits, and stops, on behalf of code that blocks."""

    def wait(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass. Does not return if the host of the code was killed."""
        ...

    def stop(self) -> None:
        """Stop the calling code, whose host was killed by its call."""
        ...


class Outside:
    """A fake, and the network before it.

    Args:
        world: The world of the fake.
        fake: The user's object.
        name: Its name in stories and streams.
        lost: Makes the error of a call whose request or answer was lost.
        errors: Makers of errors that it may answer with.
        blocking: Waits on behalf of code that blocks.

    Attributes:
        done: The calls that it has carried out for hosts, oldest first.
    """

    def __init__(
        self,
        world: HasHosts,
        fake: object,
        *,
        name: str,
        lost: Callable[[str], BaseException] = ConnectionError,
        errors: Sequence[Callable[[str], BaseException]] = (),
        blocking: BlockingCode,
    ) -> None:
        self.fake = fake
        self.name = name
        self.done: list[Deed] = []
        self._world = world
        self._lost = lost
        self._errors = errors
        self._blocking = blocking
        self._times: Counter[str] = Counter()

    def method(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A method of the fake, as it is seen from a host."""
        calls = self._call if inspect.iscoroutinefunction(function) else self._call_blocking
        return partial(calls, name, function)

    def _call(self, name: str, function: Callable[..., Any], /, *given: Any, **named: Any) -> Coroutine[Any, Any, Any]:
        if not HOST.get():
            made: Coroutine[Any, Any, Any] = function(*given, **named)
            return made
        return self._call_from_a_host(name, function, given, named)

    async def _call_from_a_host(self, name: str, function: Any, given: Any, named: Any) -> Any:
        call = _OneCall(self, name, given, named)
        await anyio.sleep(TRAVEL_S + SLOW_S[call.slow])
        call.refuse()
        answer = await self._beyond(call, function)
        if call.doubled:
            answer = await self._beyond(call, function)
        if call.kills():
            await never()
        if call.lost == UNHEARD:
            await anyio.sleep(TRAVEL_S)
            raise self._error(f"the answer to {call.what} was lost")
        await anyio.sleep(TRAVEL_S)
        return answer

    async def _beyond(self, call: "_OneCall", function: Any) -> Any:
        """Have the fake do it, in a task of the world's: it goes on if the host dies, or does not wait any longer."""
        loop = self._world.loop
        heard = loop.create_future()

        def hear(task: Any) -> None:
            error = task.exception()
            if heard.done():
                return
            if error is not None:
                heard.set_exception(error)
            else:
                heard.set_result(task.result())

        loop.create_task(self._do(call, function), context=loop.outside.copy()).add_done_callback(hear)
        return await heard

    async def _do(self, call: "_OneCall", function: Any) -> Any:
        with call:
            return await function(*call.given, **call.named)

    def _call_blocking(self, name: str, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        if not HOST.get():
            return function(*given, **named)
        self._blocking.wait(0.0)
        call = _OneCall(self, name, given, named)
        self._blocking.wait(TRAVEL_S + SLOW_S[call.slow])
        call.refuse()
        answer = self._beyond_blocking(call, function)
        if call.doubled:
            answer = self._beyond_blocking(call, function)
        if call.kills():
            self._blocking.stop()
        self._blocking.wait(TRAVEL_S)
        if call.lost == UNHEARD:
            raise self._error(f"the answer to {call.what} was lost")
        return answer

    def _beyond_blocking(self, call: "_OneCall", function: Callable[..., Any]) -> Any:
        with call:
            answer = self._world.loop.outside.copy().run(partial(function, *call.given, **call.named))
            if inspect.isawaitable(answer):
                if inspect.iscoroutine(answer):
                    answer.close()
                raise TypeError(
                    f"the fake {self.name} answers {call.what} with a {type(answer).__name__}: it has done nothing "
                    "yet, and its work would not come over the network. Make the method an `async def`"
                )
            return answer

    def _error(self, what: str) -> BaseException:
        self.tell(what, fault=True)
        return self._lost(f"{self.name}: {what}")

    def tell(self, what: str, *, fault: bool = False) -> None:
        """Note a line of the story."""
        self._world.trace.tell(self._world.loop.time(), self.name, what, fault=fault)


class _OneCall:
    """One call of a method from a host, and the choices for it. Used with `with`, around the fake's work."""

    def __init__(self, outside: Outside, name: str, given: Any, named: Any) -> None:
        fault = outside._world.choices.fault
        self._outside = outside
        self._stream = stream = f"{outside.name}.{name}"
        self._life = HOST.get()
        self.given = given
        self.named = named
        self.what = " ".join([name, *map(_short, given)])
        self.slow = fault(f"{stream}.slow", len(SLOW_S))
        self.lost = fault(f"{stream}.lost", 3)
        self.doubled = fault(f"{stream}.doubled")
        self._error = fault(f"{stream}.error", len(outside._errors) + 1) if outside._errors else 0

    def refuse(self) -> None:
        """Raise the error that was chosen for a call whose answer is lost."""
        if self.lost == LOST:
            raise self._outside._error(f"the request to {self.what} was lost: nothing was done")
        if self._error:
            error = self._outside._errors[self._error - 1](f"{self._outside.name} does not {self.what}")
            self._outside.tell(f"answers {self.what} with {type(error).__name__}: nothing was done", fault=True)
            raise error

    def kills(self) -> bool:
        """Kill the host after the call, if that was chosen; return whether it was."""
        world = self._outside._world
        if self._life in world.loop.dead:
            return True
        if not world.choices.fault(f"kill.{self._stream}"):
            return False
        world.kill(f"{self._outside.name} has done {self.what}, and the host has not heard of it")
        return True

    def __enter__(self) -> None:
        outside = self._outside
        times = outside._times[self.what] = outside._times[self.what] + 1
        key = " ".join(f"{name}={_short(value)}" for name, value in sorted(self.named.items()))
        before = {deed.key for deed in outside.done if deed.told == self.what}
        outside.done.append(Deed(self.what, key, self._life))
        names = " and ".join(self.named)
        under = f", under {'the same' if key in before else 'another'} {names}" if before and names else ""
        outside.tell(f"{self.what}, time {times}{under}")
        outside._world.touched()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None:
            self._outside.tell(f"answers {self.what} with {type(error).__name__}: {error}")
        self._outside._world.touched()


def _short(value: object) -> str:
    """A value as a story has it."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
