"""The public face: what `import perdure` offers, each name once, each from the module that defines it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import perdure

from ..support.source import LAYERS

# Adding a name is a promise to every user; taking one away breaks them. Change this list with both in mind.
PUBLIC = {
    *("App", "Engine", "Settings", "Durability", "Client", "Handle", "WorkflowState", "Status"),
    *("asgi", "connect", "connect_sync"),
    *("WorkflowContext", "ActivityContext", "RetryPolicy", "Task", "when_all", "when_any", "FailureDetails"),
    *("PerdureError", "InstanceExists", "InstanceNotFound", "InstanceStalled", "NondeterminismError"),
    *("NonRetryableError", "PayloadError", "TaskFailedError", "WorkflowFailed", "WorkflowMisuse"),
}

# What the doors, the command line, the benchmarks or only some apps need. Each takes long to import, and none is
# needed to write a workflow.
HEAVY = {
    *(
        "click",
        "google.protobuf",
        "grpc",
        "grpc_reflection",
        "httptools",
        "httpx2",
        "vl_convert",
        "prometheus_client",
        "psutil",
    ),
    *("pydantic", "rich", "starlette", "trio", "uvicorn", "uvloop", "yaml"),
}
# The layers that `import perdure` may load.
LIGHT = {"actors", "client", "daemon", "embedding", "journal", "runtime", "testing"}


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


def test_import_perdure_is_light(tmp_path: Path) -> None:
    # Every name of the face is asked for: none may load more than the import does.
    program = "import sys, perdure; [getattr(perdure, name) for name in perdure.__all__]; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert "perdure.runtime.engine" in loaded
    assert loaded & HEAVY == set()
    assert loaded & {f"perdure.{layer}" for layer in LAYERS} <= {f"perdure.{layer}" for layer in LIGHT}


def test_what_is_called_heavy_is_there() -> None:
    # A name with a mistake in it is never loaded.
    assert {name for name in HEAVY if find_spec(name) is None} == set()
    assert set(LAYERS) > LIGHT


def test_types_are_shipped() -> None:
    assert perdure.__file__ is not None
    assert (Path(perdure.__file__).parent / "py.typed").is_file()
