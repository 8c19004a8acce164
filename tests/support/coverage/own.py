"""A plugin of pytest that measures each module of some layers while its own test file runs:  make test

The rule: only the module is traced, and only then, because a tracer doubles what a test costs (and trebles it, if it
traces all of the layers). Of a test that runs on asyncio and on trio only the run on asyncio is measured, and no test
that is marked with `untraced`. `make coverage` measures other modules too, and the processes that tests start.
"""

from collections.abc import Collection
from pathlib import Path

import coverage
import pytest

import perdure

from ..paths import ROOT

INSTALLED = Path(perdure.__file__).parent


class OwnTests:
    """Measures modules by their own test files, in a process that runs tests.

    Args:
        layers: Of the modules.
        folder: Where this process writes down the branches that ran, in a file of its own.
    """

    def __init__(self, layers: Collection[str], folder: Path) -> None:
        self._layers = layers
        self._all = coverage.CoverageData(str(folder / "data"), suffix=True)
        self._file: Path | None = None  # of the tests that run now
        self._measured: coverage.Coverage | None = None  # of its module
        self._is_on = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self.follow(item.path)
        self._switch(on=is_measured(item))

    def pytest_sessionfinish(self) -> None:
        self.follow(None)

    def follow(self, test_file: Path | None) -> None:
        """Measure the module of this test file from here on; None measures nothing more."""
        if test_file != self._file:
            self._write_down()
            module = None if test_file is None else module_of(test_file, self._layers)
            self._file, self._measured = test_file, None if module is None else _measuring(INSTALLED / module)
            self._switch(on=True)

    def _switch(self, *, on: bool) -> None:
        if self._measured is not None and on != self._is_on:
            (self._measured.start if on else self._measured.stop)()
            self._is_on = on

    def _write_down(self) -> None:
        if self._measured is not None:
            self._switch(on=False)
            ran = self._measured.get_data()
            self._all.add_arcs({source: ran.arcs(source) or [] for source in ran.measured_files()})


def _measuring(source: Path) -> coverage.Coverage:
    """The measurement of one file, in memory."""
    found = coverage.Coverage(branch=True, include=[str(source)], config_file=False, data_file=None)
    # A test file may run no code of its module, if the module has only types.
    found.set_option("run:disable_warnings", ["no-data-collected"])
    return found


def is_measured(item: pytest.Item) -> bool:
    """Whether a test is measured: it is not marked, and is not the run on trio of a test that runs on asyncio too."""
    if item.get_closest_marker("untraced") is not None:
        return False
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    is_for_trio = any("backend" in str(mark.args[0]) for mark in item.iter_markers("parametrize"))
    return "trio" not in parameters.values() or is_for_trio


def module_of(test_file: Path, layers: Collection[str]) -> str | None:
    """The module of which this is the own test file, if it is of one of the layers: `actors/turn.py`."""
    folder = test_file.relative_to(ROOT / "tests").parent
    module = folder / test_file.name.removeprefix("test_")
    is_measured = bool(folder.parts) and folder.parts[0] in layers and (ROOT / module).is_file()
    return str(module) if is_measured else None


def own_test_file_of(module: str) -> Path:
    """The test file of a module: `tests/actors/test_turn.py`."""
    return ROOT / "tests" / Path(module).with_name(f"test_{Path(module).name}")
