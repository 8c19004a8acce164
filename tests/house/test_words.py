"""The prose of the code and of the documents names its things: no sentence is about "whoever", "somebody" or "what is".

Such a sentence has to be read twice: it hides its subject behind a word that stands for any. The change log is left
out, because it is not rewritten. Titles may ask a question.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ..support.source import LAYERS, read, texts

GAP = r"(?:[ \t]|\n[ \t]*(?:# )?)+"  # between two words, which may stand on two lines of a text or of comments
TELL_TALES = re.compile(
    rf"\b(?:who(?:m)?ever|(?:some|any|every)body|those{GAP}(?:that|who)|what{GAP}(?:is|are))\b", re.IGNORECASE
)
LEFT_OUT = ("CHANGELOG.md",)


def test_no_sentence_is_about_whoever_or_what_is() -> None:
    found = [f"{text}:{line}: {word}" for text in prose() for line, word in tell_tales(read(text), text.suffix)]
    assert not found, "\n".join(found)


def test_tell_tales_are_found_on_two_lines_and_not_in_titles() -> None:
    assert list(tell_tales("## What is on disk\n\nIt keeps what\nis asked, whoever asks.", ".md")) == [
        (3, "what is"),
        (4, "whoever"),
    ]
    assert list(tell_tales("#: Those\n    # that wait\n# What is here.\n", ".py")) == [
        (1, "Those that"),
        (3, "What is"),
    ]


def prose() -> list[Path]:
    """The sources of the package and the examples, and all documents."""
    folders = (*LAYERS, "examples")
    return [
        text
        for text in texts()
        if (text.suffix == ".py" and text.parts[0] in folders) or (text.suffix == ".md" and str(text) not in LEFT_OUT)
    ]


def tell_tales(text: str, suffix: str) -> Iterator[tuple[int, str]]:
    """The tell-tale words of a text, each with the number of the line in which it begins."""
    if suffix == ".md":
        text = re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE)
    for found in TELL_TALES.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, " ".join(found[0].replace("#", " ").split())
