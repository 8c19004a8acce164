"""OpenTelemetry's variables ask for traces only if they name a place for them."""

import click
import pytest

from perdure.api.tracing import TraceProtocol
from perdure.cli.tracing.variables import tracing_of_variables

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}


@pytest.mark.parametrize(
    ("variables", "protocols"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "x"}, None),
        (ENDPOINT, [TraceProtocol.OTLP_HTTP]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, None),
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            [TraceProtocol.OTLP_GRPC],
        ),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_TRACES_EXPORTER": "zipkin, console"}, [TraceProtocol.ZIPKIN, TraceProtocol.CONSOLE]),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, [TraceProtocol.OTLP_HTTP]),
        ({"OTEL_EXPORTER_ZIPKIN_ENDPOINT": "http://z"}, [TraceProtocol.ZIPKIN]),
    ],
)
def test_what_is_asked_for_is_made(variables: dict[str, str], protocols: list[TraceProtocol] | None) -> None:
    config = tracing_of_variables(variables, turns=True)
    assert ([target.protocol for target in config.targets] if config is not None else None) == protocols
    assert config is None or config.turns


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER: 'jaeger' is not one of otlp"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ),
    ],
)
def test_a_wrong_value_is_named(variables: dict[str, str], said: str) -> None:
    with pytest.raises(click.UsageError) as refusal:
        tracing_of_variables(variables)
    assert said in refusal.value.format_message()
