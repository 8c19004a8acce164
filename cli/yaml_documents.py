"""Builds the documents of a YAML text, after a check of their size.

The rule: the size of a document is measured from the parser's events, before any of its values is built, because a text
of 1 KB can expand to 10^9 values with aliases of aliases. `cli/dapr_config.py` reads Dapr's files with
`load_documents`.
"""

from typing import Any

import yaml

TEXT_CHARACTERS_MAX = 1024 * 1024  # Kubernetes allows resources of 1 MiB
VALUES_MAX = 100_000  # of all documents of a text; an alias counts as all the values that it expands to
DEPTH_MAX = 100
# Of a scalar without quotes, which may be a number. YAML 1.1 has numbers of base 60, such as 1:30:00, whose conversion
# takes quadratic time.
PLAIN_CHARACTERS_MAX = 1024


class YamlRefused(Exception):
    """A text is not YAML, or exceeds a limit.

    Attributes:
        line: The line of the error, from 1; None: unknown.
        column: The column of the error, from 1; None: unknown.
    """

    def __init__(self, problem: str, mark: Any = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line: int | None = mark.line + 1 if mark is not None else None
        self.column: int | None = mark.column + 1 if mark is not None else None

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}: " if self.line is not None else ""
        return f"{where}{self.problem}"


def load_documents(text: str) -> list[Any]:
    """Build the documents of a text, without empty ones.

    Raises:
        YamlRefused: The text is not YAML, or exceeds a limit.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise YamlRefused(f"it has more than {TEXT_CHARACTERS_MAX} characters.")
    try:
        _measure(text)
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error)
        raise YamlRefused(f"it is not YAML: {problem}.", getattr(error, "problem_mark", None)) from None
    except (ValueError, OverflowError, RecursionError) as error:
        # PyYAML does not catch errors of Python's conversions: for the date 2026-13-01, for example.
        raise YamlRefused(f"it has a value that cannot be read: {error}.") from None


def _measure(text: str) -> None:
    """Count the values of a text, also those of aliases, without building them.

    Raises:
        YamlRefused: There are too many values, or they are nested too deep.
        YAMLError: The text is not YAML.
    """
    counted = 0
    sizes: dict[str, int] = {}  # the number of values of each anchor
    open_anchors: list[tuple[str | None, int]] = []  # of open collections: anchor, count at the beginning
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            sizes.clear()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in (anchor for anchor, _ in open_anchors):
                raise YamlRefused(f"*{event.anchor} stands for a value that contains it.", event.start_mark)
            counted += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            counted += 1
            _check_scalar(event)
            sizes[event.anchor or ""] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_anchors.append((event.anchor, counted))
            counted += 1
            if len(open_anchors) > DEPTH_MAX:
                raise YamlRefused(f"its values lie more than {DEPTH_MAX} deep.", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_anchors.pop()
            if anchor:
                sizes[anchor] = counted - before
        if counted > VALUES_MAX:
            problem = (
                f"it has more than {VALUES_MAX} values, where each alias counts as all the values that it repeats."
            )
            raise YamlRefused(problem, event.start_mark)


def _check_scalar(event: yaml.ScalarEvent) -> None:
    if event.implicit[0] and len(event.value) > PLAIN_CHARACTERS_MAX:
        problem = f"a value without quotes has more than {PLAIN_CHARACTERS_MAX} characters."
        raise YamlRefused(problem, event.start_mark)
