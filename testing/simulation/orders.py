"""Orders: which step is next, and how long steps and timers take.

The rule: all decisions of an order are drawn, and 0 is the behaviour of asyncio's own loop.

Each world has one of these:

    0  the oldest step
    1  in one of five steps any other
    2  any step
    3  the step of the highest priority: each task has one, and the task that runs loses it at a few steps of the world
       (PCT: Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs", 2010)
    4  the oldest, but for some tasks, which are overtaken repeatedly

In some worlds timers are late, and a few steps take long, as when the collector runs.
"""

from collections.abc import Sequence
from itertools import islice
from operator import attrgetter

from .choices import Choices
from .loop import SimHandle, SimLoop, StepOrder

# A step takes this long, for each world: with 0 alone, timers and work would never race.
STEP_COSTS_S = (0.000_002, 0.0, 0.000_020, 0.000_050)
ORDERS = 5
SELDOM, ALWAYS, PRIORITIES, VICTIMS = 1, 2, 3, 4
OVERTAKEN_ONE_IN = 5
# PCT: priorities, and how many steps there are at most between two moments at which the task that runs loses its own.
PRIORITIES_MAX, CHANGES, CHANGE_STEPS = 8, 4, 3_000
# The number of the oldest steps that are compared: in a large world hundreds are ready at once.
COMPARED_MAX = 16
# One task in VICTIM_ONE_IN is a victim, and is overtaken at most OVERTAKEN_MAX times before each of its steps.
VICTIM_ONE_IN, OVERTAKEN_MAX = 40, 200
LATE_S = (0.0, 0.000_5, 0.02, 1.0)
LATE_RATES = (0.01, 0.1, 0.5)
# Long steps: their length, their maximum number, and the maximum number of steps between two of them.
LONG_STEP_S, LONG_STEPS, LONG_STEPS_APART = 0.1, 3, 5_000


def put_in_order(loop: SimLoop, choices: Choices) -> "Lateness":
    """Give a loop the order of a world, the time of its steps and the lateness of its timers, and return the last."""
    draw = choices.draw
    loop.step_s = STEP_COSTS_S[draw("world.step", len(STEP_COSTS_S))]
    loop.order = order_of(choices)
    lateness = Lateness(loop, choices)
    loop.delay = lateness.delay
    at = 0
    for _ in range(LONG_STEPS if draw("world.long_steps", 4) == 1 else 0):
        if apart := draw("step.long", LONG_STEPS_APART):
            at += apart
            loop.long_steps[at] = LONG_STEP_S
    return lateness


def order_of(choices: Choices) -> StepOrder | None:
    """The order of a world; None: the oldest step is next."""
    match choices.draw("world.order", ORDERS):
        case 1:
            return AnyOrder(choices, one_in=OVERTAKEN_ONE_IN)
        case 2:
            return AnyOrder(choices, one_in=1)
        case 3:
            return PriorityOrder(choices)
        case 4:
            return VictimOrder(choices)
        case _:
            return None


class AnyOrder:
    """Any step is next, in one of `one_in` steps; else the oldest."""

    def __init__(self, choices: Choices, *, one_in: int) -> None:
        self._draw = choices.draw
        self._one_in = one_in

    def choose(self, ready: Sequence[SimHandle]) -> int:
        if self._one_in > 1 and self._draw("order.whether", self._one_in) < self._one_in - 1:
            return 0
        return self._draw("order", len(ready))


class PriorityOrder:
    """The step of the task with the highest priority is next, among the oldest ones; of equal ones the oldest.

    Plain callbacks have no priority: the oldest of them comes behind each step of a task. With priorities they could
    keep all tasks waiting, because anyio's cancellation calls itself until the tasks have ended.
    """

    def __init__(self, choices: Choices) -> None:
        self._draw = choices.draw
        self._priorities: dict[int, int] = {}
        self._callback_next = False
        self._taken = 0
        self._lowest = 0
        self._change_at = self._next_change()
        self._changes = 1

    def choose(self, ready: Sequence[SimHandle]) -> int:
        priorities = self._priorities
        best, at = None, 0
        self._callback_next = not self._callback_next
        for number, handle in enumerate(islice(ready, COMPARED_MAX)):
            if not handle.number:
                if self._callback_next:
                    return number
                continue
            priority = priorities.get(handle.number)
            if priority is None:
                priority = priorities[handle.number] = self._draw("order.priority", PRIORITIES_MAX)
            if best is None or priority > best:
                best, at = priority, number
        self._taken += 1
        if self._taken == self._change_at:
            self._lowest -= 1
            priorities[ready[at].number] = self._lowest
            self._change_at = self._next_change() if self._changes < CHANGES else 0
            self._changes += 1
        return at

    def _next_change(self) -> int:
        apart = self._draw("order.change", CHANGE_STEPS)
        return self._taken + apart if apart else 0


class VictimOrder:
    """The oldest step is next, but for those of victims, as long as there are others and they have not waited long."""

    def __init__(self, choices: Choices) -> None:
        self._victim = choices.draw("order.victim", VICTIM_ONE_IN)
        self._overtaken: dict[int, int] = {}

    def choose(self, ready: Sequence[SimHandle]) -> int:
        if not self._victim:
            return 0
        for at, handle in enumerate(ready):
            number = handle.number
            if not number or number % VICTIM_ONE_IN != self._victim:
                return at
            waited = self._overtaken.get(number, 0)
            if waited >= OVERTAKEN_MAX:
                self._overtaken[number] = 0
                return at
            self._overtaken[number] = waited + 1
        return 0


class LateTimer(SimHandle):
    """A timer that fires late.

    Attributes:
        due_s: When it should have fired, in virtual seconds.
        over_s: When it fires; or when it was cancelled, if that came first.
    """

    __slots__ = ("_loop", "due_s", "over_s")

    def __init__(self, timer: SimHandle, late_s: float, loop: SimLoop) -> None:
        self.due_s = timer.when_s
        self.over_s = timer.when_s + late_s
        self._loop = loop
        super().__init__(timer.callback, timer.args, timer.context, self.over_s)

    def cancel(self) -> None:
        """Do not call it, and let it be over now."""
        super().cancel()
        self.over_s = min(self.over_s, self._loop.time())


class Lateness:
    """The lateness of the timers of lives, and how much of a delay it explains."""

    def __init__(self, loop: SimLoop, choices: Choices) -> None:
        self._loop = loop
        self._choices = choices
        self._late: list[LateTimer] = []

    def delay(self, timer: SimHandle) -> SimHandle:
        """Replace a timer by a late one, or return it unchanged."""
        at = self._choices.noise("timer.late", len(LATE_S), rates=LATE_RATES)
        if not at:
            return timer
        late = LateTimer(timer, LATE_S[at], self._loop)
        self._late.append(late)
        return late

    def between_s(self, begin_s: float, end_s: float) -> float:
        """For how long, between two moments, some timer was due and had not fired yet.

        Code that waits for one late timer after the other is late by that, and by no more.

        Args:
            begin_s, end_s: Virtual seconds.
        """
        total_s, until_s = 0.0, begin_s
        for timer in sorted(self._late, key=attrgetter("due_s")):
            from_s, to_s = max(timer.due_s, until_s), min(timer.over_s, end_s)
            if from_s < to_s:
                total_s += to_s - from_s
                until_s = to_s
        return total_s
