"""A trace reaches a collector with all its spans: caller, API process, inference tier, and engine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from core import tracing
from tests import sound
from tests.collector import Collector, collecting
from tests.services import inference_tier, served

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "req_from_the_caller"}
SPOKEN = "selamat pagi semua"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as receiver:
        yield receiver


def test_a_trace_includes_the_inference_tier(collector: Collector, tmp_path: Path) -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
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
        _wait_for(collector, "WEBSOCKET /ws/tts")
        assert server.stop() == 0
    (request,) = collector.named("POST /v1/audio/transcriptions", "voice-api")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert _attributes(request)["request_id"] == "req_from_the_caller"
    assert _attributes(request)["http.response.status_code"] == 200
    (unit,) = collector.below(request, "unit asr", "voice-api")
    (there,) = collector.below(unit, "tier asr", "voice-tier")
    assert len(collector.below(there, "engine asr", "voice-tier")) == 1
    (stream,) = collector.named("WEBSOCKET /ws/tts", "voice-api")
    below = {span.name for _service, span in collector.spans if span.parent_span_id == stream.span_id}
    assert any(name.startswith("unit ") for name in below)
    log = "".join(path.read_text() for path in tmp_path.glob("tier-*.log"))
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(one["message"] == "unit" and one["request_id"] == "req_from_the_caller" for one in lines)
    everything = str([str(span) for _service, span in collector.spans]).lower()
    assert "pagi" not in everything
    assert "khabar" not in everything


def _wait_for(collector: Collector, name: str) -> None:
    deadline = time.monotonic() + 30
    while name not in (seen := [span.name for _service, span in list(collector.spans)]):
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)


def _attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_without_an_endpoint_nothing_is_traced() -> None:
    tracing.start("voice-api")
    assert tracing._Tracing.tracer is None
    with tracing.span("something", engine="asr") as span:
        span.set_attributes(more=1)
    assert "traceparent" not in tracing.origin()
