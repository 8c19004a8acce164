"""What users test with: simulated worlds (`simulated`, `World`), old histories (`replay`), older code (`app_at`).

A name is imported when it is asked for: pytest's plugin lies here, and is loaded by every suite (`testing/plugin.py`).
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

# Module -> the names that it defines, as above.
_HOMES = {
    "stories.code.revision": ("app_at", "module_at"),
    "stories.decorator": ("schedule", "simulated"),
    "stories.errors": ("Escaped", "InvariantFailed", "SimulationFailed", "SimulationMisuse"),
    "stories.faults": ("Faults",),
    "stories.histories": ("HistoriesUnfit", "replay"),
    "stories.world": ("World",),
    "simulation.calls": ("ConnectionLost",),
    "simulation.loop": ("Stuck",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
