"""Traces, as OpenTelemetry has them: from the request or socket to the engine, and across the inference tier.

Off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set; then nothing of OpenTelemetry is imported and a span costs a function
call. Spans hold names, numbers and ids: no text, no audio, no credentials, and no message of an exception, which may
quote them. ``start`` and ``stop`` are called once in a process; spans may be opened in any task or thread.
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


class Side(Enum):
    """The role of a span, named as in OpenTelemetry's ``SpanKind``."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


class _Tracing:
    """What ``start`` sets up; None while traces are off."""

    provider: Any = None
    tracer: Any = None


def start(service: str) -> None:
    """Send traces to the endpoint of the settings, where there is one, under this name (or ``OTEL_SERVICE_NAME``)."""
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
    """Send what is left. Blocks while the collector is slow."""
    provider = _Tracing.provider
    _Tracing.provider = None
    _Tracing.tracer = None
    if provider is not None:
        provider.shutdown()


class Span:
    """An open span, or a no-op while traces are off."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def note(self, **attributes: Value) -> None:
        if self._span is not None:
            self._span.set_attributes(attributes)


_NO_SPAN = Span()


@contextmanager
def span(
    name: str, side: Side = Side.INTERNAL, *, parent: Mapping[str, str] | None = None, **attributes: Value
) -> Iterator[Span]:
    """A span around what is done in the block. ``parent``: a caller's headers (W3C Trace Context); without them the
    span that is open in this task. An exception marks it as failed and is passed on."""
    if _Tracing.tracer is None:
        yield _NO_SPAN
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode

    opening = _Tracing.tracer.start_as_current_span(
        name,
        context=_extracted(parent) if parent else None,
        kind=SpanKind[side.value],
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
    """Return the context to pass to another process: the request's id, and the open span as its parent."""
    told: dict[str, str] = {}
    if (context := maybe_current()) is not None:
        told[REQUEST_ID] = context.id
    if _Tracing.tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(told)
    return told


def _extracted(headers: Mapping[str, str]) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers)
