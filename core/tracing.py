"""Send OpenTelemetry traces, which follow a request or a WebSocket to the engine, even if that is on another machine.

Tracing is off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set. While it is off, OpenTelemetry is not imported, and
opening a span does almost nothing.

Spans contain names, numbers and ids. They never contain text, audio, credentials or the message of an exception, which
may quote any of these.

Call ``start`` and ``stop`` once per process. Spans may be opened in any task or thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any

from django.conf import settings

from core.context import maybe_current

REQUEST_ID = "request_id"
Value = str | int | float | bool


class SpanRole(Enum):
    """The role of a span, named as in OpenTelemetry's ``SpanKind``."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


class _Tracing:
    """The state that ``start`` sets up. All attributes are None while tracing is off."""

    provider: Any = None
    tracer: Any = None


def start(service: str) -> None:
    """Start sending traces, if an endpoint is configured.

    ``service``: name of the service in the traces, unless ``OTEL_SERVICE_NAME`` is set.
    """
    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT
    if not endpoint or _Tracing.provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about = Resource.create({"service.name": service, "service.version": settings.VOICE_VERSION})
    about = about.merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
    _Tracing.provider = TracerProvider(resource=about, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    _Tracing.provider.add_span_processor(BatchSpanProcessor(exporter))
    _Tracing.tracer = _Tracing.provider.get_tracer("voice")


def stop() -> None:
    """Stop tracing. Block until the remaining spans have been sent."""
    provider = _Tracing.provider
    _Tracing.provider = None
    _Tracing.tracer = None
    if provider is not None:
        provider.shutdown()


class Span:
    """An open span. While tracing is off, its methods do nothing."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def set_attributes(self, **attributes: Value) -> None:
        """Set attributes of the span."""
        if self._span is not None:
            self._span.set_attributes(attributes)


_NO_SPAN = Span()


@contextmanager
def span(
    name: str, role: SpanRole = SpanRole.INTERNAL, *, parent: Mapping[str, str] | None = None, **attributes: Value
) -> Iterator[Span]:
    """Open a span for the duration of a ``with`` block. Mark the span as failed if the block raises an exception.

    ``parent``: trace headers that a caller has sent (W3C Trace Context). If None, the parent is this task's open span.
    ``attributes``: attributes of the span.
    """
    if _Tracing.tracer is None:
        yield _NO_SPAN
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode

    opening = _Tracing.tracer.start_as_current_span(
        name,
        context=_extracted(parent) if parent else None,
        kind=SpanKind[role.value],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    )
    with opening as opened:
        try:
            yield Span(opened)
        except BaseException as error:
            opened.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def origin() -> dict[str, str]:
    """Return the headers that let another process continue this trace.

    They contain the id of the request and, if tracing is on, the open span's W3C Trace Context.
    """
    headers: dict[str, str] = {}
    if (context := maybe_current()) is not None:
        headers[REQUEST_ID] = context.id
    if _Tracing.tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)
    return headers


def _extracted(headers: Mapping[str, str]) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers)
