"""What of the package the tests run, by module:  make coverage

The rule: a share is of the installed package. The first figure of a module counts lines and branches together, as
coverage.py does, by all tests and by the processes that they start; the second counts the lines that its own test file
alone runs, in its process.
`floors.toml` beside this file has the shares below which a layer must not fall.
"""

import io
import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import coverage

from ..paths import ROOT

FLOORS = Path(__file__).with_name("floors.toml")
PACKAGE = "perdure/"


class Share(NamedTuple):
    """What of a module or a layer is run."""

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
    by_all: Share
    by_its_own: Share | None  # None: it has no test file of its own


def share_of(summary: Mapping[str, Any]) -> Share:
    """The share of a summary of coverage's."""
    run = summary["covered_lines"] + summary.get("covered_branches", 0)
    return Share(run, summary["num_statements"] + summary.get("num_branches", 0))


def files_of(measured: coverage.Coverage) -> dict[str, dict[str, Any]]:
    """What coverage tells of all modules, by their paths from the root."""
    to = io.StringIO()
    printed, sys.stdout = sys.stdout, to  # a report to `-` is printed
    try:
        measured.json_report(outfile="-", show_contexts=True)
    finally:
        sys.stdout = printed
    return {path.rpartition(PACKAGE)[2]: told for path, told in json.loads(to.getvalue())["files"].items()}


def test_file_of(module: str) -> str:
    """The test file of a module, as `tests/house/test_house.py` has it."""
    return str(Path("tests", module).with_name(f"test_{Path(module).name}"))


def modules(files: Mapping[str, Mapping[str, Any]]) -> Iterator[Module]:
    """The modules of the package with their shares."""
    for path, told in sorted(files.items()):
        own = None
        if (ROOT / (test_file := test_file_of(path))).is_file():
            run = sum(test_file in contexts for contexts in told["contexts"].values())
            own = Share(run, told["summary"]["num_statements"])
        yield Module(path, share_of(told["summary"]), own)


def layers(found: Iterable[Module]) -> dict[str, tuple[Share, Share]]:
    """The shares of the layers: by all tests, and by the own test files of those modules that have one."""
    sums: dict[str, tuple[Share, Share]] = defaultdict(lambda: (Share(0, 0), Share(0, 0)))
    for module in found:
        layer = module.path.partition("/")[0] if "/" in module.path else "root"
        by_all, by_own = sums[layer]
        sums[layer] = (by_all + module.by_all, by_own + (module.by_its_own or Share(0, 0)))
    return dict(sorted(sums.items()))


def below(found: Mapping[str, tuple[Share, Share]], floors: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Sentences on each layer that has fallen below its floor, or has none."""
    for layer, (by_all, by_own) in found.items():
        for kind, share in (("by_all", by_all), ("by_own", by_own)):
            floor = floors[kind].get(layer)
            if floor is None:
                yield f"{layer} has no floor in {FLOORS.name} under [{kind}]: {share.percent:.1f} % is measured."
            elif share.percent < floor:
                yield (
                    f"{layer}: {share.percent:.1f} % of lines and branches are run ({kind}), "
                    f"{floor} % are the floor. Write tests for what is new, or find the test that has gone."
                )


def written(found: list[Module]) -> str:
    """The table, as text."""
    lines = [f"{'':60}  by all  by own file"]
    for name, shares in layers(found).items():
        lines.append(f"{name:60}  {shares[0].percent:5.1f}%  {shares[1].percent:5.1f}%")
    lines.append("")
    for module in found:
        own = "      -" if module.by_its_own is None else f"{module.by_its_own.percent:5.1f}%"
        lines.append(f"{module.path:60}  {module.by_all.percent:5.1f}%  {own}")
    return "\n".join(lines)


def main() -> int:
    measured = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    measured.load()
    found = list(modules(files_of(measured)))
    print(written(found))
    fallen = list(below(layers(found), tomllib.loads(FLOORS.read_text())))
    print(*fallen, sep="\n")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
