"""The pictures of the documents are the ones that their scripts draw from the code of today."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from perdure.runtime.history.status import TRANSITIONS

from ..support.paths import ROOT
from ..support.source import LAYERS


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


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = ROOT / "docs" / "site"
    monkeypatch.syspath_prepend(folder)  # its modules lie beside it
    return folder


@pytest.mark.parametrize("name", ["layers", "request"])
def test_a_picture_is_what_its_script_draws(name: str, site: Path) -> None:
    drawn = runpy.run_path(str(site / f"{name}.py"))["drawn"]()
    assert (ROOT / "docs" / "pictures" / f"{name}.svg").read_text() == drawn, (
        f"draw it again: python docs/site/{name}.py > docs/pictures/{name}.svg"
    )


def test_every_layer_is_drawn_and_what_it_imports_is_below_it(site: Path) -> None:
    script = runpy.run_path(str(site / "layers.py"))
    may_import = script["table"]()
    assert set(LAYERS) == may_import.keys()
    # What the arrows lead to is all that may be imported.
    arrows = set(script["needed"](may_import))
    by_arrows = {layer: {target for source, target in arrows if source == layer} for layer in may_import}
    for layer, below in may_import.items():
        assert script["reached"](layer, by_arrows) >= below
        assert all(script["level"](each, may_import) < script["level"](layer, may_import) for each in below)


def test_every_step_of_a_request_names_a_module(site: Path) -> None:
    steps = runpy.run_path(str(site / "request.py"))["STEPS"]
    assert [module for _, module, _ in steps if not (ROOT / module).is_file()] == []
