"""The actor under test, in memory and rebuilt."""

import pytest

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import make_app


@pytest.fixture(params=[False, True], ids=["in memory", "rebuilt"])
def actor(request: pytest.FixtureRequest) -> LoneActor:
    return LoneActor(make_app(), forgetful=request.param)
