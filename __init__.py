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
    from .embedding.engine import EmbeddedEngine as Engine
    from .runtime.authoring.app import App
    from .runtime.authoring.context import ActivityContext, WorkflowContext
    from .runtime.authoring.retry import RetryPolicy
    from .runtime.authoring.task import Task, when_all, when_any
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

# Name -> where it is defined, as above.
_HOMES = {
    "ActivityContext": "runtime.authoring.context",
    "App": "runtime.authoring.app",
    "Client": "runtime.operations.client",
    "Durability": "actors.store.durability",
    "Engine": "embedding.engine:EmbeddedEngine",
    "FailureDetails": "runtime.history.failure",
    "Handle": "runtime.operations.handle",
    "InstanceExists": "runtime.errors",
    "InstanceNotFound": "runtime.errors",
    "InstanceStalled": "runtime.errors",
    "NonRetryableError": "runtime.errors",
    "NondeterminismError": "runtime.errors",
    "PayloadError": "runtime.errors",
    "PerdureError": "actors.errors",
    "RetryPolicy": "runtime.authoring.retry",
    "Settings": "runtime.settings",
    "Status": "runtime.history.status",
    "Task": "runtime.authoring.task",
    "TaskFailedError": "runtime.errors",
    "WorkflowContext": "runtime.authoring.context",
    "WorkflowFailed": "runtime.errors",
    "WorkflowMisuse": "runtime.errors",
    "WorkflowState": "runtime.operations.handle",
    "asgi": "daemon.asgi",
    "connect": "client.connect",
    "connect_sync": "client.connect",
    "when_all": "runtime.authoring.task",
    "when_any": "runtime.authoring.task",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, _, own_name = _HOMES[name].partition(":")
    value = globals()[name] = getattr(import_module(f".{home}", __name__), own_name or name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
