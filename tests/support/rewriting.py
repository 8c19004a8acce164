"""Shares the rewriting of asserts among the workers of a run, in the first run of a clone.

The rule: before a worker collects, it rewrites its share of the test modules that have no rewritten form yet. pytest
keeps these forms for its next process, but workers that begin together would each rewrite most modules, and four of
them would take three times as long. A module that has changed is left to pytest.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from _pytest.assertion import rewrite  # has no public part that rewrites a module without importing it

from .paths import ROOT


def rewrite_share(arguments: Iterable[str], config: pytest.Config) -> None:
    """Rewrite this process's share of the test modules, if it is the worker of a run.

    Args:
        arguments: pytest's: files, folders and names of tests, from the root.
        config: pytest's, which says how asserts are rewritten.
    """
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if worker is None or workers is None or sys.dont_write_bytecode:
        return
    for module in _modules(arguments)[int(worker.removeprefix("gw")) :: int(workers)]:
        kept = rewritten(module)
        if not kept.exists() and rewrite.try_makedirs(kept.parent):
            source, code = rewrite._rewrite_test(module, config)
            rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source, kept)


def rewritten(module: Path) -> Path:
    """Where pytest keeps the rewritten form of a module."""
    return rewrite.get_cache_dir(module) / (module.stem + rewrite.PYC_TAIL)


def _modules(arguments: Iterable[str]) -> list[Path]:
    """The test modules that are named, in the order in which they are collected."""
    named = [ROOT / argument.partition("::")[0] for argument in arguments]
    return sorted({module for name in named for module in (name.rglob("test_*.py") if name.is_dir() else [name])})
