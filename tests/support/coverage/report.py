"""Which lines and branches of a layer its tests run, by module:  make coverage

The rule: a share is of the installed package, and counts lines and branches together, as coverage.py does. A module has
two: by all tests of the run, in their processes and in those that they start, and by its own test file alone. The
second leaves out what runs when a module is imported, because the first test that imports it gets the credit.

`floors.toml` beside this file has the shares below which no module may fall.
"""

import json
import re
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import coverage
from coverage.exceptions import NoDataError

from ..paths import ROOT

FLOORS = Path(__file__).with_name("floors.toml")
PACKAGE = "perdure/"
# The kinds of share, as floors.toml names them.
BY_ALL, BY_OWN = "by_all", "by_own"
TESTS = {BY_ALL: "all tests", BY_OWN: "its own test file"}

Floors = Mapping[str, Mapping[str, float]]  # kind -> layer or module -> percent


class Share(NamedTuple):
    """How much of a module or of a layer runs."""

    run: int  # lines and branches
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.run / self.of if self.of else 100.0

    def __add__(self, other: object) -> "Share":
        assert isinstance(other, Share)
        return Share(self.run + other.run, self.of + other.of)


class Module(NamedTuple):
    """A module of the package."""

    path: str  # from the root: actors/turn.py
    shares: Mapping[str, Share]  # by the kinds above; without BY_OWN if it has no test file of its own

    @property
    def layer(self) -> str:
        return self.path.partition("/")[0]


def share_of(summary: Mapping[str, Any]) -> Share:
    """The share of a summary of coverage's."""
    run = summary["covered_lines"] + summary.get("covered_branches", 0)
    return Share(run, summary["num_statements"] + summary.get("num_branches", 0))


def share_in_functions(told: Mapping[str, Any]) -> Share:
    """The share of the functions of a file. Coverage has the lines outside of them under an empty name."""
    shares = (share_of(function["summary"]) for name, function in told["functions"].items() if name)
    return sum(shares, Share(0, 0))


def test_file_of(module: str) -> str:
    """The test file of a module, as `tests/house/test_house.py` has it."""
    return str(Path("tests", module).with_name(f"test_{Path(module).name}"))


def told_of(measured: coverage.Coverage, **wanted: Any) -> dict[str, Any]:
    """What coverage tells of files.

    Args:
        wanted: Which files, and the runs of which tests, as `Coverage.json_report` takes them.

    Returns:
        Path -> its part of coverage's report in JSON; empty if none of the tests has run any of the files.
    """
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "told.json"
        try:
            measured.json_report(outfile=str(to), **wanted)
        except NoDataError:
            return {}
        files: dict[str, Any] = json.loads(to.read_text())["files"]
    return files


def modules(measured: coverage.Coverage, layers: Collection[str]) -> Iterator[Module]:
    """The modules of some layers with their shares."""
    files = told_of(measured, include=[f"*/{PACKAGE}{layer}/*" for layer in layers])
    for file, told in sorted(files.items()):
        path = file.rpartition(PACKAGE)[2]
        shares = {BY_ALL: share_of(told["summary"])}
        if (ROOT / (test_file := test_file_of(path))).is_file():
            own = told_of(measured, morfs=[file], contexts=[f"^{re.escape(test_file)}$"])
            shares[BY_OWN] = share_in_functions(own[file]) if own else Share(0, share_in_functions(told).of)
        yield Module(path, shares)


def sums(found: Iterable[Module]) -> dict[str, dict[str, Share]]:
    """The shares of the layers."""
    layers: dict[str, dict[str, Share]] = defaultdict(lambda: defaultdict(lambda: Share(0, 0)))
    for module in found:
        for kind, share in module.shares.items():
            layers[module.layer][kind] += share
    return layers


def below(found: Iterable[Module], floors: Floors) -> Iterator[str]:
    """Sentences on each module that is below its floor. A module has the floor of its layer, or one of its own."""
    for module in found:
        for kind, share in module.shares.items():
            floor = floors[kind].get(module.path, floors[kind][module.layer])
            if share.percent < floor:
                yield (
                    f"{module.path}: {share.percent:.1f} % of its lines and branches are run by {TESTS[kind]}, and the "
                    f"floor is {floor:g} %. Write a test for what is new, or find the test that has gone."
                )


def written(found: Iterable[Module]) -> str:
    """The table, as text: the layers, then their modules."""
    found = list(found)
    rows = [*sums(found).items(), *((module.path, module.shares) for module in found)]
    head = f"{'percent of lines and branches':64} all tests  own file"
    return "\n".join(
        [head, *(f"{name:64} {_cell(shares, BY_ALL):>9}  {_cell(shares, BY_OWN):>8}" for name, shares in rows)]
    )


def _cell(shares: Mapping[str, Share], kind: str) -> str:
    return f"{shares[kind].percent:.1f}" if kind in shares else "-"


def main() -> int:
    measured = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    measured.load()
    floors: Floors = tomllib.loads(FLOORS.read_text())
    found = list(modules(measured, [name for name in floors[BY_ALL] if "/" not in name]))
    print(written(found))
    fallen = list(below(found, floors))
    print(*fallen, sep="\n")
    return 1 if fallen or not found else 0


if __name__ == "__main__":
    sys.exit(main())
