"""Code that blocks lets virtual time pass, and leaves if its host is dead."""

import pytest

from perdure.testing.simulation.loop import HOST, SimLoop
from perdure.testing.stories.code.blocking import Blocking, HostKilled


@pytest.fixture
def blocking() -> Blocking:
    made = Blocking()
    made.loop = SimLoop()  # type: ignore[abstract]
    return made


def test_time_passes(blocking: Blocking) -> None:
    blocking.wait(5)
    blocking.wait(-1)
    assert blocking.loop is not None
    assert blocking.loop.time() == 5


def test_code_of_a_dead_host_goes_no_further(blocking: Blocking) -> None:
    assert blocking.loop is not None
    blocking.loop.dead.add(7)
    context = blocking.loop.in_life(7)
    with pytest.raises(HostKilled):
        context.run(blocking.wait, 1)
    with pytest.raises(HostKilled):
        blocking.stop()
    assert HOST.get() == 0


def test_no_handler_of_errors_takes_it_for_one() -> None:
    assert not issubclass(HostKilled, Exception)
