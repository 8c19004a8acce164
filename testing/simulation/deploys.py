"""Deploys, and their way back: the app with which the next life of a host starts.

The rule: by default a host starts with the app that it had.

Two streams choose another app, in worlds of several apps: `deploy`, when a host comes back after a crash, and
`deploy.now`, which stops a host that is up in order (`testing/simulation/weather.py`).
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from ...runtime.authoring.app import App
from .choices import Choices

# "forward": from the first app to the last, one at a time. "back and forth": to any other.
DeployMode: TypeAlias = Literal["forward", "back and forth"]

# How often a host that comes back has another app, in worlds in which it happens at all. There are few starts, so this
# is more often than other faults.
DEPLOY_RATES = (0.1, 0.3, 0.7)


class Deploys:
    """The apps of a host, in the order of their making.

    Args:
        apps: One or more; the first life has the first.

    Attributes:
        now: The app of the next life.
        mode: Which app may follow which.
    """

    def __init__(self, apps: Sequence[App], mode: DeployMode, choices: Choices) -> None:
        assert apps, "a host has an app"
        self.apps = tuple(apps)
        self.now = self.apps[0]
        self.mode = mode
        self._choices = choices

    def choose(self, stream: str, rates: Sequence[float] = DEPLOY_RATES) -> bool:
        """Let a stream choose another app for the next life; return whether it has.

        Args:
            rates: A world has one of these, or none.
        """
        others = self._others()
        if not others:
            return False
        chosen = self._choices.fault(stream, len(others) + 1, rates=rates)
        if chosen:
            self.now = others[chosen - 1]
        return bool(chosen)

    def _others(self) -> Sequence[App]:
        at = self.apps.index(self.now) if self.now in self.apps else -1
        if self.mode == "forward":
            return self.apps[at + 1 : at + 2]
        return [app for number, app in enumerate(self.apps) if number != at]
