"""Reads the configuration of tracing for `perdure daprd`: `spec.tracing`, and the OTEL_ variables.

The rule: the collector of a file overrides that of the variables. As in Dapr, each generation that continues as new
begins its own trace.

`cli/dapr_config.py` reads the files. Source: dapr `pkg/config/configuration.go` (TracingSpec, SetTracingSpecFromEnv),
`pkg/runtime/runtime.go` (setupTracing); contract 3.14, 3.18.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ...api.tracing import SAMPLING_OF_DAPR, TraceProtocol, TraceTarget, TracingConfig
from ..parsing import read_duration
from .variables import tracing_of_variables

PROTOCOLS = {"http": TraceProtocol.OTLP_HTTP, "grpc": TraceProtocol.OTLP_GRPC}
OTLP_HTTP_PATH = "/v1/traces"


def read_rate(value: Any) -> float:
    """Parse the share of traces to sample. As in Dapr, a text that is no number means Dapr's default.

    Raises:
        ValueError: It is not from 0 to 1.
    """
    try:
        rate = float(value)
    except (TypeError, ValueError):
        return SAMPLING_OF_DAPR
    if not 0 <= rate <= 1:
        raise ValueError(f"{value!r} is not a number from 0 to 1.")
    return rate


def read_text(value: Any) -> str:
    """Check that a value of YAML is a text.

    Raises:
        ValueError: The value is no text.
    """
    if not isinstance(value, str):
        raise ValueError(f"a text was expected, not {value!r}.")
    return value.strip()


def read_protocol(value: Any) -> TraceProtocol | None:
    """Parse the protocol of OTLP; None: it is empty, and there is no collector.

    Raises:
        ValueError: The protocol is not supported.
    """
    name = read_text(value)
    if name and name not in PROTOCOLS:
        raise ValueError(f"{name!r} is not one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS.get(name)


def read_truth(value: Any) -> bool:
    """Parse a truth value of YAML.

    Raises:
        ValueError: The value is neither true nor false.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false.")
    return value


def read_headers(value: Any) -> tuple[tuple[str, str], ...]:
    """Parse a list of `name=value`.

    Raises:
        ValueError: It has another form.
    """
    if not isinstance(value, list) or not all(isinstance(each, str) and "=" in each for each in value):
        raise ValueError("a list of texts name=value was expected.")
    return tuple((name.strip(), text) for name, _, text in (each.partition("=") for each in value))


def read_url(value: Any) -> str:
    """Parse the address of a collector; empty: there is no collector.

    Raises:
        ValueError: The value is no address with HTTP.
    """
    address = read_text(value)
    if address and urlsplit(address).scheme not in ("http", "https"):
        raise ValueError(f"{address!r} is no address of a collector such as http://localhost:9411/api/v2/spans.")
    return address


TRACING_READERS: Mapping[str, Callable[[Any], Any]] = {
    "samplingRate": read_rate,
    "stdout": read_truth,
    "otel.endpointAddress": read_text,
    "otel.isSecure": read_truth,
    "otel.protocol": read_protocol,
    "otel.headers": read_headers,
    "otel.timeout": lambda value: read_duration(value) / 1e6,
    "zipkin.endpointAddress": read_url,
}


def tracing_of(values: Mapping[str, Any]) -> TracingConfig | None:
    """Make the configuration from the values of all files; None: the files do not configure tracing.

    Args:
        values: The values by the keys of TRACING_READERS.
    """
    if not values:
        return None
    targets: list[TraceTarget] = []
    if values.get("stdout"):
        targets.append(TraceTarget(protocol=TraceProtocol.CONSOLE))
    if address := values.get("zipkin.endpointAddress"):
        targets.append(TraceTarget(protocol=TraceProtocol.ZIPKIN, endpoint=address))
    protocol = values.get("otel.protocol")
    if (address := values.get("otel.endpointAddress")) and protocol is not None:
        targets.append(_otlp(values, address, protocol))
    rate = values.get("samplingRate", SAMPLING_OF_DAPR)
    return TracingConfig(targets=tuple(targets), sampling=rate, own_generations=True)


def _otlp(values: Mapping[str, Any], address: str, protocol: TraceProtocol) -> TraceTarget:
    secure = values.get("otel.isSecure", True)
    host = address.removeprefix("http://").removeprefix("https://").rstrip("/")
    endpoint = host
    if protocol is TraceProtocol.OTLP_HTTP:
        endpoint = f"{'https' if secure else 'http'}://{host}"
        if "/" not in host:
            endpoint += OTLP_HTTP_PATH
    return TraceTarget(
        protocol=protocol,
        endpoint=endpoint,
        insecure=not secure,
        headers=values.get("otel.headers", ()),
        timeout_s=values.get("otel.timeout"),
    )


def with_variables(tracing: TracingConfig | None, variables: Mapping[str, str]) -> TracingConfig | None:
    """Add the collector of the variables, if the files name no collector for OTLP.

    Like daprd, it then samples all traces, unless a file sets another rate.
    """
    named = tracing_of_variables(variables)
    if tracing is None:
        return replace(named, sampling=1.0, own_generations=True) if named is not None else None
    has_otlp = any(target.protocol in PROTOCOLS.values() for target in tracing.targets)
    if named is None or has_otlp:
        return tracing
    known = {target.protocol for target in tracing.targets}
    added = tuple(target for target in named.targets if target.protocol not in known)
    return replace(tracing, targets=(*tracing.targets, *added))
