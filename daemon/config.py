"""The configuration of a daemon: one frozen value, that is checked before anything starts.

The one law: a daemon reads no flag and no environment. `cli/config.py` makes the value out of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..runtime.operations.retention_policy import Retention
from ..runtime.settings import Settings

LIMITS = Settings()  # the default of every limit, from the one place that has them


# What the values are called in `perdure run`, for errors; `perdure daprd` has other flags for the same.
RUN_FLAGS = {
    "http_port": "--http-port",
    "grpc_port": "--grpc-port",
    "metrics_port": "--metrics-port",
    "host": "--host",
    "unauthenticated": "Set PERDURE_API_TOKEN (or --api-token), or say --allow-unauthenticated.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that `perdure run` was told."""

    target: str | None  # FILE.py, FILE.py:name, module or module:name; None serves SDK workers only
    host: str
    http_port: int  # 0: any free one
    grpc_port: int  # 0: any free one
    metrics_port: int = 0  # 0: no metrics
    data: str  # path of the store
    durability: str  # full or relaxed
    app_id: str | None  # None: the app's name
    api_tokens: tuple[str, ...] = field(repr=False)  # any one of them opens the door; none: there is no door
    max_body_bytes: int | None  # None: what the HTTP API and the gRPC API each take by default
    log_level: str
    log_format: str
    limits: Settings
    retention: Retention = field(default_factory=Retention)  # none in `perdure run`
    flags: Mapping[str, str] = field(default_factory=lambda: RUN_FLAGS, repr=False)  # what errors call the values
    processes: int = 1  # more of them are hosts of one daemon, each with a part of the store

    def settings(self, app_name: str | None) -> Settings:
        """The engine's settings, once it is known which app it runs."""
        return replace(self.limits, app_id=self.app_id or app_name or LIMITS.app_id, retention=self.retention)


PROCESSES_MAX = 64  # as many as a store has shards
