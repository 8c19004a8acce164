"""Seeds are run until one fails; its schedule is confirmed, and made small."""

import pytest

from perdure.testing.simulation.choices import Choices, told
from perdure.testing.simulation.search.attempt import Attempt, NotRepeatable
from perdure.testing.simulation.search.explore import explore

from .orders import orders


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def test_a_failure_is_told_by_a_line() -> None:
    found = explore(orders(with_key=False), range(300))
    assert found is not None
    assert str(found.error).startswith("order-0 was charged")
    assert len(found.schedule) <= 3, told(found.schedule)
    assert any(line.startswith("!") for line in found.story.splitlines()), found.story


def test_seeds_without_a_failure_are_green() -> None:
    assert explore(orders(with_key=True), range(20)) is None


def test_a_failure_that_does_not_happen_again_is_not_believed() -> None:
    runs: list[int] = []

    def run(choices: Choices) -> Attempt:
        runs.append(1)
        return Attempt(AssertionError("x") if len(runs) == 3 else None, "", (), choices)

    with pytest.raises(NotRepeatable, match="came out in two ways"):
        explore(run, range(10))
