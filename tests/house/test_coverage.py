"""The report of coverage tells what falls below its floor, and every layer has one."""

import tomllib
from typing import Any

from ..support.coverage.report import FLOORS, Module, Share, below, layers, modules, share_of, written
from ..support.source import LAYERS

SUMMARY = {"covered_lines": 3, "covered_branches": 1, "num_statements": 4, "num_branches": 4}


def test_a_share_counts_lines_and_branches() -> None:
    assert share_of(SUMMARY) == Share(4, 8)
    assert share_of(SUMMARY).percent == 50
    assert Share(0, 0).percent == 100


def test_a_module_is_run_by_its_own_test_file_where_that_has_run_the_line() -> None:
    # Given two lines of a module, of which its own test file has run one,
    own = "tests/actors/test_turn.py"
    contexts = {"1": ["", own], "2": ["tests/actors/test_text.py"]}
    told: dict[str, dict[str, Any]] = {
        "actors/hosting/border.py": {"summary": SUMMARY},
        "actors/turn.py": {"summary": SUMMARY, "contexts": contexts},
    }
    # when the shares are taken, then it is one of four; a module without such a file has none.
    first, second = modules(told)
    assert (first.path, first.by_its_own) == ("actors/hosting/border.py", None)
    assert second.by_its_own == Share(1, 4)
    assert "actors/turn.py" in written([first, second])


def test_a_layer_that_has_fallen_is_told_with_its_floor() -> None:
    found = layers([Module("actors/turn.py", Share(8, 10), Share(1, 10)), Module("actors/text.py", Share(9, 10), None)])
    assert found == {"actors": (Share(17, 20), Share(1, 10))}
    (told,) = below(found, {"by_all": {"actors": 90.0}, "by_own": {"actors": 10.0}})
    assert told.startswith("actors: 85.0 % of lines and branches")
    (missing,) = below(found, {"by_all": {"actors": 85.0}, "by_own": {}})
    assert "has no floor" in missing


def test_every_layer_has_its_floors() -> None:
    floors = tomllib.loads(FLOORS.read_text())
    assert set(floors["by_all"]) == set(floors["by_own"]) == {*LAYERS, "root"}
