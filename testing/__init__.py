"""The tools for users' tests: simulated worlds (`simulated`, `World`), old histories (`replay`), older code (`app_at`).

The rule: importing it imports no engine.

A name is imported at its first use: pytest's plugin lies here, and is loaded by every suite (`testing/plugin.py`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .simulation.calls import ConnectionLost
    from .simulation.loop import Stuck
    from .stories.code.revision import app_at, module_at
    from .stories.decorator import schedule, simulated
    from .stories.errors import Escaped, InvariantFailed, SimulationFailed, SimulationMisuse
    from .stories.faults import Faults
    from .stories.histories import HistoriesUnfit, replay
    from .stories.world import World

__all__ = [
    "ConnectionLost",
    "Escaped",
    "Faults",
    "HistoriesUnfit",
    "InvariantFailed",
    "SimulationFailed",
    "SimulationMisuse",
    "Stuck",
    "World",
    "app_at",
    "module_at",
    "replay",
    "schedule",
    "simulated",
]

# Name -> where it is defined, as above.
_HOMES = {
    "ConnectionLost": "simulation.calls",
    "Escaped": "stories.errors",
    "Faults": "stories.faults",
    "HistoriesUnfit": "stories.histories",
    "InvariantFailed": "stories.errors",
    "SimulationFailed": "stories.errors",
    "SimulationMisuse": "stories.errors",
    "Stuck": "simulation.loop",
    "World": "stories.world",
    "app_at": "stories.code.revision",
    "module_at": "stories.code.revision",
    "replay": "stories.histories",
    "schedule": "stories.decorator",
    "simulated": "stories.decorator",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
