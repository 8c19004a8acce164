"""The pictures of the documents are those that their scripts draw from the code of today."""

import runpy
from typing import Any

import pytest

from perdure.runtime.history.status import TRANSITIONS

from ..support.paths import ROOT


@pytest.fixture(scope="module")
def life() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "site" / "life.py"))


def test_the_picture_of_an_instances_life_is_that_of_the_table(life: dict[str, Any]) -> None:
    assert (ROOT / "docs" / "pictures" / "life.svg").read_text() == life["drawn"](), (
        "draw it again: python docs/site/life.py > docs/pictures/life.svg"
    )


def test_every_step_of_the_table_is_an_arrow(life: dict[str, Any]) -> None:
    drawn = {
        (source, step, arrow.target)
        for arrow in life["arrows"]()
        for step in arrow.steps
        for source in (arrow.source if isinstance(arrow.source, frozenset) else [arrow.source])
    }
    assert drawn == {(source, step, target) for (source, step), target in TRANSITIONS.items() if source is not None}
