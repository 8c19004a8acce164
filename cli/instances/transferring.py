"""`perdure export` and `perdure import`: write a whole history to a file, and read it.

The rule: no file is overwritten, and a failed export leaves no file.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...actors.plain_file import FileUnfit
from .connection import USAGE, CommandEnded, Where, ask, daemon_command
from .options import ACTION_OUTPUT_OPTION, ID_ARGUMENT, read_input, word
from .output import done_line, write_line

if TYPE_CHECKING:
    from ...client.remote_client import RemoteClient


@daemon_command(
    ID_ARGUMENT,
    click.Option(
        ["--file"], type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, which must not exist."
    ),
    example="perdure export order-17 --file order-17.ndjson",
    name="export",
)
def export_history(where: Where, instance_id: str, file: Path | None) -> None:
    """Write the whole history of an instance.

    It has a line of JSON as a header, and a line for each event.
    """

    async def work(client: "RemoteClient") -> None:
        if file is None:
            async with client.export(instance_id) as lines:
                async for line in lines:
                    click.echo(line)
            return
        try:
            out = file.open("x", encoding="utf-8")
        except OSError as error:
            raise CommandEnded(f"{file} cannot be written: {error.strerror}", USAGE) from None
        try:
            with out:
                async with client.export(instance_id) as lines:
                    async for line in lines:
                        out.write(f"{line}\n")
        except BaseException:
            with suppress(OSError):
                os.unlink(file)
            raise

    ask(where, work)


@daemon_command(
    click.Argument(["file"], type=click.Path(path_type=Path), metavar="FILE|-"),
    click.Option(["--id", "new_id"], type=word, metavar="ID", help="Another id for the instance."),
    ACTION_OUTPUT_OPTION,
    example="perdure import order-17.ndjson",
    name="import",
)
def import_history(where: Where, file: Path, new_id: str | None, shape: str) -> None:
    """Import an instance that `perdure export` has written.

    The instance has ended, and its id is printed. The id must be free. No activity, message or timer follows from it.
    """
    try:
        content = read_input(str(file))
    except FileUnfit as error:
        raise CommandEnded(str(error), USAGE) from None

    async def work(client: "RemoteClient") -> None:
        taken = await client.import_history(content, new_id=new_id)
        write_line(done_line(shape, taken.id, {"action": "import", "id": taken.id}))

    ask(where, work)
