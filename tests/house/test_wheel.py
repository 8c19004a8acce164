"""The wheel, built and installed: the packages and nothing else, compiled where that is asked for."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from ..support.paths import ROOT

# Stand-ins for mypyc that fail where the real one or its C can.
ABSENT = "raise ImportError('no such module')"
REFUSES = "def mypycify(*arguments, **options): raise SystemExit(1)"
MAKES_C = """
from setuptools import Extension
def mypycify(*arguments, **options): return [Extension("perdure.turn", ["turn.c"])]
"""

WORKFLOW = """
import anyio, sys, perdure
app = perdure.App("a")
@app.activity
async def add(ctx, n): return n + 1
@app.workflow
async def twice(ctx, n): return await ctx.call_activity(add, input=await ctx.call_activity(add, input=n))
async def main():
    async with perdure.Engine(app, data=":memory:") as engine:
        print(await engine.client.run(twice, input=40))
anyio.run(main)
ours = {name: m for name, m in sys.modules.items() if name.startswith("perdure.") and m.__spec__.origin}
print(*[name for name, m in ours.items() if not m.__spec__.origin.endswith(".py")])
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel."""
    source = copied(tmp_path_factory.mktemp("source"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--wheel-dir", str(source / "dist"), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True, env=without_the_switch())
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return copied(tmp_path)


def copied(folder: Path) -> Path:
    """A copy of the tree, so that a build leaves nothing behind."""
    source = folder / "perdure"
    unpacked = shutil.ignore_patterns(".*", "*.db*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unpacked)
    return source


def without_the_switch() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PERDURE_COMPILE"}


def asked(source: Path, call: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Have setuptools answer one of pip's calls; what it gave is the last line of the output, in JSON."""
    script = f"import json; from setuptools import build_meta; print(json.dumps(build_meta.{call}))"
    command = [sys.executable, "-P", "-c", script]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=source, env=without_the_switch() | environment
    )


def required(source: Path, **environment: str) -> set[str]:
    """The names of what pip installs before it builds, beyond what pyproject.toml says."""
    answer = asked(source, "get_requires_for_build_wheel()", **environment).stdout.splitlines()[-1]
    return set(re.findall(r'"([\w.-]+)', answer))


def stand_in(source: Path, mypyc: str) -> dict[str, str]:
    """An environment in which a compiled build finds this in place of mypyc."""
    folder = source.parent / "stand-in"
    (folder / "mypyc").mkdir(parents=True)
    (folder / "mypyc" / "__init__.py").touch()
    (folder / "mypyc" / "build.py").write_text(mypyc)
    return {"PERDURE_COMPILE": "1", "PYTHONPATH": str(folder), "CC": str(folder / "no-compiler")}


def test_every_module_of_every_package_is_packed(packed: set[str]) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [Path(*package.split(".")[1:]) for package in packages]
    modules = {str("perdure" / folder / path.name) for folder in folders for path in (ROOT / folder).glob("*.py")}
    modules.remove("perdure/setup.py")
    assert {name for name in packed if name.endswith(".py")} == modules


def test_all_data_of_the_packages_is_packed(packed: set[str]) -> None:
    data = {path for ending in ("*.proto", "*.binpb") for path in (ROOT / "rpc").rglob(ending)}
    assert data
    for folder in ("http/docs/static", "http/page/static"):
        files = {path for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert files
        data |= files
    assert {f"perdure/{path.relative_to(ROOT)}" for path in data} <= packed


def test_the_types_and_the_licence_are_packed(packed: set[str]) -> None:
    assert "perdure/py.typed" in packed
    assert [name for name in packed if name.endswith("/licenses/LICENSE")]


def test_nothing_but_perdure_is_at_the_top(packed: set[str]) -> None:
    tops = {name.split("/")[0] for name in packed}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"perdure"}


def test_neither_tests_nor_documents_are_packed(packed: set[str]) -> None:
    assert not [name for name in packed if name.split("/")[1] in ("tests", "examples", "docs")]


def test_a_wheel_in_python_holds_nothing_that_is_compiled(packed: set[str]) -> None:
    assert not [name for name in packed if name.endswith((".so", ".pyd", ".c", ".h"))]


def test_what_is_listed_to_be_compiled_is_there() -> None:
    assert not [module for module in compiled_modules() if not (ROOT / module).is_file()]


def test_no_coroutine_is_compiled() -> None:
    # One that is cancelled can leave its error behind as the one being handled (seen with mypyc 2.4): it becomes
    # the `__context__` of others, and in a history their cause.
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    for module in compiled_modules():
        for node in ast.walk(ast.parse((ROOT / module).read_text())):
            assert not isinstance(node, waits), f"{module} has a coroutine"


def test_a_workflow_runs_and_of_the_listed_modules_all_are_compiled_or_none(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    # When a workflow runs from what is installed,
    run = [sys.executable, "-c", WORKFLOW]
    ran = subprocess.run(run, check=True, capture_output=True, text=True, cwd=tmp_path)
    # then it is right, and in C ran all that is listed and nothing else; or nothing, where that is not asked for.
    result, compiled = ran.stdout.splitlines()
    assert result == "42"
    listed = {".".join(("perdure", *module.with_suffix("").parts)) for module in compiled_modules()}
    assert set(compiled.split()) in ([listed] if pytestconfig.getoption("--compiled") else [listed, set()])


def test_a_build_in_python_requires_nothing_more(source: Path) -> None:
    assert required(source) == set()


def test_a_compiled_build_requires_mypyc_and_all_that_the_package_depends_on(source: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stubs = [name for name in project["optional-dependencies"]["check"] if name.startswith("types-")]
    names = {re.split(r"[<>=; ]", requirement)[0] for requirement in [*project["dependencies"], *stubs]}
    assert required(source, PERDURE_COMPILE="1") == {"mypy", *names}


@pytest.mark.parametrize(
    ("mypyc", "happened", "todo"),
    [
        (ABSENT, "mypyc is not installed where the build runs", "pip install 'mypy[mypyc]>="),
        (REFUSES, "mypyc did not accept the sources", "pip install ."),
        (MAKES_C, "the C compiler failed: ", "apt install build-essential"),
    ],
)
def test_a_compiled_build_that_cannot_be_says_why_and_what_to_do(
    source: Path, mypyc: str, happened: str, todo: str
) -> None:
    failed = asked(source, "build_wheel('dist')", **stand_in(source, mypyc))
    assert failed.returncode != 0
    assert happened in failed.stderr
    assert todo in failed.stderr
    assert "Without PERDURE_COMPILE=1" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_an_archive_of_the_sources_is_made_without_compiling(source: Path) -> None:
    made = asked(source, "build_sdist('dist')", **stand_in(source, ABSENT))
    assert made.returncode == 0, made.stderr


def compiled_modules() -> list[Path]:
    """What the build compiles if it is asked to, from the root."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["perdure"]["compiled"]
    return [Path(*module.split(".")[1:]).with_suffix(".py") for module in listed]
