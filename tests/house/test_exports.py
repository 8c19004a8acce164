"""The public face: what `import perdure` offers, each name once, each from the module that defines it."""

import subprocess
import sys
from pathlib import Path

import perdure

# Adding a name is a promise to every user; taking one away breaks them. Change this list with both in mind.
PUBLIC = {
    *("App", "Engine", "Settings", "Durability", "Client", "WorkflowState", "Status"),
    *("WorkflowContext", "ActivityContext", "RetryPolicy", "Task", "when_all", "when_any", "FailureDetails"),
    *("PerdureError", "InstanceExists", "InstanceNotFound", "InstanceStalled", "NondeterminismError"),
    *("NonRetryableError", "PayloadError", "TaskFailedError", "WorkflowFailed", "WorkflowMisuse"),
}


def test_the_public_names_are_those_agreed() -> None:
    assert set(perdure.__all__) == PUBLIC


def test_every_public_name_is_there() -> None:
    for name in perdure.__all__:
        assert getattr(perdure, name) is not None


def test_there_are_a_couple_of_dozen_at_most() -> None:
    assert len(perdure.__all__) <= 30
    assert len(perdure.__all__) == len(set(perdure.__all__))


def test_nothing_happens_at_import(tmp_path: Path) -> None:
    # No file, no thread, no environment: a value is a value until an engine is given it.
    program = """
import os, threading
before = dict(os.environ)
import perdure
assert all(hasattr(perdure, name) for name in perdure.__all__)
assert threading.active_count() == 1
assert dict(os.environ) == before
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())


def test_types_are_shipped() -> None:
    assert perdure.__file__ is not None
    assert (Path(perdure.__file__).parent / "py.typed").is_file()
