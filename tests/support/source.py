"""The source of the repository, for the tests that hold the rules of the house.

The functions read the tree that contains the tests, and import nothing of it. So an import inside a function, or for
types only, counts like any other. All paths are relative to the root.
"""

import ast
import gc
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .paths import ROOT

# The folders of the product.
LAYERS = (
    *(
        "actors",
        "api",
        "benchmarks",
        "cli",
        "client",
        "daemon",
        "embedding",
        "http",
        "journal",
        "rpc",
        "runtime",
        "telemetry",
    ),
    "testing",
)


def files() -> list[Path]:
    """All files of the repository: tracked by git, or untracked and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [path for path in map(Path, listed.splitlines()) if (ROOT / path).is_file()]


def texts() -> list[Path]:
    """All files of the repository that are read by people: sources, documents, settings."""
    return [path for path in files() if path.suffix in (".py", ".md", ".proto", ".toml") or path.name in NAMES]


NAMES = ("Makefile", "run")


@cache
def read(path: Path) -> str:
    return (ROOT / path).read_text()


@cache
def parsed(module: Path) -> ast.Module:
    """The tree of a module. It is kept, outside of Python's garbage collector, which would take longer to scan it."""
    gc.disable()
    try:
        return ast.parse(read(module))
    finally:
        gc.freeze()
        gc.enable()


@cache
def modules() -> tuple[Path, ...]:
    """All modules of the product: those of the layers, then those of the root."""
    found = [path.relative_to(ROOT) for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
    return (*found, Path("__init__.py"), Path("__main__.py"))


def layer_of(module: Path) -> str:
    """The layer of a module; for a module of the root, its own name."""
    return module.parts[0] if len(module.parts) > 1 else module.stem


def entry_of(path: Path, folder: Path) -> str | None:
    """The entry of a folder that is the file or contains it; None for a file elsewhere."""
    return path.relative_to(folder).parts[0] if path.is_relative_to(folder) else None


@cache
def imports_of(module: Path) -> tuple[tuple[int, str, str], ...]:
    """Each import of a module: its line, the module imported (from the root for our own), and the name."""
    return tuple(_imports_of(module))


def _imports_of(module: Path) -> Iterator[tuple[int, str, str]]:
    package = ("perdure", *module.parent.parts)
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join((*base, *(node.module.split(".") if node.module else ())))
            yield from ((node.lineno, source, alias.name) for alias in node.names)


def files_of(source: str, name: str) -> Iterator[Path]:
    """The files of ours that `from source import name` reads."""
    if source.startswith("perdure."):
        path = Path(*source.split(".")[1:])
        yield from (file for file in (path.with_suffix(".py"), path / f"{name}.py") if _is_file(file))


@cache
def _is_file(path: Path) -> bool:
    return (ROOT / path).is_file()


@cache
def imported_by(module: Path) -> frozenset[Path]:
    """The modules of ours that a module imports."""
    return frozenset(file for _, source, name in imports_of(module) for file in files_of(source, name))
