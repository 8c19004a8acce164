"""Write the page of Dapr's SDKs:  make SDK_RESULTS=FILE test-sdks && python docs/site/sdks.py FILE > docs/dapr/sdks.md

The rule: a row of a file is a row of the page, and nothing else is. Of several files the later one has the word for the
programs that it has. `tests/house/test_sdks.py` holds the page to the programs of tests/sdk.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

SDKS = ("Python", "JavaScript", "Go", "Java", ".NET")
CELL_MAX = 100  # characters
HEAD = """# What each call of Dapr's SDKs did

<!-- Written by docs/site/sdks.py. -->

`make test-sdks` runs Dapr's published SDKs against this build: the programs of
[tests/sdk](../../tests/sdk) use them with real daemons. This page has a row for each call: through
which SDK and version it was made, how it was tried, and its result. [Compatibility with
Dapr](../dapr-compatibility.md) lists the deliberate differences from Dapr. To make the page again:

```sh
make SDK_RESULTS=build/sdks.json test-sdks
python docs/site/sdks.py build/sdks.json > docs/dapr/sdks.md
```

After a run of some SDKs only (`ONLY="Go Java"`), name its file after that of a whole run.
"""


class Row(NamedTuple):
    """A line of a table."""

    call: str
    through: str
    how: str
    result: str


class Run(NamedTuple):
    """What the files tell: versions by name, and the rows of each program."""

    versions: Mapping[str, str]
    programs: Mapping[str, tuple[Row, ...]]


class FileError(Exception):
    """A file that `make test-sdks` has not written."""


def read(files: Iterable[Path]) -> Run:
    """Read files of `make test-sdks`.

    Raises:
        FileError: A file is not there, or is not one of them.
    """
    versions: dict[str, str] = {}
    programs: dict[str, tuple[Row, ...]] = {}
    for file in files:
        try:
            told = json.loads(file.read_text())
            versions |= told["versions"]
            programs |= {each["name"]: tuple(map(_row, _rows(each))) for each in told["programs"]}
        except OSError as error:
            raise FileError(f"{file} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(f"{file} is no file that make SDK_RESULTS={file} test-sdks has written") from error
    return Run(versions, programs)


def _rows(program: Mapping[str, object]) -> Iterator[dict[str, str]]:
    rows = program["rows"]
    if not isinstance(rows, list):
        raise TypeError("no rows")
    for row in rows:
        yield {"how": str(program["how"]), **row}


def _row(told: Mapping[str, str]) -> Row:
    result = f"{told['result']}: {told['detail']}" if told["detail"] else told["result"]
    return Row(*map(cell, (told["method"] or "all of it", told["sdk"], told["how"], result)))


def cell(text: str) -> str:
    """Make a text fit into a cell of a table."""
    text = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return text if len(text) <= CELL_MAX else text[: CELL_MAX - 2] + " …"


def page(run: Run) -> str:
    """Return the page in Markdown."""
    return "\n".join([HEAD, _summary(run), *(_part(sdk, run) for sdk in SDKS)])


def _summary(run: Run) -> str:
    results = Counter(row.result.partition(":")[0] for rows in run.programs.values() for row in rows)
    counts = ", ".join(f"{count} {result}" for result, count in results.items())
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return f"Ran with {versions}.\nOf {results.total()} rows: {counts}.\n"


def _part(sdk: str, run: Run) -> str:
    of_sdk = [rows for name, rows in run.programs.items() if name.split()[0].rstrip(",") == sdk]
    lines = (f"| {' | '.join(row)} |" for rows in of_sdk for row in rows)
    return "\n".join([f"## {sdk}", "", "| Call | SDK | How it was tried | Result |", "|---|---|---|---|", *lines, ""])


def main(files: list[str]) -> int:
    if not files:
        print("Say the files that make SDK_RESULTS=FILE test-sdks has written.", file=sys.stderr)
        return 2
    try:
        print(page(read(map(Path, files))), end="")
    except FileError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
