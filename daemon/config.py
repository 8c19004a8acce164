"""The configuration of a daemon: one frozen value.

The rule: a daemon reads neither flags nor environment. `cli/config.py` makes the value out of both, and checks it
before anything starts.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..actors.store.postgres.url import without_password
from ..api.tracing import TracingConfig
from ..runtime.operations.retention.policy import Retention
from ..runtime.settings import Settings
from .supervision import END_AFTER_S

LIMITS = Settings()  # the default of every limit

# How errors name the flag for each value, in `perdure run`; `perdure daprd` has other flags for some of them.
RUN_FLAGS = {
    "data": "--data",
    "processes": "--processes",
    "http_port": "--http-port",
    "grpc_port": "--grpc-port",
    "metrics_port": "--metrics-port",
    "host": "--host",
    "peer_address": "--peer-address",
    "unauthenticated": "Set PERDURE_API_TOKEN (or --api-token-file), or say --allow-unauthenticated.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """An app beside the first one."""

    app_id: str | None  # None: its name
    target: str | None  # as of the configuration; None: workers have its code
    grpc_port: int  # for its workers and clients; 0: any free one


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that a command line sets for a daemon."""

    target: str | None  # FILE.py, FILE.py:name, module or module:name; None serves SDK workers only
    host: str
    http_port: int  # 0: any free one
    grpc_port: int  # 0: any free one
    metrics_port: int = 0  # 0: no metrics
    metrics_open: bool = False  # they are shown without a token
    data: str = field(repr=False)  # path of the store; the address of a database may have a password
    durability: str  # full or relaxed
    app_id: str | None  # of the first app; None: its name
    others: tuple[AppConfig, ...] = ()  # the apps beside it
    api_tokens: tuple[str, ...] = field(repr=False)  # a caller must send one of them; none: no token is asked for
    allowed_hosts: tuple[str, ...] = ()  # answered without a token, beside the names that need no permission
    api_token_file: str | None = None  # more of them, a line for each; read again at SIGHUP
    no_ui: bool = False  # whether there is no page at /ui/
    max_body_bytes: int | None  # None: what the HTTP API and the gRPC API each take by default
    log_level: str
    log_format: str
    limits: Settings
    retention: Retention = field(default_factory=Retention)  # how long what has ended is kept; for ever
    flags: Mapping[str, str] = field(
        default_factory=lambda: RUN_FLAGS, repr=False
    )  # how errors name the flag for each value
    set_aside: tuple[str, ...] = ()  # ids of instances of which nothing is to begin
    workflow_step_max_s: float = 10.0  # one step of workflow code that lasts longer is interrupted; 0: never
    activity_step_max_s: float = 60.0  # the same of an `async def` activity
    store_patience_s: float = 30.0  # how long commits, reads and the start wait for a database that is away
    drain_s: float = 5.0  # how long a host that leaves others takes requests after it has said that it is not ready
    commit_max_s: float = 5.0  # as long as a commit lasts longer the daemon is not healthy; 0: never
    processes: int = 1  # several are hosts of one daemon, each with a part of the store
    tracing: TracingConfig | None = field(default=None, repr=False)  # None: there are no spans
    folder: str | None = None  # the working folder of worker processes; None: what it is when the engine begins

    def anchored(self, folder: str) -> "Config":
        """Tie relative paths to a folder, because the present one is another by now."""
        data = self.data if self.data == ":memory:" or "://" in self.data else os.path.join(folder, self.data)
        token_file = os.path.join(folder, self.api_token_file) if self.api_token_file is not None else None
        return replace(self, data=data, api_token_file=token_file, folder=folder)

    @property
    def shown_data(self) -> str:
        """The path of the store, without a password."""
        return without_password(self.data)

    def loop_age_max_s(self) -> float:
        """How long the event loop of a host may be blocked; 0: for ever, because user code may."""
        if not (self.workflow_step_max_s and self.activity_step_max_s):
            return 0.0
        return max(self.workflow_step_max_s, self.activity_step_max_s) + END_AFTER_S

    def names(self) -> tuple[str, ...]:
        """The names that this daemon is told it has."""
        return (self.host, *self.allowed_hosts)

    def public(self, app_id: str) -> dict[str, Any]:
        """The configuration as the daemon shows it: all but secrets."""
        shown = {name.name: getattr(self, name.name) for name in fields(self) if name.name not in SECRET}
        shown["data"] = self.shown_data
        shown["others"] = [{name.name: getattr(each, name.name) for name in fields(each)} for each in self.others]
        shown["tracing"] = self.tracing.shown if self.tracing is not None else None
        # The settings have these two from the configuration.
        limits = {each.name: getattr(self.limits, each.name) for each in fields(self.limits)}
        limits = {name: value for name, value in limits.items() if name not in ("app_id", "retention")}
        return {**shown, "limits": limits, "app_id": app_id, "api_tokens": len(self.api_tokens)}

    def settings(self) -> Settings:
        """The settings of the engine."""
        return replace(self.limits, app_id=self.app_id, retention=self.retention)


# How many tokens there are may be known. Headers of traces may hold a token. The texts of flags are no configuration.
SECRET = frozenset({"api_tokens", "flags", "tracing"})

PROCESSES_MAX = 64  # as many as a store has shards
