"""The optional half of the build: the engine's hot path, compiled by mypyc.

    PERDURE_COMPILE=1 pip install .

The one law: without that variable nothing here has any effect. What is
compiled is the same source, listed in pyproject.toml (`tool.perdure.compiled`).
"""

import contextlib
import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent

# mypyc compiles what mypy understands, and for that needs the types of what the modules import.
REQUIRES = ["mypy[mypyc]>=1.14", "anyio>=4.6,<5", "msgspec>=0.19,<1"]


def extensions(config: dict[str, Any]) -> list[Extension]:
    """Turn the listed modules into C.

    From a copy in a folder with the package's name, because mypyc names
    modules after folders, and the checkout may be called anything.
    """
    from mypyc.build import mypycify  # noqa: PLC0415  not there when nothing is compiled

    build = ROOT / "build" / "mypyc"
    shutil.rmtree(build, ignore_errors=True)
    for package in config["setuptools"]["packages"]:
        folder = Path(*package.split(".")[1:])
        (build / "perdure" / folder).mkdir(parents=True, exist_ok=True)
        for source in (ROOT / folder).glob("*.py"):
            if source.name != "setup.py":
                shutil.copy(source, build / "perdure" / folder)
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--namespace-packages", "--explicit-package-bases"]
    files = [module.replace(".", "/") + ".py" for module in config["perdure"]["compiled"]]
    with contextlib.chdir(build):
        made: list[Extension] = mypycify([*options, *files], group_name="perdure", target_dir=str(build))
    return made


def arguments() -> dict[str, Any]:
    if os.environ.get("PERDURE_COMPILE") != "1":
        return {}
    # pip asks for the requirements and the metadata first, when mypyc may not be there yet.
    if {"egg_info", "dist_info"} & set(sys.argv):
        return {"setup_requires": REQUIRES}
    return {"ext_modules": extensions(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"])}


# Named, so that setuptools knows this file from the package's modules: pip calls it from a script of its own.
setup(script_name="setup.py", **arguments())
