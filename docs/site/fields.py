"""Turn the comments of fields into docstrings, in the copy of the code of which the reference is made.

The rule: code changes in nothing else. A field's unit stands in a comment beside it or above it, and the reference's
maker (griffe) reads the text below it.
"""

import ast
import io
import tokenize
from collections.abc import Iterator, Mapping


def documented(source: str) -> str:
    """The source of a module, with a docstring below each field of a class that has a comment and no docstring."""
    comments = comments_of(source)
    lines = source.splitlines()
    for field in sorted(fields_of(ast.parse(source)), key=lambda field: field.lineno, reverse=True):
        if said := comment_of(field, comments, lines):
            assert field.end_lineno is not None
            lines.insert(field.end_lineno, " " * field.col_offset + repr(said))
    return "\n".join(lines) + "\n"


def comments_of(source: str) -> Mapping[int, str]:
    """Line -> the words of its comment; a remark to a checker is none."""
    found = (
        token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT
    )
    words = {token.start[0]: token.string.lstrip("#: ").partition("# noqa")[0].strip() for token in found}
    return {line: said for line, said in words.items() if said and not said.startswith(("noqa", "type:"))}


def fields_of(tree: ast.AST) -> Iterator[ast.Assign | ast.AnnAssign]:
    """The public fields of all classes that have no docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.Assign | ast.AnnAssign) and name_of(field) and not _is_text(after):
                    yield field


def name_of(field: ast.Assign | ast.AnnAssign) -> str:
    """The name of a public field; nothing if it is another target."""
    target = field.target if isinstance(field, ast.AnnAssign) else field.targets[0]
    return target.id if isinstance(target, ast.Name) and not target.id.startswith("_") else ""


def comment_of(field: ast.Assign | ast.AnnAssign, comments: Mapping[int, str], lines: list[str]) -> str:
    """The comment beside a field, else the one above it, as a sentence."""
    assert field.end_lineno is not None
    said = comments.get(field.end_lineno, "")
    above = field.lineno - 1
    while not comments.get(field.end_lineno) and above in comments and lines[above - 1].lstrip().startswith("#"):
        said = f"{comments[above]} {said}".strip()
        above -= 1
    return said[:1].upper() + said[1:].removesuffix(".") + "." if said else ""


def _is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
