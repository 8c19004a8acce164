"""Two apps in one world: their code, the readers of the commits of each, and which host has which of them.

The hosts of a world have the first app, or the second, or both. The second may come late: then no host has it at first,
and requests to it wait.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from perdure import ActivityContext, App
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices

from ..invariants import Witness
from ..programs import Program, Stage, app_of
from ..side import Side
from .calls import CallsSeen
from .crossing import FIRST, SECOND, a_crossing_program, steps_to
from .sides import DoorsOfApp, Rings, WorldOfApp

APPS = (FIRST, SECOND)
# Which apps the hosts have, one after the other, and then again from the front. The first host has the first app first.
LAYOUTS = (((0, 1),), ((0,), (1,)), ((0, 1), (1,), (0,)), ((0,), (1, 0)))
COMES_S = (0.3, 1.0, 3.0)
# The apps are made once, as all apps of worlds: each has a stage, because each has a witness.
STAGES = (Stage(), Stage())
BOTH = tuple(
    app_of(stage.world, stage.performing, name=own, more=steps_to(other))
    for stage, own, other in zip(STAGES, APPS, reversed(APPS), strict=True)
)


class TwoApps:
    """The two apps of a world.

    Args:
        known: Gives the apps of the store, with their numbers; the first is the first of the hosts' by default.
        apart: Whether hosts may have one of them alone.

    Attributes:
        apps: The code of both.
        witnesses: Read the commits of each.
        is_late: No host has the second one.
        comes_s: When it comes, if it does; virtual seconds.
    """

    def __init__(
        self,
        choices: Choices,
        world_of: Callable[[], BaseWorld],
        *,
        standings: int,
        known: Callable[[], Mapping[str, int]] = lambda: {FIRST: 0},
        apart: bool = False,
    ) -> None:
        draw = choices.draw
        self._world_of = world_of
        self._rings = Rings(known)
        self._same_ids = draw("apps.same_ids", 2) == 1
        self._layout = LAYOUTS[draw("apps.layout", len(LAYOUTS))] if apart else LAYOUTS[0]
        self.is_late = draw("apps.late", 3) == 1
        self.comes_s = COMES_S[draw("apps.comes", len(COMES_S))]
        first = Witness(standings=standings, own=self._is_of(FIRST))
        self.witnesses = (first, Witness(standings=standings, own=self._is_of(SECOND), first=first))
        self.calls = CallsSeen(lambda: [self._rings.call(app_id) for app_id in APPS], first.tell)
        self.apps: Sequence[App] = BOTH

    def _is_of(self, app_id: str) -> Callable[[str], bool]:
        return lambda actor_type: actor_type == self._rings.workflow(app_id)

    @contextmanager
    def on_stage(self, world: BaseWorld, strikes: Callable[[str], bool]) -> Iterator[None]:
        """Have a world on the stages of both apps until the block ends; see `Stage.taken`."""
        with ExitStack() as taken:
            for number, stage in enumerate(STAGES):
                taken.enter_context(stage.taken(world, self._performing(number), strikes))
            yield

    def _performing(self, number: int) -> Callable[[ActivityContext], None]:
        own, other = self.witnesses[number], self.witnesses[1 - number]

        def performing(ctx: ActivityContext) -> None:
            if ctx.task_execution_id in other.scheduled:
                # A withdrawal of a call is a turn of that: what begins meanwhile begins in vain.
                other.performing_at_a_worker(ctx)
                self.calls.performing(ctx)
            else:
                own.performing(ctx)

        return performing

    def sides(self) -> Sequence[Side]:
        """The callers of both apps; their world exists by now."""
        world = self._world_of()
        world.on_commit.append(self.calls.committed)
        return [self._side(world, number) for number in range(len(APPS))]

    def _side(self, world: BaseWorld, number: int) -> Side:
        seen: Any = WorldOfApp(world, APPS[number])
        prefix = "b" if number and not self._same_ids else "i"
        workflow = lambda: self._rings.workflow(APPS[number])  # noqa: E731
        return Side(seen, self.witnesses[number], DoorsOfApp(world), prefix=prefix, workflow=workflow)

    def fates(self, kinds: Sequence[str]) -> Sequence[str]:
        """The fates that instances can have here: none sleeps for ever."""
        return [kind for kind in kinds if kind != "asleep"]

    def program(self, choices: Choices) -> Program:
        """Choose a program of either app."""
        return a_crossing_program(choices, named=self._same_ids)

    def hosted(self, host: int, app: App) -> Sequence[App]:
        """The apps of the next life of a host, by its number; 1 is the first."""
        if self.is_late:
            return self.apps[:1]
        return [self.apps[number] for number in self._layout[(host - 1) % len(self._layout)]]
