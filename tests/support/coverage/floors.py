"""The shares below which no module may fall, and the layers that have any: `floors.toml`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

# The kinds of share, as floors.toml names them: by all tests, and by a module's own test file.
BY_ALL, BY_OWN = "by_all", "by_own"

Floors = Mapping[str, Mapping[str, float]]  # kind -> layer or module -> percent

_FILE = Path(__file__).with_name("floors.toml")


def floors() -> Floors:
    """The floors of today."""
    told: Floors = tomllib.loads(_FILE.read_text())
    return told


def layers(of: Floors) -> list[str]:
    """The layers that are measured: their names are folders of the package, and of its tests."""
    return [name for name in of[BY_ALL] if "/" not in name]
