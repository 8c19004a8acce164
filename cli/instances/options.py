"""The options that several commands on a running daemon have: filters, output, payloads.

The rule: a filter has the same name as in the management API. An option for a moment also accepts a time before now:
`--updated-before 7d`.
"""

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec

from ...actors.plain_file import FileUnfit, read_plain
from ...api.management.moments import parse_length, parse_moment
from ...runtime.dates import from_us
from . import suggesting

OUTPUTS = ("table", "wide", "json", "ids")
INPUT_BYTES_MAX = 256 * 1024 * 1024  # of a payload or an import; the daemon has its own limit


def word(text: str) -> str:
    """Parse an id or a name, which must not be empty.

    An empty text usually comes from an unset variable of a script, and would mean all instances, any id, or another
    path.

    Raises:
        click.BadParameter: It is empty.
    """
    if not text:
        raise click.BadParameter("it is empty")
    return text


def moment(_context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """Parse a moment, or a time before now, and return it in the API's form.

    Raises:
        click.BadParameter: It is neither.
    """
    if text is None:
        return None
    try:
        parse_moment(text)
    except ValueError:
        try:
            ago = timedelta(microseconds=parse_length(text))
        except ValueError:
            raise click.BadParameter(
                f"{text!r} is neither a moment, such as 2026-11-26T10:00:00Z, nor how long ago it is: 90s, 15m, 7d",
                param=parameter,
            ) from None
        return (datetime.now(UTC) - ago).isoformat().replace("+00:00", "Z")
    return text


def date(_context: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    """Parse a moment.

    Raises:
        click.BadParameter: It is no moment.
    """
    try:
        return from_us(parse_moment(text)) if text is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def length(_context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Parse a length of time. Returns seconds.

    Raises:
        click.BadParameter: It is no length of time.
    """
    if text is None:
        return None
    try:
        return parse_length(text) / 1e6
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def pairs(_context: click.Context, parameter: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    """Parse `KEY=VALUE` texts.

    Raises:
        click.BadParameter: A text has another form, or a key is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param=parameter)
        if key in found:
            raise click.BadParameter(f"{key!r} is given twice; it takes one value", param=parameter)
        found[key] = value
    return found


def read_input(name: str) -> bytes:
    """Read the input of a command from a file or a pipe, or from standard input for `-`.

    Raises:
        FileUnfit: The input cannot be read, or is too large.
    """
    if name != "-":
        return read_plain(name, bytes_max=INPUT_BYTES_MAX, pipe_s=math.inf)
    content = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
    if len(content) > INPUT_BYTES_MAX:
        raise FileUnfit("standard input", f"it has more than {INPUT_BYTES_MAX} bytes.")
    return content


def payload(_context: click.Context, parameter: click.Parameter, text: str | None) -> msgspec.Raw | None:
    """Parse a payload: JSON, `@FILE`, or `-` for standard input.

    Raises:
        click.BadParameter: It is not JSON, or the file cannot be read.
    """
    if text is None:
        return None
    if text == "@":
        raise click.BadParameter("the name of a file is missing behind @", param=parameter)
    if text == "-" or text.startswith("@"):
        try:
            text = read_input(text.removeprefix("@")).decode("utf-8")
        except FileUnfit as error:
            raise click.BadParameter(str(error), param=parameter) from None
        except UnicodeDecodeError:
            raise click.BadParameter(f"{text.removeprefix('@')}: it is not text in UTF-8.", param=parameter) from None
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"it is not JSON: {error}. A text is written '\"so\"'.", param=parameter) from None
    return msgspec.Raw(text.encode())


def payload_option(flag: str, what: str) -> click.Option:
    """Make an option for a payload."""
    return click.Option([flag], callback=payload, metavar="JSON|@FILE|-", help=what)


FILTER_OPTIONS = (
    click.Option(
        ["--status"],
        multiple=True,
        metavar="STATUS[,STATUS]",
        shell_complete=suggesting.statuses,
        help="Only these statuses: running, failed, stalled, set_aside and so on; with a leading !, all others.",
    ),
    click.Option(
        ["--name"],
        multiple=True,
        metavar="NAME[,NAME]",
        shell_complete=suggesting.names,
        help="Only these workflows; with a leading !, all others.",
    ),
    click.Option(
        ["--id-prefix"], type=word, metavar="TEXT", shell_complete=suggesting.ids, help="Only ids with this beginning."
    ),
    click.Option(
        ["--parent"],
        type=word,
        metavar="ID",
        shell_complete=suggesting.ids,
        help="Only the children of this instance.",
    ),
    click.Option(["--root/--no-root"], default=None, help="Only instances without a parent; only instances with one."),
    *(
        click.Option(
            [f"--{what}-{side}"],
            callback=moment,
            metavar="MOMENT|AGO",
            help=f"{what.capitalize()} at or {side} this moment, in RFC 3339 or as a time before now: 15m, 7d."
            if side == "after"
            else f"{what.capitalize()} {side} it.",
        )
        for what in ("created", "updated")
        for side in ("after", "before")
    ),
    click.Option(["--tag", "tags"], multiple=True, callback=pairs, metavar="KEY=VALUE", help="Only with this tag."),
    click.Option(
        ["--stuck-for"],
        metavar="LENGTH",
        help="Only instances that are stalled, set aside, or have an open activity and no turn for this time: 15m.",
    ),
)
FILTER_NAMES = tuple(str(option.name) for option in FILTER_OPTIONS)


def output_option(*names: str, help: str) -> click.Option:  # noqa: A002  click's word
    """Make the option for the form of the output."""
    return click.Option(names, type=click.Choice(OUTPUTS), default="table", show_default=True, help=help)


def limit_option(default: int, help: str) -> click.Option:  # noqa: A002
    """Make the option that limits the output; 0 means no limit."""
    kind = click.IntRange(min=0)
    return click.Option(["--limit"], type=kind, default=default, show_default=True, metavar="N", help=help)


OUTPUT_OPTION = output_option(
    "-o", "--output", help="The form of the output; ids is one id a line, for other commands."
)
# For commands without a wide table, which accept `wide` all the same.
PLAIN_OUTPUT_OPTION = output_option("-o", "--output", help="The form of the output; ids is one id a line.")
# For commands that change instances. It has no long name, because --output of `terminate` is the instance's result.
ACTION_OUTPUT_OPTION = output_option(
    "-o", "shape", help="The output for each instance: a line, an object of JSON on a line, or the id."
)
IDS_ARGUMENT = click.Argument(["ids"], type=word, nargs=-1, metavar="[ID|-]...", shell_complete=suggesting.ids)
ID_ARGUMENT = click.Argument(["instance_id"], type=word, metavar="ID", shell_complete=suggesting.ids)
REASON_OPTION = click.Option(["--reason"], metavar="TEXT", help="The reason, for the audit.")


def filter_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the filter in a command's options."""
    found: dict[str, Any] = {}
    for name in FILTER_NAMES:
        value = options.pop(name)
        if isinstance(value, tuple):
            value = [each for text in value for each in text.split(",")]
        if value is not None and value not in ([], {}):
            found[name] = value
    return found
