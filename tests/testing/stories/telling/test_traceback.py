"""The traceback of a failure has the user's lines and no others."""

import traceback

from perdure.testing import InvariantFailed, World
from perdure.testing.stories.telling.traceback import users_own

from ..shop import Shop, calm


def fails() -> None:
    raise AssertionError("but it is")


def files(error: BaseException | None) -> list[str]:
    assert error is not None
    return [frame.filename.rpartition("/")[2] for frame in traceback.extract_tb(error.__traceback__)]


def test_of_an_invariant_it_is_that_of_the_assert() -> None:
    async def story(world: World) -> None:
        world.always(fails, "nothing is sold")
        await world.client.start("wait", input="x")

    error = calm(Shop().app, story).error
    assert isinstance(error, InvariantFailed)
    own = users_own(error)
    assert str(own) == "but it is"
    assert files(own) == ["test_traceback.py"]


def test_of_an_error_of_the_story_it_is_its_own() -> None:
    async def story(world: World) -> None:
        raise KeyError("x")

    assert files(users_own(calm(Shop().app, story).error))[-1] == "test_traceback.py"


def test_what_no_line_of_the_users_has_led_to_has_none() -> None:
    assert users_own(None) is None
    assert users_own(ValueError("made here, and not raised")) is None
