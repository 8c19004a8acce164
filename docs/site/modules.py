"""Make the page of all modules, for the site:  reference/modules.md

The rule: every module of the package is in it, with the first paragraph of its docstring. The page is made when the
site is built, by `docs/site/hooks.py`, and stands nowhere else.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """# All modules

What each module of the package is, by its folder. [Architecture](../architecture.md) says how they
fit together, and in which order to read them. What a program may use is in
[the Python reference](python.md).
"""


def packages() -> list[str]:
    """The folders of the package, as `perdure.actors.store`."""
    found: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    return found


def modules(package: str) -> Iterator[tuple[str, str]]:
    """The modules of a folder, each with what it is."""
    for path in sorted(ROOT.joinpath(*package.split(".")[1:]).glob("*.py")):
        if package == "perdure" and path.name not in ("__init__.py", "__main__.py"):
            continue  # the root has files that are not packed
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        name = package if path.stem == "__init__" else f"{package}.{path.stem}"
        yield name, " ".join(said.partition("\n\n")[0].split())


def page() -> str:
    """Return the page in Markdown."""
    lines = [HEAD]
    for package in packages():
        lines += [f"## {package}\n", *(f"* `{name}`: {escaped(said)}" for name, said in modules(package)), ""]
    return "\n".join(lines)


def escaped(said: str) -> str:
    """A sentence whose marks Markdown must not take for its own; code between backticks stays."""
    parts = re.split(r"(`[^`]*`)", said)
    return "".join(part if part.startswith("`") else re.sub(r"([*_\[\]<>])", r"\\\1", part) for part in parts)
