"""Worlds of hosts that share a database as attempts, for the searches of `testing/simulation/search/`."""

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.search.attempt import Attempt, Run, innermost

from .sharing import SharingHosts


def run_of(number: int, *, for_s: float = 10.0) -> Run:
    """Runs a world of so many hosts for a while."""

    def run(choices: Choices) -> Attempt:
        hosts = SharingHosts(choices, number)
        error: Exception | None = None
        try:
            hosts.run(for_s=for_s)
        except Exception as raised:
            error = innermost(raised)
        story = [f"{stream}: {value} at its draw {index}" for (stream, index), value in choices.taken.items()]
        return Attempt(error, f"{hosts.loop.fingerprint}", [], choices, story)

    return run
