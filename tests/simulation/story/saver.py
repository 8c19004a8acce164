"""A saver: keeps values in a state store while hosts die, and checks the answers (E19).

Each saver has two keys of its own, which it changes together, and all savers add to one list. Each change has the etag
of the value that it follows, so that a request which comes twice is done once. A third key counts for a second.

Its requests are repeated until they are answered: after a change without an answer it reads before it repeats it.
"""

import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from perdure.runtime.engine import Engine
from perdure.runtime.state.errors import EtagMismatch
from perdure.runtime.state.state import StateChange, StateRead, StateValue
from perdure.runtime.state.stores import USUAL_STORE
from perdure.testing.simulation.base import REPEAT_S, UNANSWERED, BaseWorld

from ..checks.broken import Broken
from ..invariants import Witness

T = TypeVar("T")

ROUNDS_MAX = 8
SHARED = "list"
TTL_S = 1


class SharedList:
    """The additions of the savers of a world to their list, as far as they know.

    Attributes:
        acknowledged: The acknowledged additions, in the order of the answers.
    """

    def __init__(self) -> None:
        self.acknowledged: list[str] = []


class Saver:
    """Saves, looks, and saves again.

    Args:
        shared: The list of all savers of the world.

    Attributes:
        asking: The request without an answer; None if there is none.
    """

    def __init__(self, world: BaseWorld, witness: Witness, name: str, shared: SharedList) -> None:
        self.name = name
        self.asking: str | None = None
        self._world = world
        self._witness = witness
        self._sometimes = witness.sometimes
        self._shared = shared
        self._pair = f"{name}-left", f"{name}-right"
        self._tried = 0  # the highest number that it has tried to save
        self._acknowledged = 0

    async def live(self) -> None:
        """Save and check until the end.

        Raises:
            Broken: E19.
        """
        draw = self._world.choices.draw
        for number in range(1, 2 + draw("saver.rounds", ROUNDS_MAX)):
            await self._world.sleep(draw("saver.rests", 4) * 0.02)
            await self._save_pair(number)
            if draw("saver.adds", 2):
                await self._add(f"{self.name}.{number}")
            if draw("saver.expires", 4) == 1:
                await self._save_for_a_second()
        await self.look()

    async def look(self) -> None:
        """Read its own values, and the list.

        Raises:
            Broken: E19.
        """
        added = list(self._shared.acknowledged)
        self._check_pair(await self._read(self._pair))
        self._check_list(added, list_of(await self._read_one(SHARED)))

    async def _save_pair(self, number: int) -> None:
        self._tried = number
        while True:
            there = await self._read(self._pair)
            if self._check_pair(there) == number:
                self._sometimes["a save without an answer was done"] += 1
                break  # by a request that got no answer
            changes = [
                StateChange(key, b"%d" % number, *following(read.value))
                for key, read in zip(self._pair, there, strict=True)
            ]
            if await self._change(changes):
                break
        self._acknowledged = number

    async def _add(self, token: str) -> None:
        while True:
            added = list(self._shared.acknowledged)
            value = await self._read_one(SHARED)
            there = list_of(value)
            self._check_list(added, there)
            if token in there:
                break
            if await self._change([StateChange(SHARED, json.dumps([*there, token]).encode(), *following(value))]):
                break
        self._shared.acknowledged.append(token)

    async def _save_for_a_second(self) -> None:
        key = f"{self.name}-soon"
        await self._change([StateChange(key, b"1", ttl_s=TTL_S)])
        if self._world.clock.may_be_set:
            return
        # A request that got no answer may have been late by as much again.
        await self._world.sleep(2 * TTL_S)
        if await self._read_one(key) is not None:
            await self._world.sleep(REPEAT_S)
            if await self._read_one(key) is not None and not self._sometimes["repeated request"]:
                self._tell(f"{key} is served though its time is over")
        self._sometimes["a value expired"] += 1

    def _check_pair(self, reads: Sequence[StateRead]) -> int:
        """E19: both halves are the same, not older than the last acknowledged nor newer than the last tried."""
        left, right = (int(read.value.value) if read.value is not None else 0 for read in reads)
        if left != right:
            self._tell(f"{self.name} has saved two values together, and they are {left} and {right}")
        if not self._acknowledged <= left <= self._tried:
            self._tell(f"{self.name} has {self._acknowledged} acknowledged of {self._tried}, and reads {left}")
        return left

    def _check_list(self, added: Sequence[str], there: Sequence[str]) -> None:
        """E19: all earlier acknowledged additions are in the list, each once."""
        if lost := set(added) - set(there):
            self._tell(f"{min(lost)} was added to the list, and is not there: {there}")
        if len(there) != len(set(there)):
            self._tell(f"the list has something twice: {there}")

    def _tell(self, what: str) -> None:
        broken = Broken("E19", what)
        self._witness.tell(broken)
        raise broken

    # Requests.

    async def _read_one(self, key: str) -> StateValue | None:
        [read] = await self._read([key])
        return read.value

    async def _read(self, keys: Sequence[str]) -> Sequence[StateRead]:
        return await self._ask("a reading", lambda engine: engine.states.get_many(USUAL_STORE, keys))

    async def _change(self, changes: Sequence[StateChange]) -> bool:
        """Make changes, all of them or none; False if their outcome is unknown."""
        self.asking = "a save"
        try:
            await self._world.call(lambda engine: engine.states.change(USUAL_STORE, changes, whole=True))
        except EtagMismatch:
            self._sometimes["a save was refused"] += 1
            return False
        except UNANSWERED:
            self._sometimes["repeated request"] += 1
            await self._world.sleep(REPEAT_S)
            return False
        finally:
            self.asking = None
        self._sometimes["save"] += 1
        return True

    async def _ask(self, what: str, request: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
        while True:
            self.asking = what
            try:
                return await self._world.call(request)
            except UNANSWERED:
                self._sometimes["repeated request"] += 1
            finally:
                self.asking = None
            await self._world.sleep(REPEAT_S)


def list_of(value: StateValue | None) -> list[str]:
    """The list of all savers, as it is."""
    found: list[str] = json.loads(value.value) if value is not None else []
    return found


def following(value: StateValue | None) -> tuple[str, bool]:
    """The etag of a change that follows a value, and whether there must be none."""
    return (value.etag, False) if value is not None else ("", True)
