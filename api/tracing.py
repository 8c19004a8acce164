"""The configuration of tracing: the targets of spans, the sampling of traces, and the kinds of spans.

The rule: the values come from a command line or a file. This module neither reads the environment nor needs the
libraries of the extra `otel`.

`cli/` makes the values, and `telemetry/exporting.py` makes exporters from them.
"""

from dataclasses import dataclass
from enum import StrEnum

SAMPLING_OF_DAPR = 1e-4  # of a Configuration without a rate. Source: dapr `pkg/diagnostics/utils/trace_utils.go`


class TraceProtocol(StrEnum):
    """The protocol with which spans are sent."""

    OTLP_HTTP = "otlp-http"  # OTLP in protobuf over HTTP
    OTLP_GRPC = "otlp-grpc"
    ZIPKIN = "zipkin"  # Zipkin's JSON, version 2
    CONSOLE = "console"  # lines on standard output


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceTarget:
    """A target of spans."""

    protocol: TraceProtocol
    # The address of the collector: HOST:PORT for gRPC, otherwise a URL. None: from the OTEL_ variables, or the
    # standard's default.
    endpoint: str | None = None
    insecure: bool | None = None  # gRPC without TLS; None: according to the address
    headers: tuple[tuple[str, str], ...] = ()  # may hold secrets
    timeout_s: float | None = None  # of one export; None: the standard's default

    @property
    def shown(self) -> str:
        """The value without its secrets."""
        endpoint = (self.endpoint or "OTEL_ variables").rpartition("@")[2]
        return f"{self.protocol} {endpoint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """The sampled requests, and the targets of their spans."""

    targets: tuple[TraceTarget, ...] = ()  # empty: contexts are made and passed on, and no spans are sent
    # The share of traces to sample, 0 to 1, of requests that the caller has not sampled. None: from
    # OTEL_TRACES_SAMPLER, whose default samples requests that the caller has sampled, and requests without a trace.
    sampling: float | None = None
    turns: bool = False  # whether each turn has a span
    own_generations: bool = False  # whether each generation has its own trace, as in Dapr

    @property
    def shown(self) -> dict[str, object]:
        """The value without its secrets."""
        return {"targets": [target.shown for target in self.targets], "sampling": self.sampling, "turns": self.turns}
