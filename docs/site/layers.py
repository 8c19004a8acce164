"""Draw the layers:  python docs/site/layers.py > docs/pictures/layers.svg

The rule: the boxes and arrows are those of the table in `ARCHITECTURE.md`, which `tests/house/test_layers.py` holds to
the imports of the code. A layer stands above all that it may import. An arrow that others make plain is left out: where
`cli` may import `daemon`, and that `api`, there is none from `cli` to `api`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from drawing import Box, arrow, boxed, picture

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"
WORDS = {
    "journal": "the lines of the log",
    "actors": "mailboxes, turns, stores",
    "runtime": "durable workflows",
    "api": "what both doors say",
    "http": "a door",
    "rpc": "a door, for Dapr's SDKs",
    "telemetry": "metrics and traces",
    "client": "Python's clients",
    "daemon": "one process that serves",
    "embedding": "an engine in your program",
    "cli": "the command line",
    "testing": "what users test with",
    "benchmarks": "perdure bench",
}
WIDTH, HEIGHT, ROW = 178, 46, 84
ROOM = 850
ASIDE = {"daemon": (WIDTH + 24) / 2}  # of the middle: over the doors, so that arrows to `client` pass beside it


def table() -> dict[str, set[str]]:
    """The layers, each with the layers that it may import."""
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|$", ARCHITECTURE.read_text(), re.MULTILINE)
    names = re.compile(r"`(\w+)`")
    layers = {layer for layer, _ in rows for layer in names.findall(layer)} - {"__init__"}
    return {
        layer: layers - {layer, "cli"} if "everything" in may else set(names.findall(may))
        for cell, may in rows
        for layer in names.findall(cell)
        if layer in layers
    }


def level(layer: str, may_import: Mapping[str, set[str]]) -> int:
    """How many layers lie below it, one upon the other."""
    return max((level(each, may_import) + 1 for each in may_import[layer]), default=0)


def needed(may_import: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """The arrows that no others make plain."""
    for layer, below in may_import.items():
        for each in sorted(below):
            if not any(each in reached(other, may_import) for other in below - {each}):
                yield layer, each


def reached(layer: str, may_import: Mapping[str, set[str]]) -> set[str]:
    """All that a layer imports, by others too."""
    found = set(may_import[layer])
    return found.union(*(reached(each, may_import) for each in found)) if found else found


def drawn() -> str:
    """The picture, as SVG."""
    may_import = table()
    rows: dict[int, list[str]] = {}
    for layer in may_import:
        rows.setdefault(level(layer, may_import), []).append(layer)
    top = max(rows)
    boxes: dict[str, Box] = {}
    for number, layers in rows.items():
        for index, layer in enumerate(sorted(layers)):
            x = ROOM / 2 + (index - (len(layers) - 1) / 2) * (WIDTH + 24) + ASIDE.get(layer, 0)
            boxes[layer] = Box(x, 40 + (top - number) * ROW, WIDTH, HEIGHT, f"{layer}/", WORDS[layer])
    parts = [arrow(boxes[source], boxes[target]) for source, target in needed(may_import)]
    parts += [part for box in boxes.values() for part in boxed(box)]
    return picture(ROOM, 80 + top * ROW, "The layers, and what each imports", parts)


if __name__ == "__main__":
    print(drawn(), end="")
