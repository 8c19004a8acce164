"""The report of coverage tells which module has fallen below its floor, and each layer that it measures has floors."""

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import coverage
import pytest

from perdure.journal.line import LogLine

from ..support.coverage import report
from ..support.coverage.floors import BY_ALL, BY_OWN, floors, layers
from ..support.coverage.own import INSTALLED, OwnTests, is_measured, module_of, own_test_file_of
from ..support.coverage.report import (
    Share,
    below,
    share_in_functions,
    share_of,
    shares_by_all,
    shares_by_own,
    sums,
    written,
)
from ..support.paths import ROOT

SUMMARY = {"covered_lines": 3, "covered_branches": 1, "num_statements": 4, "num_branches": 4}
SHARES = {"actors/turn.py": Share(8, 10), "actors/text.py": Share(9, 10), "api/state.py": Share(0, 0)}


def test_a_share_counts_lines_and_branches() -> None:
    assert share_of(SUMMARY) == Share(4, 8)
    assert share_of(SUMMARY).percent == 50
    assert Share(0, 0).percent == 100


def test_what_runs_on_import_is_in_no_function() -> None:
    summaries: dict[str, Any] = {"": SUMMARY, "Turn.writes": SUMMARY, "split": SUMMARY}
    assert share_in_functions({"functions": {name: {"summary": each} for name, each in summaries.items()}}) == (8, 16)


def measured_in(package: Path, *arguments: int) -> coverage.Coverage:
    """A run of a module of a package, `actors/turn.py`, with arguments for its function."""
    source = package / "actors" / "turn.py"
    source.parent.mkdir(parents=True)
    source.write_text(textwrap.dedent("def sign(n):\n    if n < 0:\n        return -1\n    return 1\n"))
    (source.parent / "no_test_file_has_this_name.py").write_text("def other():\n    return 1\n")
    measured = coverage.Coverage(branch=True, config_file=False, data_file=None, include=[f"{package}/*"])
    space: dict[str, Any] = {}
    with measured.collect():
        exec(compile(source.read_text(), str(source), "exec"), space)  # noqa: S102  as an import would run it
        for argument in arguments:
            space["sign"](argument)
    return measured


def test_a_share_by_all_tests_is_of_all_lines_and_branches(tmp_path: Path) -> None:
    measured = measured_in(tmp_path / "perdure", 1)
    # Four lines and two branches, of which a line and a branch do not run;
    assert shares_by_all(measured, ["actors"]) == {"actors/turn.py": Share(4, 6)}
    # of another layer there is nothing to tell.
    assert shares_by_all(measured, ["runtime"]) == {}


def test_a_share_by_the_own_test_file_is_of_functions(tmp_path: Path) -> None:
    # The line with `def` counts no more, nor does a module without a test file.
    package = tmp_path / "perdure"
    assert shares_by_own(measured_in(package, 1), ["actors"], package) == {"actors/turn.py": Share(3, 5)}


def test_a_module_of_which_nothing_runs_has_a_share_too(tmp_path: Path) -> None:
    package = tmp_path / "perdure"
    assert shares_by_own(measured_in(package), ["actors"], package) == {"actors/turn.py": Share(0, 5)}


def run_own_tests(folder: Path) -> None:
    """Have a plugin for one layer write down a run of three test files, each of which runs a function of a module."""
    plugin = OwnTests(["journal"], folder)
    line = LogLine("e", 0, "", fields=("a",))
    for module, values in (("journal/line.py", {}), ("journal/vocabulary.py", {"a": 1}), ("api/state.py", {"a": 1})):
        plugin.follow(own_test_file_of(module))
        line.fields_of(values)
    plugin.pytest_sessionfinish()


def test_a_module_is_measured_while_its_own_test_file_runs(tmp_path: Path) -> None:
    # When a function runs in its own test file, in another one of the layer and in one of another layer,
    run_own_tests(tmp_path)

    # then only the first run is written down, which had no value for a field.
    data = coverage.CoverageData(str(next(tmp_path.iterdir())))
    data.read()
    module = str(INSTALLED / "journal" / "line.py")
    assert data.measured_files() == {module}
    text, first = inspect.getsourcelines(LogLine.fields_of)
    ran = {line - first for line in data.lines(module) or []}
    assert [text[each].strip() for each in sorted(ran)] == [
        'found: dict[str, Any] = {"event": self.event}',
        "for name in self.fields:",
        "value = values.get(name)",
        "if value is not None:",
        "return found",
    ]


MARKED = """
import pytest

@pytest.fixture(params=["asyncio", "trio"])
def backend(request): pass

def test_plain(): pass
@pytest.mark.untraced
def test_dear(): pass
def test_on_both(backend): pass
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_of_both(backend): pass
"""


def test_a_test_is_not_measured_twice_nor_if_it_is_marked(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "marked.py").write_text(MARKED)
    module = pytest.Module.from_parent(request.session, path=tmp_path / "marked.py")
    assert [item.name for item in request.session.genitems(module) if is_measured(item)] == [
        "test_plain",
        "test_on_both[asyncio]",
        "test_of_both[asyncio]",
        "test_of_both[trio]",
    ]


def test_a_module_has_one_test_file_and_a_test_file_one_module() -> None:
    own = ROOT / "tests" / "actors" / "store" / "sqlite" / "test_store.py"
    assert own_test_file_of("actors/store/sqlite/store.py") == own
    assert module_of(own, ["actors"]) == "actors/store/sqlite/store.py"
    assert module_of(own, ["runtime"]) is None
    assert module_of(ROOT / "tests" / "actors" / "test_of_no_module.py", ["actors"]) is None
    assert module_of(ROOT / "tests" / "test_main.py", ["actors"]) is None


def test_a_module_that_has_fallen_is_told_with_its_share_and_its_floor() -> None:
    assert sums(SHARES) == {"actors": Share(17, 20), "api": Share(0, 0)}
    assert list(below(SHARES, {"actors": 80, "api": 100}, "all tests")) == []
    assert list(below(SHARES, {"actors": 81, "api": 100}, "all tests")) == [
        "actors/turn.py: 80.0 % of its lines and branches are run by all tests, and the floor is 81 %. "
        "Write a test for what is new, or find the test that has gone."
    ]


def test_a_module_may_have_a_floor_of_its_own() -> None:
    assert list(below(SHARES, {"actors": 90, "actors/turn.py": 80, "api": 0}, "all tests")) == []
    higher = below(SHARES, {"actors": 80, "actors/text.py": 91, "api": 0}, "all tests")
    assert [each.partition(":")[0] for each in higher] == ["actors/text.py"]


def test_the_table_has_a_row_for_each_name() -> None:
    assert [row.split() for row in written(SHARES).splitlines()] == [
        ["actors/turn.py", "80.0"],
        ["actors/text.py", "90.0"],
        ["api/state.py", "100.0"],
    ]


def test_a_report_fails_if_a_module_is_below_its_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a run of one test file of a layer,
    run_own_tests(tmp_path)

    # when it is reported, then its module is above its floor, and the others are not;
    monkeypatch.setattr(report, "layers", lambda _: ["journal"])
    assert report.main(BY_OWN, tmp_path) == 1
    said = capsys.readouterr().out
    assert "journal/line.py:" not in said
    assert "journal/vocabulary.py:" not in said  # has no functions
    assert "journal/journal.py: 0.0 % of its lines and branches are run by its own test file, and the floor" in said
    assert (
        "journal/line.py                                                   80.0\n"
        in (tmp_path / "modules.txt").read_text()
    )

    # and without floors it succeeds.
    monkeypatch.setattr(report, "floors", lambda: {BY_OWN: {"journal": 0}})
    run_own_tests(tmp_path)
    assert report.main(BY_OWN, tmp_path) == 0


def test_a_report_without_a_run_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(BY_ALL, tmp_path) == 1
    assert capsys.readouterr().out.startswith("No test that is measured has run: ")


def test_the_layers_that_are_measured_have_floors_of_both_kinds() -> None:
    covered = re.search(r"^COVERED = (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert covered is not None
    for kind in (BY_ALL, BY_OWN):
        assert {name for name in floors()[kind] if "/" not in name} == set(layers(floors())) == set(covered[1].split())


def test_floors_of_modules_are_of_modules_that_exist_and_differ_from_their_layers() -> None:
    for of in floors().values():
        for name, floor in of.items():
            assert "/" not in name or ((ROOT / name).is_file() and floor != of[name.partition("/")[0]]), name
