"""Perdure: durable workflows in one process, over the Dapr Workflow API."""

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
