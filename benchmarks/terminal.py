"""Prints tables and numbers to a terminal of 80 columns.

The rule: only this module imports rich, when it prints.

"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Line:
    cells: Sequence[str]
    style: str = ""
    begins_section: bool = False  # with a space above it


def table(heads: Sequence[str], lines: Iterable[Line], *, title: str = "", texts: int = 1) -> "Table":
    """Make a table.

    Args:
        texts: The number of text columns, of which the first may break into two lines; the others are numbers.
    """
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  to draw
    from rich.table import Table  # noqa: PLC0415  to draw

    made = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place, head in enumerate(heads):
        if place == 0:
            made.add_column(head, overflow="fold")
        else:
            made.add_column(head, justify="left" if place < texts else "right", vertical="bottom", no_wrap=True)
    for line in lines:
        if line.begins_section:
            made.add_section()
        made.add_row(*line.cells, style=line.style or None)
    return made


def show(*parts: "RenderableType") -> None:
    console = console_of()
    for part in parts:
        console.print(part, highlight=False)


def console_of(*, stderr: bool = False) -> "Console":
    from rich.console import Console  # noqa: PLC0415  to draw

    return Console(stderr=stderr)


def colored(line: str, style: str) -> "RenderableType":
    from rich.text import Text  # noqa: PLC0415  to draw

    return Text(line, style=style)


def written(value: float, digits: int = 0) -> str:
    """A number with spaces between thousands, and `digits` digits after the point."""
    return f"{value:,.{digits}f}".replace(",", " ")


def short(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits."""
    return written(value) if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"
