"""`spec.tracing` of a Configuration is read as daprd reads it, and the variables beside it too."""

from pathlib import Path

import pytest

from perdure.api.tracing import TraceProtocol, TraceTarget, TracingConfig
from perdure.cli.dapr_config import DaprFileError, read_config
from perdure.cli.tracing.dapr import with_variables


def read(folder: Path, tracing: str) -> TracingConfig | None:
    path = folder / "config.yaml"
    path.write_text(f"kind: Configuration\nspec:\n  tracing: {tracing}\n")
    config = read_config([str(path)])
    assert config.ignored == ()
    return config.tracing


def test_what_dapr_init_writes_goes_to_zipkin(tmp_path: Path) -> None:
    zipkin = "http://localhost:9411/api/v2/spans"
    found = read(tmp_path, f"{{samplingRate: '1', zipkin: {{endpointAddress: '{zipkin}'}}}}")
    target = TraceTarget(protocol=TraceProtocol.ZIPKIN, endpoint=zipkin)
    assert found == TracingConfig(targets=(target,), sampling=1.0, own_generations=True)


@pytest.mark.parametrize(
    ("otel", "target"),
    [
        (
            "{endpointAddress: 'c:4317', protocol: grpc, isSecure: false, headers: ['x-key=a=b'], timeout: 30s}",
            TraceTarget(
                protocol=TraceProtocol.OTLP_GRPC,
                endpoint="c:4317",
                insecure=True,
                headers=(("x-key", "a=b"),),
                timeout_s=30.0,
            ),
        ),
        (
            "{endpointAddress: 'c:4318', protocol: http}",  # secure by default
            TraceTarget(protocol=TraceProtocol.OTLP_HTTP, endpoint="https://c:4318/v1/traces", insecure=False),
        ),
        (
            "{endpointAddress: 'http://c:4318/otlp/v1/traces', protocol: http, isSecure: false}",
            TraceTarget(protocol=TraceProtocol.OTLP_HTTP, endpoint="http://c:4318/otlp/v1/traces", insecure=True),
        ),
    ],
)
def test_a_collector_of_otlp_is_reached_as_it_says(tmp_path: Path, otel: str, target: TraceTarget) -> None:
    found = read(tmp_path, f"{{samplingRate: '0.5', otel: {otel}}}")
    assert found == TracingConfig(targets=(target,), sampling=0.5, own_generations=True)


def test_without_a_collector_contexts_are_only_passed_on(tmp_path: Path) -> None:
    assert read(tmp_path, "{samplingRate: '1'}") == TracingConfig(sampling=1.0, own_generations=True)
    assert read(tmp_path, "{stdout: true}") == TracingConfig(
        targets=(TraceTarget(protocol=TraceProtocol.CONSOLE),), sampling=1e-4, own_generations=True
    )
    assert read(tmp_path, "{}") is None


@pytest.mark.parametrize(
    ("tracing", "said"),
    [
        ("{otel: {protocol: udp}}", "spec.tracing.otel.protocol: 'udp' is not one of http, grpc."),
        ("{otel: {isSecure: maybe}}", "spec.tracing.otel.isSecure: 'maybe' is neither true nor false."),
        ("{otel: {headers: [x]}}", "spec.tracing.otel.headers: a list of texts name=value was expected."),
        ("{samplingRate: '2'}", "spec.tracing.samplingRate: '2' is not a number from 0 to 1."),
        (
            "{zipkin: {endpointAddress: 'localhost:9411'}}",
            "zipkin.endpointAddress: 'localhost:9411' is no address",
        ),
        ("{zipkin: x}", "spec.tracing.zipkin: a mapping was expected"),
        ("{otel: {timeout: 3}}", "spec.tracing.otel.timeout: 3 is not a duration"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_key(tmp_path: Path, tracing: str, said: str) -> None:
    with pytest.raises(DaprFileError) as refusal:
        read(tmp_path, tracing)
    assert said in str(refusal.value)


def test_a_key_without_a_meaning_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("spec: {tracing: {expandParams: true, otel: {queue: 3}}}")
    ignored = [key.removeprefix(f"{path}: ") for key in read_config([str(path)]).ignored]
    assert ignored == ["spec.tracing.expandParams", "spec.tracing.otel.queue"]


def test_the_variables_add_a_collector_where_the_file_has_none() -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    named = TraceTarget(protocol=TraceProtocol.OTLP_GRPC)
    assert with_variables(None, {}) is None
    assert with_variables(None, variables) == TracingConfig(targets=(named,), sampling=1.0, own_generations=True)
    of_file = TracingConfig(targets=(TraceTarget(protocol=TraceProtocol.ZIPKIN, endpoint="http://z"),), sampling=0.1)
    added = with_variables(of_file, variables)
    assert added is not None
    assert (added.targets, added.sampling) == ((*of_file.targets, named), 0.1)
    otlp = TracingConfig(targets=(TraceTarget(protocol=TraceProtocol.OTLP_HTTP, endpoint="http://o"),))
    assert with_variables(otlp, variables) == otlp
