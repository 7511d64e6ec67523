"""An OTLP receiver for tests, which keeps all spans with the name of the service that sent each."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Keeps all spans that it receives, each with the name of its service."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.url = ""

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"]
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]

    def named(self, name: str, service: str) -> list[Any]:
        """Return all spans with this name from this service."""
        return [span for sender, span in list(self.spans) if (sender, span.name) == (service, name)]

    def below(self, parent: Any, name: str, service: str) -> list[Any]:
        """Return the spans with this name and service whose parent is ``parent``, in the same trace."""
        found = self.named(name, service)
        return [span for span in found if (span.trace_id, span.parent_span_id) == (parent.trace_id, parent.span_id)]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port within this context, and yield it."""
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
