"""The plan of a simulated test: what `simulated(...)` was given, checked and frozen.

The rule: a value that no simulation can use is an error where the decorator stands.

`testing/stories/decorator.py` makes it.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ...runtime.authoring.app import App
from ...runtime.settings import Settings
from ..simulation.choices import Schedule
from ..simulation.deploys import DeployMode
from .errors import SimulationMisuse
from .faults import Faults

# A story: gets its world, and what pytest's fixtures give.
Story = Callable[..., Awaitable[object]]

STOP_GRACE_S = 1.0  # of a host in a world, unless the test's settings say otherwise
# The types of some arguments.
KINDS_OF_VALUES: Mapping[str, type] = {"faults": Faults, "settings": Settings, "within": timedelta, "seeds": int}
# How much of the processor's time a world may take; most take some milliseconds.
WORLD_CPU_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationPlan:
    """The worlds that a simulated test is to try.

    Raises:
        SimulationMisuse: The arguments cannot be simulated.
    """

    story: Story
    apps: Sequence[App]  # in the order of their making
    deploy: DeployMode = "forward"
    hosts: int = 1
    seeds: int = 200
    sweep: int = 2  # 0: only the calm world, 1: each single fault, 2: each pair of faults too
    faults: Faults = field(default_factory=Faults)
    settings: Settings | None = None
    within: timedelta = timedelta(days=30)  # virtual time, for the work under way to end after the last fault
    schedules: Sequence[Schedule] = ()  # tried first
    cpu_s: float = WORLD_CPU_S

    def __post_init__(self) -> None:
        if self.hosts != 1:
            raise SimulationMisuse(
                f"hosts={self.hosts}: a world has one host as yet. Leave hosts out, or give hosts=1: one that crashes "
                "and comes back is what an instance sees of several"
            )
        for name, kind in KINDS_OF_VALUES.items():
            value = getattr(self, name)
            fits = isinstance(value, kind) and not isinstance(value, bool)
            if not fits and not (name == "settings" and value is None):
                raise SimulationMisuse(f"{name} is a {kind.__module__}.{kind.__qualname__}, not {value!r}")
        if not self.apps or not all(isinstance(app, App) for app in self.apps):
            raise SimulationMisuse("simulated(app) or simulated(versions=[old, new]) takes one or more perdure.App")
        if self.deploy not in ("forward", "back and forth"):
            raise SimulationMisuse(f'deploy is "forward" or "back and forth", not {self.deploy!r}')
        if self.sweep not in (0, 1, 2):
            raise SimulationMisuse(f"sweep is 0, 1 or 2, not {self.sweep!r}")
        if self.seeds < 0:
            raise SimulationMisuse(f"seeds is how many worlds are tried at random, not {self.seeds}")
        if self.within <= timedelta(0):
            raise SimulationMisuse(f"within is how long the work under way may take to end, not {self.within}")

    @property
    def name(self) -> str:
        """The name of the story."""
        return getattr(self.story, "__name__", "the story")

    @property
    def functions(self) -> list[Callable[..., Any]]:
        """All functions of the user's that are known: those of the apps, and the story."""
        found: list[Callable[..., Any]] = [self.story]
        for app in self.apps:
            found += [definition.function for definition in app.workflows.values()]
            found += [definition.function for definition in app.activities.values()]
        return found


def parameters_of(story: Story) -> list[inspect.Parameter]:
    """The parameters of a story beside its world: those of fixtures, and the object if it is a method.

    Raises:
        SimulationMisuse: It is no story.
    """
    name = getattr(story, "__name__", repr(story))
    if not inspect.iscoroutinefunction(story):
        raise SimulationMisuse(f"{name} is no story: simulated takes an `async def` of (world)")
    others = list(inspect.signature(story).parameters.values())
    at = 1 if others and others[0].name in ("self", "cls") else 0
    if len(others) <= at or any(each.name == "world" for each in others[at + 1 :]):
        raise SimulationMisuse(f"{name} is no story: its first parameter is the world")
    del others[at]
    return others


def apps_of(app: App | None, versions: Sequence[App] | None) -> Sequence[App]:
    """The apps that a test has named in one of two ways.

    Raises:
        SimulationMisuse: In both, or in none.
    """
    if (app is None) == (versions is None):
        raise SimulationMisuse("give simulated an app, or versions=[old, new]: one of the two")
    if isinstance(versions, App):
        raise SimulationMisuse("versions are several apps, as versions=[old, new]; of one app, write simulated(app)")
    return [app] if app is not None else list(versions or ())
