"""Which lines and branches of a layer its tests run, by module, after `make test` or `make coverage`:

    python -m tests.support.coverage.report by_own build/coverage/by_own

The rule: a share is of the installed package, and counts lines and branches together, as coverage.py does. It is by one
of two kinds of run: by all tests of these layers, in their processes and in those that they start (`make coverage`),
and by the module's own test file alone (`make test`). The second leaves out the lines that run at import, because the
first test that imports the module would get the credit.

`floors.toml` beside this file has the shares below which no module may fall.
"""

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import coverage
from coverage.exceptions import NoDataError

from ..paths import ROOT
from .floors import BY_ALL, BY_OWN, floors, layers
from .own import INSTALLED, own_test_file_of

PACKAGE = "perdure/"
TESTS = {BY_ALL: "all tests", BY_OWN: "its own test file"}


class Share(NamedTuple):
    """The share of a module or of a layer that runs."""

    run: int  # lines and branches
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.run / self.of if self.of else 100.0

    def __add__(self, other: object) -> "Share":
        assert isinstance(other, Share)
        return Share(self.run + other.run, self.of + other.of)


Shares = Mapping[str, Share]  # module, from the root (`actors/turn.py`) -> share


def share_of(summary: Mapping[str, Any]) -> Share:
    """The share of a summary of coverage's."""
    run = summary["covered_lines"] + summary.get("covered_branches", 0)
    return Share(run, summary["num_statements"] + summary.get("num_branches", 0))


def share_in_functions(told: Mapping[str, Any]) -> Share:
    """The share of the functions of a file. Coverage has the lines outside of them under an empty name."""
    shares = (share_of(function["summary"]) for name, function in told["functions"].items() if name)
    return sum(shares, Share(0, 0))


def told_of(measured: coverage.Coverage, **wanted: Any) -> dict[str, Any]:
    """The data of coverage about files.

    Args:
        wanted: Which files, as `Coverage.json_report` takes them.

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


def shares_by_all(measured: coverage.Coverage, of: Collection[str]) -> Shares:
    """The share of each module of some layers, by a run of all tests."""
    files = told_of(measured, include=[f"*/{PACKAGE}{layer}/*" for layer in of])
    return {_module(file): share_of(told["summary"]) for file, told in sorted(files.items())}


def shares_by_own(measured: coverage.Coverage, of: Collection[str], installed: Path = INSTALLED) -> Shares:
    """The share of each module of some layers that has its own test file, by a run of that file.

    Args:
        installed: The folder of the package.
    """
    files = [file for layer in of for file in (installed / layer).rglob("*.py")]
    own = [str(file) for file in files if own_test_file_of(str(file.relative_to(installed))).is_file()]
    told = told_of(measured, morfs=own)
    return {_module(file): share_in_functions(each) for file, each in sorted(told.items())}


def _module(file: str) -> str:
    return file.rpartition(PACKAGE)[2]


def sums(shares: Shares) -> Shares:
    """The shares of the layers."""
    found: dict[str, Share] = defaultdict(lambda: Share(0, 0))
    for module, share in shares.items():
        found[module.partition("/")[0]] += share
    return found


def below(shares: Shares, floor_of: Mapping[str, float], tests: str) -> Iterator[str]:
    """Sentences on each module that is below its floor.

    Args:
        floor_of: Layer or module -> percent. A module has the floor of its layer, or one of its own.
        tests: Whose shares these are: "all tests".
    """
    for module, share in shares.items():
        floor = floor_of.get(module, floor_of[module.partition("/")[0]])
        if share.percent < floor:
            yield (
                f"{module}: {share.percent:.1f} % of its lines and branches are run by {tests}, and the floor is "
                f"{floor:g} %. Write a test for what is new, or find the test that has gone."
            )


def written(shares: Shares) -> str:
    """Shares as a table of text."""
    return "\n".join(f"{name:64} {share.percent:5.1f}" for name, share in shares.items())


def main(kind: str, folder: Path) -> int:
    """Report on the data of a run's processes in a folder; return 1 if a module is below its floor."""
    measured = coverage.Coverage(data_file=str(folder / "data"), config_file=str(ROOT / "pyproject.toml"))
    try:
        measured.combine([str(folder)], strict=True)
    except NoDataError:
        print(f"No test that is measured has run: {folder} has nothing of coverage's.")
        return 1
    floor_of = floors()
    shares = {BY_ALL: shares_by_all, BY_OWN: shares_by_own}[kind](measured, layers(floor_of))
    (table := folder / "modules.txt").write_text(written(shares) + "\n")
    print(f"percent of lines and branches that are run by {TESTS[kind]}; by module in {os.path.relpath(table)}")
    print(written(sums(shares)))
    fallen = list(below(shares, floor_of[kind], TESTS[kind]))
    print(*fallen, sep="\n")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
