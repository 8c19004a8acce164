"""The fenced blocks of the documents, in the order of a page, and the commands in those of a shell.

The rule: a page is read as its reader sees it. An indented block (of a list) is one too, a `\\` at the end of a line
joins the next one to it, and text behind a `#` is a comment.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ..paths import ROOT

SHELL = ("sh", "console")
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
COMMENT = re.compile(r"(?:^|\s+)#(?:\s|$).*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block."""

    page: str  # its path from the root
    line: int  # of its fence, from 1
    language: str  # "" where the fence has none
    mark: str  # the comment before it, as `file: shop.py`; "" without one
    text: str  # without its indent

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that a page has its reader give."""

    page: str
    line: int  # of its block
    language: str  # of its block
    text: str  # on one line, without its comment
    shown: tuple[str, ...]  # that it is said to print; () where the page shows nothing


def pages() -> list[str]:
    """The documents, by their paths from the root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """The blocks of a page."""
    text = (ROOT / page).read_text()
    return tuple(
        Block(
            page=page,
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            mark=found["mark"] or "",
            text=re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
        )
        for found in FENCE.finditer(text)
    )


def inline(page: str) -> Iterator[str]:
    """Perdure's commands in a page's sentences, each on one line."""
    for found in re.finditer(r"`(perdure [^`]+)`", FENCE.sub("", (ROOT / page).read_text())):
        yield " ".join(found[1].split())


def commands(page: str) -> Iterator[Command]:
    """The commands of a page's blocks for a shell."""
    for block in blocks(page):
        if block.language in SHELL:
            yield from commands_of(block)


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a block. In a block of `console` they follow a `$`, and lines without it are their output."""
    text = re.sub(r"\\\n\s*", "", block.text)
    if block.language == "console":
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, *shown = part.splitlines()
            yield _command(block, line, tuple(each for each in shown if each.strip()))
    else:
        for line in text.splitlines():
            if COMMENT.sub("", line):
                yield _command(block, line, ())


def _command(block: Block, line: str, shown: tuple[str, ...]) -> Command:
    return Command(
        page=block.page, line=block.line, language=block.language, text=COMMENT.sub("", line).strip(), shown=shown
    )
