"""Perdure: durable workflows in one process, over the Dapr Workflow API.

A name is imported when it is asked for. The plugin for pytest (`testing/plugin.py`) is loaded wherever perdure is
installed, also by suites that never use it, and an import of it is one of this package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .actors.errors import PerdureError
    from .actors.store.durability import Durability
    from .client.connect import connect, connect_sync
    from .daemon.asgi import asgi
    from .runtime.authoring.app import App
    from .runtime.authoring.context import ActivityContext, WorkflowContext
    from .runtime.authoring.retry import RetryPolicy
    from .runtime.authoring.task import Task, when_all, when_any
    from .runtime.engine import Engine
    from .runtime.errors import (
        InstanceExists,
        InstanceNotFound,
        InstanceStalled,
        NondeterminismError,
        NonRetryableError,
        PayloadError,
        TaskFailedError,
        WorkflowFailed,
        WorkflowMisuse,
    )
    from .runtime.history.failure import FailureDetails
    from .runtime.history.status import Status
    from .runtime.operations.client import Client
    from .runtime.operations.handle import Handle, WorkflowState
    from .runtime.settings import Settings

__all__ = [
    "ActivityContext",
    "App",
    "Client",
    "Durability",
    "Engine",
    "FailureDetails",
    "Handle",
    "InstanceExists",
    "InstanceNotFound",
    "InstanceStalled",
    "NonRetryableError",
    "NondeterminismError",
    "PayloadError",
    "PerdureError",
    "RetryPolicy",
    "Settings",
    "Status",
    "Task",
    "TaskFailedError",
    "WorkflowContext",
    "WorkflowFailed",
    "WorkflowMisuse",
    "WorkflowState",
    "asgi",
    "connect",
    "connect_sync",
    "when_all",
    "when_any",
]

# Module -> the names that it defines, as above.
_HOMES = {
    "actors.errors": ("PerdureError",),
    "actors.store.durability": ("Durability",),
    "client.connect": ("connect", "connect_sync"),
    "daemon.asgi": ("asgi",),
    "runtime.authoring.app": ("App",),
    "runtime.authoring.context": ("ActivityContext", "WorkflowContext"),
    "runtime.authoring.retry": ("RetryPolicy",),
    "runtime.authoring.task": ("Task", "when_all", "when_any"),
    "runtime.engine": ("Engine",),
    "runtime.errors": (
        "InstanceExists",
        "InstanceNotFound",
        "InstanceStalled",
        "NonRetryableError",
        "NondeterminismError",
        "PayloadError",
        "TaskFailedError",
        "WorkflowFailed",
        "WorkflowMisuse",
    ),
    "runtime.history.failure": ("FailureDetails",),
    "runtime.history.status": ("Status",),
    "runtime.operations.client": ("Client",),
    "runtime.operations.handle": ("Handle", "WorkflowState"),
    "runtime.settings": ("Settings",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
