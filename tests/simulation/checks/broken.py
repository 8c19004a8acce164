"""The error of an invariant that does not hold."""


class Broken(AssertionError):
    """An invariant does not hold.

    Args:
        invariant: Its number in docs/design/simulation.md, as E3.
        what: The finding, with the instance.
    """

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
