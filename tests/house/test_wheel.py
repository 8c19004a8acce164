"""What is installed: the packages and nothing else, above all no `http` of its own."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from ..support.paths import ROOT


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel."""
    with zipfile.ZipFile(built(tmp_path_factory.mktemp("source"))) as archive:
        return set(archive.namelist())


def built(folder: Path, **environment: str) -> Path:
    """Build a wheel from a copy of the tree, so that the build leaves nothing behind."""
    source = folder / "perdure"
    unpacked = shutil.ignore_patterns(".*", "*.db*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unpacked)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--wheel-dir", str(source / "dist"), str(source)]
    environment = {name: value for name, value in os.environ.items() if name != "PERDURE_COMPILE"} | environment
    subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    (wheel,) = (source / "dist").glob("*.whl")
    return wheel


def test_every_module_of_every_package_is_packed(packed: set[str]) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [Path(*package.split(".")[1:]) for package in packages]
    modules = {str("perdure" / folder / path.name) for folder in folders for path in (ROOT / folder).glob("*.py")}
    modules.remove("perdure/setup.py")
    assert {name for name in packed if name.endswith(".py")} == modules


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


@pytest.mark.slow
def test_a_compiled_wheel_runs_the_listed_modules_in_c_and_a_workflow(tmp_path: Path) -> None:
    pytest.importorskip("mypyc")
    # Given a wheel that was built with the switch,
    wheel = built(tmp_path, PERDURE_COMPILE="1")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    # when a workflow runs from it,
    script = (
        "import anyio, sys, perdure\n"
        "app = perdure.App('a')\n"
        "@app.activity\n"
        "async def add(ctx, n): return n + 1\n"
        "@app.workflow\n"
        "async def twice(ctx, n): return await ctx.call_activity(add, input=await ctx.call_activity(add, input=n))\n"
        "async def main():\n"
        "    async with perdure.Engine(app, data=':memory:') as engine:\n"
        "        print(await engine.client.run(twice, input=40))\n"
        "anyio.run(main)\n"
        "ours = {name: m for name, m in sys.modules.items() if name.startswith('perdure.') and m.__spec__.origin}\n"
        "print(*[name for name, m in ours.items() if not m.__spec__.origin.endswith('.py')])\n"
    )
    run = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    ran = subprocess.run(run, check=True, capture_output=True, text=True, env=environment, cwd=tmp_path / "site")
    # then it is right, and all that is listed ran compiled.
    result, compiled = ran.stdout.splitlines()
    assert result == "42"
    expected = {".".join(("perdure", *Path(module).with_suffix("").parts)) for module in compiled_modules()}
    assert set(compiled.split()) == expected


def compiled_modules() -> list[Path]:
    """What the build compiles if it is asked to, from the root."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["perdure"]["compiled"]
    return [Path(*module.split(".")[1:]).with_suffix(".py") for module in listed]
