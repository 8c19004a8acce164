"""Collectors of spans, as small as they can be: OTLP over HTTP and gRPC, and Zipkin. Each listens on a free port."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"


class Seen(NamedTuple):
    """A span as a collector got it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    service: str


class Collector:
    """Keeps the spans that came, and the headers of the last request."""

    def __init__(self) -> None:
        self.port = 0
        self.spans: list[Seen] = []
        self.headers: dict[str, str] = {}
        self._news = threading.Condition()

    def take(self, spans: list[Seen], headers: dict[str, str]) -> None:
        with self._news:
            self.spans += spans
            self.headers = headers
            self._news.notify_all()

    def wait_for(self, name: str, count: int = 1, within_s: float = 30.0) -> list[Seen]:
        """Wait for this number of spans of a name."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.named(name)) >= count, within_s), [s.name for s in self.spans]
        return self.named(name)

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]


def otlp_spans(request: Any) -> list[Seen]:
    return [
        Seen(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
            next(each.value.string_value for each in resource.resource.attributes if each.key == "service.name"),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def zipkin_spans(body: bytes) -> list[Seen]:
    return [
        Seen(
            span["name"],
            span["traceId"],
            span["id"],
            span.get("parentId", ""),
            span.get("tags", {}),
            span["localEndpoint"]["serviceName"],
        )
        for span in json.loads(body)
    ]


@contextmanager
def _over_http(path: str, read: Callable[[bytes], list[Seen]], status: int) -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found = self.path == path
            if found:  # before the answer: a test reads the spans as soon as their sender has the answer
                collector.take(read(body), {name.lower(): value for name, value in self.headers.items()})
            self.send_response(status if found else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def otlp_over_http() -> Any:
    """A collector of OTLP in protobuf over HTTP."""
    return _over_http("/v1/traces", lambda body: otlp_spans(ExportTraceServiceRequest.FromString(body)), 200)


def zipkin() -> Any:
    """A collector of Zipkin's JSON."""
    return _over_http("/api/v2/spans", zipkin_spans, 202)


@contextmanager
def otlp_over_grpc() -> Iterator[Collector]:
    """A collector of OTLP over gRPC."""
    collector = Collector()

    def export(request: Any, context: Any) -> Any:
        collector.take(otlp_spans(request), dict(context.invocation_metadata()))
        return ExportTraceServiceResponse()

    method = grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=ExportTraceServiceRequest.FromString,
        response_serializer=ExportTraceServiceResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(EXPORT, {"Export": method}),))
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()
