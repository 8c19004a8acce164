"""The optional half of the build: the engine's hot path, compiled by mypyc.

    PERDURE_COMPILE=1 pip install .

The rule: without that variable nothing here has any effect. The compiled modules have the same source, listed in
pyproject.toml (`tool.perdure.compiled`).
"""

import contextlib
import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

ROOT = Path(__file__).resolve().parent
COMPILER = "mypy[mypyc]>=1.14"

# Options beside the config file. `make check` reports ignores and casts that are no longer needed; that depends on the
# versions of mypy and of the libraries, so a build does not.
OPTIONS = ["--namespace-packages", "--explicit-package-bases", "--no-warn-unused-ignores", "--no-warn-redundant-casts"]

WITHOUT = "Without PERDURE_COMPILE=1 the same package is built in Python and needs none of this."
NO_MYPYC = f"""
PERDURE_COMPILE=1 asks for a compiled build, and mypyc is not installed where the build runs ({{error}}).
Expected: {COMPILER}, which pip installs for the build unless --no-build-isolation is given.
Leave that option out, or first run: pip install '{COMPILER}' and the dependencies in pyproject.toml.
{WITHOUT}"""
MYPYC_FAILED = f"""
PERDURE_COMPILE=1 asks for a compiled build, and mypyc did not accept the sources; its errors are above.
Expected: where the build runs, the dependencies in the versions that pyproject.toml allows. pip installs them for the
build unless --no-build-isolation is given. Leave that option out, or install them first:
PERDURE_COMPILE=0 pip install .
{WITHOUT}"""
NO_C = f"""
PERDURE_COMPILE=1 asks for a compiled build, and the C compiler failed: {{error}}
Expected: a C compiler, and the headers of this Python (Python.h).
Install them (Debian: apt install build-essential python3-dev; Fedora: dnf install gcc python3-devel; macOS:
xcode-select --install), or name another compiler: CC=clang.
{WITHOUT}"""


class BuildExtensions(build_ext):
    """Run the C compiler; if that fails, say which packages it needs."""

    def build_extensions(self) -> None:
        try:
            super().build_extensions()
        except (BaseError, CCompilerError) as error:
            raise SystemExit(NO_C.format(error=error)) from None


def arguments() -> dict[str, Any]:
    """Return the arguments of `setup` beyond pyproject.toml: the requirements of a compiled build if pip asks for them,
    else the modules to compile. A source archive needs neither.
    """
    if os.environ.get("PERDURE_COMPILE") != "1" or "sdist" in sys.argv:
        return {}
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    # pip asks for the requirements and the metadata first, when mypyc may not be installed yet.
    if {"egg_info", "dist_info"} & set(sys.argv):
        return {"setup_requires": requirements(config["project"])}
    return {"ext_modules": extensions(config["tool"]), "cmdclass": {"build_ext": BuildExtensions}}


def requirements(project: dict[str, Any]) -> list[str]:
    """Return the packages that must be installed while mypyc runs.

    mypyc needs mypy's types, and mypy follows every import from `perdure/__init__` on. So these are the dependencies of
    the package, and the stubs for libraries without types of their own, as `make check` uses them.
    """
    stubs = [name for name in project["optional-dependencies"]["check"] if name.startswith("types-")]
    return [COMPILER, *project["dependencies"], *stubs]


def extensions(tool: dict[str, Any]) -> list[Any]:
    """Compile the listed modules to C, and return the `Extension` objects that mypyc makes.

    It compiles a copy in a folder with the package's name, because mypyc names modules after folders, and the checkout
    may have any name.

    Raises:
        SystemExit: mypyc is not installed, or did not accept the sources.
    """
    try:
        from mypyc.build import mypycify  # noqa: PLC0415  not there when nothing is compiled
    except ImportError as error:
        raise SystemExit(NO_MYPYC.format(error=error)) from None

    build = ROOT / "build" / "mypyc"
    copy_sources(tool["setuptools"]["packages"], build)
    files = [module.replace(".", "/") + ".py" for module in tool["perdure"]["compiled"]]
    options = ["--config-file", str(ROOT / "pyproject.toml"), *OPTIONS]
    with contextlib.chdir(build):
        try:
            made: list[Any] = mypycify([*options, *files], group_name="perdure", target_dir=str(build))
        except SystemExit:  # it has printed what mypy found
            raise SystemExit(MYPYC_FAILED) from None
    return made


def copy_sources(packages: list[str], build: Path) -> None:
    """Copy the modules of the packages into `build`, each under its full name.

    The results of an earlier build are removed first: setuptools would pack them too, and Python would import a
    compiled module before its source.
    """
    shutil.rmtree(build.parent, ignore_errors=True)
    for package in packages:
        target = build.joinpath(*package.split("."))
        target.mkdir(parents=True, exist_ok=True)
        for source in ROOT.joinpath(*package.split(".")[1:]).glob("*.py"):
            if source != ROOT / "setup.py":
                shutil.copy(source, target)


# The name distinguishes this file from the package's modules: pip runs it through a script of its own.
setup(script_name="setup.py", **arguments())
