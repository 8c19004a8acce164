"""The report of coverage tells which module has fallen below its floor, and each layer that it measures has floors."""

import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import coverage
import pytest

from ..support.coverage.report import (
    BY_ALL,
    BY_OWN,
    FLOORS,
    Floors,
    Module,
    Share,
    below,
    modules,
    share_in_functions,
    share_of,
    sums,
    written,
)
from ..support.paths import ROOT

SUMMARY = {"covered_lines": 3, "covered_branches": 1, "num_statements": 4, "num_branches": 4}
TURN = Module("actors/turn.py", {BY_ALL: Share(8, 10), BY_OWN: Share(1, 10)})
TEXT = Module("actors/text.py", {BY_ALL: Share(9, 10)})


@pytest.fixture(scope="module")
def floors() -> Floors:
    told: Floors = tomllib.loads(FLOORS.read_text())
    return told


def test_a_share_counts_lines_and_branches() -> None:
    assert share_of(SUMMARY) == Share(4, 8)
    assert share_of(SUMMARY).percent == 50
    assert Share(0, 0).percent == 100


def test_what_runs_on_import_is_in_no_function() -> None:
    summaries: dict[str, Any] = {"": SUMMARY, "Turn.writes": SUMMARY, "split": SUMMARY}
    assert share_in_functions({"functions": {name: {"summary": each} for name, each in summaries.items()}}) == (8, 16)


def test_a_module_has_a_share_by_all_tests_and_one_by_its_own_test_file(tmp_path: Path) -> None:
    # Given a package with a module that two test files run, its own one and another,
    package = tmp_path / "perdure" / "actors"
    package.mkdir(parents=True)
    source = package / "turn.py"
    source.write_text(textwrap.dedent("def sign(n):\n    if n < 0:\n        return -1\n    return 1\n"))
    measured = coverage.Coverage(branch=True, config_file=False, data_file=None, include=[f"{tmp_path}/*"])
    space: dict[str, Any] = {}
    with measured.collect():
        exec(compile(source.read_text(), str(source), "exec"), space)  # noqa: S102  as an import would run it
        for test_file, argument in (("tests/actors/test_turn.py", 1), ("tests/actors/test_text.py", -1)):
            measured.switch_context(test_file)
            space["sign"](argument)
    # when the shares are taken, then all tests run all of it, and its own file two lines of three and a branch of two.
    (module,) = modules(measured, ["actors"])
    assert module == Module("actors/turn.py", {BY_ALL: Share(6, 6), BY_OWN: Share(3, 5)})
    # Of another layer there is nothing to tell.
    assert list(modules(measured, ["runtime"])) == []


def test_a_module_that_has_fallen_is_told_with_its_share_and_its_floor() -> None:
    assert sums([TURN, TEXT]) == {"actors": {BY_ALL: Share(17, 20), BY_OWN: Share(1, 10)}}
    assert list(below([TURN, TEXT], {BY_ALL: {"actors": 80}, BY_OWN: {"actors": 10}})) == []
    assert list(below([TURN, TEXT], {BY_ALL: {"actors": 81}, BY_OWN: {"actors": 10}})) == [
        "actors/turn.py: 80.0 % of its lines and branches are run by all tests, and the floor is 81 %. "
        "Write a test for what is new, or find the test that has gone."
    ]
    assert next(below([TURN], {BY_ALL: {"actors": 80}, BY_OWN: {"actors": 12.5}})).startswith(
        "actors/turn.py: 10.0 % of its lines and branches are run by its own test file, and the floor is 12.5 %."
    )


def test_a_module_may_have_a_floor_of_its_own() -> None:
    lower: Floors = {BY_ALL: {"actors": 90, "actors/turn.py": 80}, BY_OWN: {"actors": 10}}
    assert list(below([TURN, TEXT], lower)) == []
    higher: Floors = {BY_ALL: {"actors": 80, "actors/text.py": 91}, BY_OWN: {"actors": 10}}
    assert [each.partition(":")[0] for each in below([TURN, TEXT], higher)] == ["actors/text.py"]


def test_the_table_has_a_row_for_each_layer_and_each_module() -> None:
    _, *rows = written([TURN, TEXT]).splitlines()
    assert [row.split() for row in rows] == [
        ["actors", "85.0", "10.0"],
        ["actors/turn.py", "80.0", "10.0"],
        ["actors/text.py", "90.0", "-"],
    ]


def test_the_layers_that_are_measured_have_floors_of_both_kinds(floors: Floors) -> None:
    measured = re.search(r"^COVERED = (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert measured is not None
    for kind in (BY_ALL, BY_OWN):
        assert {name for name in floors[kind] if "/" not in name} == set(measured[1].split())


def test_floors_of_modules_are_of_modules_that_exist_and_differ_from_their_layers(floors: Floors) -> None:
    for of in floors.values():
        for name, floor in of.items():
            assert "/" not in name or ((ROOT / name).is_file() and floor != of[name.partition("/")[0]]), name
