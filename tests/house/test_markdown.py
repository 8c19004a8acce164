"""Documents read well in an editor: lines of at most 100 characters, and tables whose cells are a glance each."""

import re
from collections.abc import Iterator

import pytest

from ..support.docs.blocks import FENCE, pages
from ..support.paths import ROOT

WIDTH = 100
# Pages with wider lines, and why.
WIDER: dict[str, str] = {}
# What is printed is shown as it is.
PRINTED = ("console", "text", "json", "diff", "proto", "")


def prose_of(page: str) -> Iterator[str]:
    """The lines of a page without what programs print. A row of a table is no line: Markdown has no way to break it."""
    text = (ROOT / page).read_text()
    text = FENCE.sub(lambda found: "" if found["language"] in PRINTED else found["text"], text)
    return (line for line in text.splitlines() if not line.lstrip().startswith("|"))


def cells_of(page: str) -> Iterator[str]:
    """The cells of a page's tables, as a reader sees them: without marks and without the addresses of links."""
    for line in FENCE.sub("", (ROOT / page).read_text()).splitlines():
        if line.lstrip().startswith("|"):
            for cell in re.split(r"(?<!\\)\|", line):
                yield re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell)).strip()


@pytest.mark.parametrize("page", [page for page in pages() if page not in WIDER])
def test_lines_are_short(page: str) -> None:
    # A word that is longer by itself, an address for one, stands on a line of its own.
    long = [line for line in prose_of(page) if len(line) > WIDTH and " " in line.strip("* ")[: WIDTH - 2]]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("page", [page for page in pages() if page not in WIDER])
def test_cells_are_short(page: str) -> None:
    long = [cell for cell in cells_of(page) if len(cell) > WIDTH]
    assert not long, "make it a list:\n" + "\n".join(long)


def test_no_page_is_left_out_without_need() -> None:
    assert [page for page in WIDER if not any(len(line) > WIDTH for line in prose_of(page))] == []


def test_cells_are_found_and_measured_as_they_are_seen() -> None:
    assert list(cells_of("docs/reference/commands.md")) or list(cells_of("docs/limits.md"))
    (page,) = {"docs/logs.md"}
    assert "stall" not in list(cells_of(page))
    assert "event" in list(cells_of(page))
