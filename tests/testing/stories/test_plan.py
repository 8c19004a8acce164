"""A plan is checked before anything is tried."""

from datetime import timedelta
from typing import Any

import pytest

from perdure import App
from perdure.testing import SimulationMisuse
from perdure.testing.stories.plan import SimulationPlan, apps_of, parameters_of

APP = App("a")


async def story(world: object) -> None: ...


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hosts": 2}, "hosts=2: a world has one host as yet"),
        ({"apps": []}, "takes one or more perdure.App"),
        ({"apps": ["shop"]}, "takes one or more perdure.App"),
        ({"deploy": "backward"}, "'backward'"),
        ({"sweep": 3}, "sweep is 0, 1 or 2"),
        ({"seeds": -1}, "not -1"),
        ({"seeds": True}, "seeds is a builtins.int, not True"),
        ({"within": timedelta(0)}, "within is how long"),
        ({"within": timedelta(-1)}, "within is how long"),
    ],
)
def test_what_cannot_be_tried_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SimulationMisuse, match=said):
        SimulationPlan(**{"story": story, "apps": [APP], **wrong})  # type: ignore[arg-type]


def test_a_plan_takes_an_app_or_versions_and_not_both() -> None:
    assert apps_of(APP, None) == [APP]
    assert apps_of(None, [APP, APP]) == [APP, APP]
    for app, versions in ((None, None), (APP, [APP])):
        with pytest.raises(SimulationMisuse):
            apps_of(app, versions)


def test_a_plan_knows_all_functions_of_the_users() -> None:
    app = App("b")

    @app.workflow
    async def w(ctx: object) -> None: ...

    @app.activity
    async def a(ctx: object) -> None: ...

    assert SimulationPlan(story=story, apps=[app], within=timedelta(1)).functions == [story, w, a]
    assert SimulationPlan(story=story, apps=[app]).name == "story"


def test_the_parameters_beside_the_world_are_those_of_fixtures_and_of_a_method() -> None:
    async def method(self: object, world: object, tmp_path: object) -> None: ...

    assert [each.name for each in parameters_of(method)] == ["self", "tmp_path"]
    assert parameters_of(story) == []


async def worlds(world: object) -> Any:
    yield world


async def without(self: object) -> None: ...


async def behind(tmp_path: object, world: object) -> None: ...


@pytest.mark.parametrize("none", [print, lambda world: None, worlds, without, behind])
def test_what_is_no_story_is_refused(none: Any) -> None:
    with pytest.raises(SimulationMisuse, match="is no story"):
        parameters_of(none)
