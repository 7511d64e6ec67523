"""A trace as a collector gets it: from the caller's request through the API process and the tier to the engine."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from websockets.sync.client import connect

from core import tracing
from tests import sound
from tests.services import inference_tier, served

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "req_from_the_caller"}
SPOKEN = "selamat pagi semua"


class Collector(http.server.BaseHTTPRequestHandler):
    """An OTLP receiver that keeps what it is sent."""

    spans: list[tuple[str, Any]] = []  # with the service's name

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in sent.resource_spans:
            service = {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"]
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_across_the_tier(collector: str, tmp_path: Path) -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with (
        inference_tier(tmp_path, **told) as tier,
        served(tmp_path, VOICE_INFERENCE_URL=tier.url, **told) as server,
    ):
        form = {"model": "whisper-1", "language": "ms"}
        file = {"file": ("a.wav", sound.wav(sound.said(SPOKEN)))}
        url = f"{server.url}/v1/audio/transcriptions"
        heard = httpx.post(url, files=file, data=form, headers=server.headers(**CALLER), timeout=60)
        assert heard.json()["text"].lower().startswith("selamat pagi")
        with connect(server.url.replace("http", "ws") + "/ws/tts", additional_headers=server.headers()) as socket:
            socket.send(json.dumps({"type": "text", "text": "Apa khabar?"}))
            socket.send(json.dumps({"type": "end"}))
            list(socket)
        _wait_for("WEBSOCKET /ws/tts")
        assert server.stop() == 0
    request = _one("POST /v1/audio/transcriptions", "voice-api")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert _attributes(request)["request_id"] == "req_from_the_caller"
    assert _attributes(request)["http.response.status_code"] == 200
    unit = _below(request, "unit asr", "voice-api")
    there = _below(unit, "tier asr", "voice-tier")
    _below(there, "engine asr", "voice-tier")
    stream = _one("WEBSOCKET /ws/tts", "voice-api")
    assert any(name.startswith("unit ") for name in _names_below(stream))
    log = "".join(path.read_text() for path in tmp_path.glob("tier-*.log"))
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(one["message"] == "unit" and one["request_id"] == "req_from_the_caller" for one in lines)
    everything = str([str(span) for _service, span in Collector.spans]).lower()
    assert "pagi" not in everything
    assert "khabar" not in everything


def _wait_for(name: str) -> None:
    deadline = time.monotonic() + 30
    while name not in [span.name for _service, span in Collector.spans]:
        assert time.monotonic() < deadline, [span.name for _service, span in Collector.spans]
        time.sleep(0.1)


def _one(name: str, service: str) -> Any:
    (found,) = (span for sender, span in Collector.spans if (sender, span.name) == (service, name))
    return found


def _below(parent: Any, name: str, service: str) -> Any:
    found = [span for sender, span in Collector.spans if (sender, span.name) == (service, name)]
    (child,) = (span for span in found if span.parent_span_id == parent.span_id)
    assert child.trace_id == parent.trace_id
    return child


def _names_below(parent: Any) -> set[str]:
    return {span.name for _service, span in Collector.spans if span.parent_span_id == parent.span_id}


def _attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_without_an_endpoint_there_is_nothing() -> None:
    tracing.start("voice-api")
    assert tracing._Tracing.tracer is None
    with tracing.span("something", engine="asr") as span:
        span.note(more=1)
    assert "traceparent" not in tracing.origin()
