"""Reads the configuration of tracing from OpenTelemetry's variables, for `perdure run` and `perdure daprd`.

The rule: spans are made only if a variable names a target (OTEL_TRACES_EXPORTER or an endpoint), and not if
OTEL_SDK_DISABLED is true. The exporters read the other variables themselves.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/; dapr
`pkg/config/configuration.go`, SetTracingSpecFromEnv.
"""

from collections.abc import Mapping

import click

from ...api.tracing import TraceProtocol, TraceTarget, TracingConfig

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

# Values of OTEL_TRACES_EXPORTER, some of which only Python has. "otlp" depends on the variable of the protocol.
EXPORTERS = {
    "otlp_proto_http": TraceProtocol.OTLP_HTTP,
    "otlp_proto_grpc": TraceProtocol.OTLP_GRPC,
    "zipkin": TraceProtocol.ZIPKIN,
    "zipkin_json": TraceProtocol.ZIPKIN,
    "console": TraceProtocol.CONSOLE,
}
OTLP_OVER_HTTP = "/".join(("http", "protobuf"))
OTLP = {OTLP_OVER_HTTP: TraceProtocol.OTLP_HTTP, "grpc": TraceProtocol.OTLP_GRPC}


def tracing_of_variables(variables: Mapping[str, str], *, turns: bool = False) -> TracingConfig | None:
    """Read the variables; None: they configure no traces.

    Args:
        turns: Whether each turn has a span.

    Raises:
        click.UsageError: A value is unknown to Perdure.
    """
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = variables.get("OTEL_TRACES_EXPORTER", "").strip()
    if not named:
        named = "otlp" if _first(variables, ENDPOINTS) is not None else ""
    if not named and variables.get("OTEL_EXPORTER_ZIPKIN_ENDPOINT"):
        named = "zipkin"
    protocols = [_protocol(name.strip(), variables) for name in named.split(",") if name.strip() not in ("", "none")]
    if not protocols:
        return None
    targets = tuple(TraceTarget(protocol=protocol) for protocol in dict.fromkeys(protocols))
    return TracingConfig(targets=targets, turns=turns)


def _protocol(name: str, variables: Mapping[str, str]) -> TraceProtocol:
    if name == "otlp":
        wanted = _first(variables, PROTOCOLS) or OTLP_OVER_HTTP
        if wanted not in OTLP:
            variable = next(each for each in PROTOCOLS if variables.get(each))
            raise click.UsageError(f"{variable}: {wanted!r} is not one of {', '.join(OTLP)}.")
        return OTLP[wanted]
    if name not in EXPORTERS:
        raise click.UsageError(f"OTEL_TRACES_EXPORTER: {name!r} is not one of otlp, {', '.join(EXPORTERS)}, none.")
    return EXPORTERS[name]


def _first(variables: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((variables[name] for name in names if variables.get(name)), None)
