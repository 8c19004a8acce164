"""Tracing as it is configured: where spans go, how many traces are sampled, and which spans there are.

The rule: these are values that a command line or a file has given. Nothing here reads the environment, and nothing here
needs the libraries of the extra `otel`.

`cli/` makes them, and `telemetry/exporting.py` makes exporters out of them.
"""

from dataclasses import dataclass
from enum import StrEnum

SAMPLING_OF_DAPR = 1e-4  # of a Configuration that says no rate. Source: dapr `pkg/diagnostics/utils/trace_utils.go`


class TraceProtocol(StrEnum):
    """How spans are sent."""

    OTLP_HTTP = "otlp-http"  # OTLP in protobuf over HTTP
    OTLP_GRPC = "otlp-grpc"
    ZIPKIN = "zipkin"  # Zipkin's JSON, version 2
    CONSOLE = "console"  # lines on standard output


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceTarget:
    """Where spans go."""

    protocol: TraceProtocol
    # The address of the collector: of gRPC HOST:PORT, of the others a URL. None: the OTEL_ variables say, or the
    # standard's default.
    endpoint: str | None = None
    insecure: bool | None = None  # without TLS; None: as the address says. For gRPC
    headers: tuple[tuple[str, str], ...] = ()  # may hold secrets
    timeout_s: float | None = None  # of one export; None: the standard's

    @property
    def shown(self) -> str:
        """It, without secrets."""
        endpoint = (self.endpoint or "OTEL_ variables").rpartition("@")[2]
        return f"{self.protocol} {endpoint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """Which requests are traced, and where the spans go."""

    targets: tuple[TraceTarget, ...] = ()  # none: contexts are made and passed on, and nothing is sent
    # The share of traces that is sampled, 0 to 1, among requests whose caller has not sampled them. None:
    # OTEL_TRACES_SAMPLER says, whose default is to sample what the caller has, and what comes without a trace.
    sampling: float | None = None
    turns: bool = False  # a span for each turn
    own_generations: bool = False  # each generation has a trace of its own, as in Dapr

    @property
    def shown(self) -> dict[str, object]:
        """It, without secrets."""
        return {"targets": [target.shown for target in self.targets], "sampling": self.sampling, "turns": self.turns}
