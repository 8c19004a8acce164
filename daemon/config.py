"""The configuration of a daemon: one frozen value.

The rule: a daemon reads neither flags nor the environment. `cli/config.py` makes the value out of both, and checks it
before the daemon starts.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..actors.store.postgres.url import without_password
from ..api.tracing import TracingConfig
from ..runtime.operations.retention.policy import Retention
from ..runtime.settings import Settings

LIMITS = Settings()  # the default of every limit

# The flag of `perdure run` for each value, as errors name it; `perdure daprd` has other flags for some values.
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


# If the interruption of a step of user code has no effect, its process is ended after this time.
END_AFTER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """An app beside the first one."""

    app_id: str | None  # None: its name
    target: str | None  # as `Config.target`; None: workers have the code of the app
    grpc_port: int  # for the workers and clients of the app; 0: any free one


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that a command line sets for a daemon."""

    target: str | None  # FILE.py, FILE.py:name, module or module:name; None serves SDK workers only
    host: str
    http_port: int  # 0: any free one
    grpc_port: int  # 0: any free one
    metrics_port: int = 0  # 0: no metrics
    metrics_open: bool = False  # metrics are shown without a token
    data: str = field(repr=False)  # path of the store; the address of a database may have a password
    durability: str  # full or relaxed
    app_id: str | None  # of the first app; None: its name
    others: tuple[AppConfig, ...] = ()  # the apps beside it
    api_tokens: tuple[str, ...] = field(repr=False)  # a caller must send one of them; empty: no token is required
    allowed_hosts: tuple[str, ...] = ()  # further names of this daemon for callers without a token
    api_token_file: str | None = None  # further tokens, one a line; read again at SIGHUP
    no_ui: bool = False  # whether there is no page at /ui/
    max_body_bytes: int | None  # None: the defaults of the HTTP API and of the gRPC API
    log_level: str
    log_format: str
    limits: Settings
    retention: Retention = field(default_factory=Retention)  # how long ended instances are kept; by default for ever
    flags: Mapping[str, str] = field(
        default_factory=lambda: RUN_FLAGS, repr=False
    )  # how errors name the flag for each value
    set_aside: tuple[str, ...] = ()  # ids of instances that are to run nothing
    workflow_step_max_s: float = 10.0  # a longer step of workflow code is interrupted; 0: never
    activity_step_max_s: float = 60.0  # a longer step of an `async def` activity is; 0: never
    store_patience_s: float = 30.0  # how long commits, reads and the start wait for a database that cannot be reached
    drain_s: float = 5.0  # how long a leaving host takes requests after it has reported that it is not ready
    commit_max_s: float = 5.0  # while a commit lasts longer the daemon is not healthy; 0: no limit
    processes: int = 1  # more than one: hosts of one daemon, each with a part of the store
    tracing: TracingConfig | None = field(default=None, repr=False)  # None: there are no spans
    folder: str | None = None  # the working folder of worker processes; None: the folder at the start of the engine

    def anchored(self, folder: str) -> "Config":
        """Resolve relative paths against a folder, because the working folder has changed since."""
        data = self.data if self.data == ":memory:" or "://" in self.data else os.path.join(folder, self.data)
        token_file = os.path.join(folder, self.api_token_file) if self.api_token_file is not None else None
        return replace(self, data=data, api_token_file=token_file, folder=folder)

    @property
    def shown_data(self) -> str:
        """The path of the store, without a password."""
        return without_password(self.data)

    def loop_age_max_s(self) -> float:
        """How long the event loop of a host may be blocked; 0: no limit, because user code has none."""
        if not (self.workflow_step_max_s and self.activity_step_max_s):
            return 0.0
        return max(self.workflow_step_max_s, self.activity_step_max_s) + END_AFTER_S

    def names(self) -> tuple[str, ...]:
        """The names under which the configuration lets callers reach this daemon."""
        return (self.host, *self.allowed_hosts)

    def public(self, app_id: str) -> dict[str, Any]:
        """Return the configuration without its secrets, for the page and the API."""
        shown = {name.name: getattr(self, name.name) for name in fields(self) if name.name not in SECRET}
        shown["data"] = self.shown_data
        shown["others"] = [{name.name: getattr(each, name.name) for name in fields(each)} for each in self.others]
        shown["tracing"] = self.tracing.shown if self.tracing is not None else None
        # These two come from the configuration itself.
        limits = {each.name: getattr(self.limits, each.name) for each in fields(self.limits)}
        limits = {name: value for name, value in limits.items() if name not in ("app_id", "retention")}
        return {**shown, "limits": limits, "app_id": app_id, "api_tokens": len(self.api_tokens)}

    def settings(self) -> Settings:
        """The settings of the engine."""
        return replace(self.limits, app_id=self.app_id, retention=self.retention)


# The number of tokens is shown. Headers of traces may hold a token. The names of flags are no configuration.
SECRET = frozenset({"api_tokens", "flags", "tracing"})

PROCESSES_MAX = 64  # the number of shards of a store
