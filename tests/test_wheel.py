"""What is installed: the packages and nothing else, above all no `http` of its own."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel built from a copy of the tree, so that the build leaves nothing behind."""
    source = tmp_path_factory.mktemp("source") / "perdure"
    unpacked = shutil.ignore_patterns(".*", "*.db*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unpacked)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", source / "dist", source], check=True, capture_output=True, text=True)
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_module_of_every_package_is_packed(packed: set[str]) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [Path(*package.split(".")[1:]) for package in packages]
    modules = {str("perdure" / folder / path.name) for folder in folders for path in (ROOT / folder).glob("*.py")}
    assert {name for name in packed if name.endswith(".py")} == modules


def test_the_types_and_the_licence_are_packed(packed: set[str]) -> None:
    assert "perdure/py.typed" in packed
    assert [name for name in packed if name.endswith("/licenses/LICENSE")]


def test_nothing_but_perdure_is_at_the_top(packed: set[str]) -> None:
    tops = {name.split("/")[0] for name in packed}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"perdure"}


def test_neither_tests_nor_documents_are_packed(packed: set[str]) -> None:
    assert not [name for name in packed if name.split("/")[1] in ("tests", "examples", "docs")]
