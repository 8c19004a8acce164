"""The workers of a run rewrite each test module once, where pytest looks for it (`tests/support/rewriting.py`)."""

import sys
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from ..support.rewriting import rewrite_share, rewritten


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with four test modules and another one, in a process that may write what it compiles."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for name in ("test_a", "test_b", "test_c", "test_d", "other"):
        (tmp_path / name).with_suffix(".py").write_text("def test_it():\n    assert 1 + 1 == 2\n")
    return tmp_path


def be_worker(monkeypatch: pytest.MonkeyPatch, name: str, workers: int) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", name)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(workers))


def kept(folder: Path) -> list[str]:
    """The modules that have a rewritten form."""
    return [module.stem for module in sorted(folder.glob("*.py")) if rewritten(module).exists()]


def test_each_worker_rewrites_its_share(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    # When one worker of two begins, then every second module is rewritten;
    be_worker(monkeypatch, "gw1", 2)
    rewrite_share([str(folder)], pytestconfig)
    assert kept(folder) == ["test_b", "test_d"]

    # with the other one, all test modules are.
    be_worker(monkeypatch, "gw0", 2)
    rewrite_share([str(folder)], pytestconfig)
    assert kept(folder) == ["test_a", "test_b", "test_c", "test_d"]


def test_pytest_reads_what_was_rewritten(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    be_worker(monkeypatch, "gw0", 1)
    module = folder / "test_a.py"
    rewrite_share([f"{module}::test_it"], pytestconfig)
    code = rewrite._read_pyc(module, rewritten(module))
    assert code is not None
    assert "@pytest_ar" in code.co_names
    assert kept(folder) == ["test_a"]


def test_what_is_kept_stays(folder: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    be_worker(monkeypatch, "gw0", 1)
    rewrite_share([str(folder)], pytestconfig)
    before = rewritten(folder / "test_a.py").stat().st_mtime_ns
    rewrite_share([str(folder)], pytestconfig)
    assert rewritten(folder / "test_a.py").stat().st_mtime_ns == before


def test_a_run_without_workers_leaves_it_to_pytest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    rewrite_share([str(folder)], pytestconfig)
    assert kept(folder) == []
