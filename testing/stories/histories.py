"""Histories in files: a corpus of all paths that instances took, which today's code must still fit.

The rule: a file is an export (`perdure export` writes the same), so histories of a daemon can lie among them.

`World.save_histories` writes them, and `replay` runs the code through them, in CI for example.
"""

import hashlib
import json
import re
from pathlib import Path

from ...runtime.authoring.app import App
from ...runtime.authoring.codec import Encoder
from ...runtime.engine import Engine
from ...runtime.errors import NondeterminismError
from ...runtime.history.row import unpack_row
from ...runtime.operations.reading.listing import InstanceFilter
from ...runtime.operations.steering.exported import ExportReader, ImportMalformed
from .errors import SimulationMisuse
from .standing import KeptHistory, check_stands

ENDING = ".jsonl"
PAGE = 500
# The parts of an event by which histories differ: its kind and its request.
SHAPE = ("type", "name", "origin", "status", "held", "names")


class HistoriesUnfit(AssertionError):
    """The code does not fit some histories.

    Args:
        unfit: File -> the error.
        replayed: How many fit.
    """

    def __init__(self, unfit: dict[str, NondeterminismError], replayed: int) -> None:
        super().__init__(unfit, replayed)
        self.unfit = unfit
        self.replayed = replayed

    def __str__(self) -> str:
        lines = [f"{len(self.unfit)} of {len(self.unfit) + self.replayed} histories do not fit the code:"]
        return "\n".join([*lines, *(f"  {name}: {error}" for name, error in self.unfit.items())])


async def save_histories(engine: Engine, path: Path) -> int:
    """Write the histories of an engine's instances into a folder, one of each shape.

    Returns:
        How many were new.
    """
    new, cursor = 0, None
    while True:
        page = await engine.views.listing.list(InstanceFilter(), cursor=cursor, limit=PAGE)
        for item in page.items:
            lines = [line async for line in engine.transfer.export(item.id)]
            new += _write(path / _file_name(item.name, lines), lines)
        cursor = page.cursor
        if cursor is None:
            return new


def replay(path: str | Path, app: App) -> int:
    """Run an app's code through histories.

    Args:
        path: A file, or a folder of them.

    Returns:
        How many fit.

    Raises:
        HistoriesUnfit: The code does not fit some histories; the error names all of them.
        SimulationMisuse: There is nothing to replay: no file, or no workflow of the app in them; or it is no app.
        ImportMalformed: A file is no export; a note of the error names it.
    """
    if not isinstance(app, App):
        raise SimulationMisuse(f"replay takes a perdure.App, as replay({str(path)!r}, app), and not {app!r}")
    fit, unfit, encoder = 0, dict[str, NondeterminismError](), Encoder()
    for file in _files(Path(path)):
        try:
            fit += check_stands(app, read_history(file), encoder)
        except NondeterminismError as error:
            unfit[file.name] = error
        except ImportMalformed as error:
            error.add_note(f"The file is {file}.")
            raise
    if unfit:
        raise HistoriesUnfit(unfit, fit)
    if not fit:
        raise SimulationMisuse(f"{path} has no history of a workflow of {app!r}")
    return fit


def read_history(file: Path) -> KeptHistory:
    """Read an export.

    Raises:
        ImportMalformed: It is no export.
    """
    reader = ExportReader()
    for line in file.read_bytes().splitlines(keepends=True):
        reader.feed(line)
    header = reader.end()
    return KeptHistory(header.instance_id, header.record, [unpack_row(entry) for entry in reader.entries])


def _write(file: Path, lines: list[bytes]) -> bool:
    """Write a file; False if it exists."""
    if file.exists():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(lines))
    return True


def _files(path: Path) -> list[Path]:
    files = sorted(path.glob(f"*{ENDING}")) if path.is_dir() else [path]
    if not files:
        raise SimulationMisuse(f"the folder {path} has no histories (*{ENDING}); `world.save_histories` writes some")
    if not path.exists():
        raise SimulationMisuse(f"there is no file or folder {path}")
    return files


def _file_name(workflow: str, lines: list[bytes]) -> str:
    """A name made from the workflow and the order of its events."""
    shape = []
    for line in lines[1:]:
        values = json.loads(line)
        event = values.get("event", {})
        shape.append([values["turn"], *(event.get(field, values.get(field)) for field in SHAPE)])
    digest = hashlib.blake2b(json.dumps(shape).encode(), digest_size=8).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', workflow)}-{digest}{ENDING}"
