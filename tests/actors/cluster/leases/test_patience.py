"""A refused request to a store is tried again, after growing pauses, while it may still succeed."""

import logging

import anyio
import pytest

from perdure.actors.cluster.leases.patience import RETRY_MAX_S, RETRY_MIN_S, TOLD_AFTER_S, patiently
from perdure.actors.store.errors import StoreFailed
from perdure.testing.virtual_time import run_virtually

pytestmark = pytest.mark.usefixtures("virtual_backend")


class Refusing:
    def __init__(self, times: int) -> None:
        self.left = times
        self.at: list[float] = []

    async def do(self) -> str:
        self.at.append(anyio.current_time())
        if self.left:
            self.left -= 1
            raise StoreFailed("away")
        return "done"


def test_it_is_done_in_the_end_and_the_pauses_grow() -> None:
    async def story() -> None:
        refusing = Refusing(6)
        assert await patiently(refusing.do) == "done"
        pauses = [later - at for at, later in zip(refusing.at, refusing.at[1:], strict=False)]
        assert pauses[:4] == pytest.approx([RETRY_MIN_S * 2**i for i in range(4)])
        assert pauses[4:] == pytest.approx([RETRY_MAX_S] * 2)

    run_virtually(story)


def test_it_is_left_undone_when_there_is_no_more_sense_in_it() -> None:
    async def story() -> None:
        refusing = Refusing(99)
        assert await patiently(refusing.do, while_=lambda: len(refusing.at) < 3) is None
        assert len(refusing.at) == 3

    run_virtually(story)


def test_anything_but_an_error_of_a_store_is_raised() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        run_virtually(lambda: patiently(fail))


@pytest.mark.parametrize(("times", "told"), [(4, []), (40, ["cannot agree on their shards", "can agree"])])
def test_a_store_that_refuses_for_long_is_told_of_once_and_when_it_does_no_more(
    times: int, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        assert await patiently(Refusing(times).do) == "done"

    assert 4 * RETRY_MAX_S < TOLD_AFTER_S < 40 * RETRY_MAX_S
    run_virtually(story)
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(said) == len(told)
    assert all(words in line for words, line in zip(told, said, strict=True))
