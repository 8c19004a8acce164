"""Knobs: the sizes of an engine, drawn for each world, as a bug may show with one actor in memory and not with ten.

The rule: 0 leaves a size as it is. No size changes what an engine promises; limits that end instances, such as the
limit on the length of a history, are not among them.

Some are settings. The others are constants of the parts of a host, which are set on the parts of one engine.
"""

from dataclasses import replace
from typing import Any

from ...runtime.engine import Engine
from ...runtime.settings import Settings
from .choices import Choices

# The sizes that may be drawn beside the one that is set; half of the draws leave it.
ACTIVATIONS = (1, 2, 10)
ACTIVITIES = (1, 2, 5)
MESSAGES = (1, 2, 10)
# (part of the host, constant) -> sizes
CONSTANTS: dict[tuple[str, str], tuple[float, ...]] = {
    ("_committer", "PATIENCE_S"): (0.0, 0.000_1, 0.2),
    ("_committer", "CATCH_UP_ROUNDS"): (0, 1, 20),
    ("_mailroom.loader", "BATCH"): (1, 2, 5),
    ("_inspector", "BATCH_FIRST"): (1, 2, 64),
    ("_reminders", "SLICE"): (1, 2, 5),
    ("_reminders", "READ"): (1, 2, 5),
    ("_reminders._window", "reminders_max"): (1, 2, 5),
    ("_recovery", "BATCH"): (1, 2, 5),
}
# The constants whose stream has another name.
STREAMS = {("_recovery", "BATCH"): "recovery_batch"}


class Knobs:
    """The sizes of one world.

    Args:
        settings: The settings of the engines, without the drawn sizes.

    Attributes:
        settings: The settings with the drawn sizes.
    """

    def __init__(self, settings: Settings, choices: Choices) -> None:
        self._choices = choices
        self.settings = replace(
            settings,
            activations_max=self._drawn("activations", settings.activations_max, ACTIVATIONS),
            activities_max=self._drawn("activities", settings.activities_max, ACTIVITIES),
            mailbox_messages_max=self._drawn("messages", settings.mailbox_messages_max, MESSAGES),
            always_replay=settings.always_replay or choices.draw("knob.always_replay", 4) == 1,
        )
        drawn = {
            place: self._drawn(STREAMS.get(place, place[1].lower()), None, sizes) for place, sizes in CONSTANTS.items()
        }
        self._constants = {place: size for place, size in drawn.items() if size is not None}

    def turn(self, engine: Engine) -> None:
        """Give an engine that has not begun the sizes of its parts."""
        for (path, name), size in self._constants.items():
            part: Any = engine._host
            for attribute in filter(None, path.split(".")):
                part = getattr(part, attribute)
            assert hasattr(part, name), f"{path} has no {name}"
            setattr(part, name, size)

    def _drawn(self, name: str, usual: Any, sizes: tuple[Any, ...]) -> Any:
        at = self._choices.draw(f"knob.{name}", 2 * len(sizes)) - len(sizes)
        return sizes[at] if at >= 0 else usual
