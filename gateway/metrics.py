"""Prometheus metrics of the gateway. ``/metrics`` exports them together with the metrics of django-prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from inference import runtime
from usage.entry import Entry, Kind

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 120, 300)

requests_total = Counter("voice_requests_total", "Requests for speech work", ["kind", "status", "client"])
request_seconds = Histogram(
    "voice_request_seconds", "From arrival to the last byte of a successful response", ["kind"], buckets=_SECONDS
)
queue_seconds = Histogram(
    "voice_queue_seconds", "Waiting for a batch", ["kind"], buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10)
)
live_seconds = Histogram(
    "voice_live_seconds",
    "Wait in a conversation: from the end of a turn to its words, or from a sentence to its sound",
    ["kind"],
    buckets=_SECONDS[:10],
)
for _kind in (Kind.REALTIME, Kind.SPEECH):
    live_seconds.labels(_kind.value)
audio_seconds_total = Counter("voice_audio_seconds_total", "Audio recognised or generated", ["kind"])
characters_total = Counter("voice_characters_total", "Characters of text turned into speech")
real_time_factor = Histogram(
    "voice_real_time_factor",
    "Seconds of work per second of audio",
    ["kind"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
batch_size = Histogram("voice_batch_size", "Units in one batch", ["engine"], buckets=(1, 2, 4, 8, 16, 32, 64))
batch_seconds = Histogram("voice_batch_seconds", "Running one batch", ["engine"], buckets=_SECONDS)
admission_wait_seconds = Gauge(
    "voice_admission_wait_seconds", "Estimated wait of the newest request, in this process", ["feature"]
)
admission_refused_total = Counter("voice_admission_refused_total", "Requests refused for lack of capacity", ["feature"])
for _feature in ("asr", "tts"):  # so that the counters are exported as 0 before the first refusal
    admission_refused_total.labels(_feature)
build_info = Gauge("voice_build_info", "Always 1; the label is the version that runs", ["version"])
streams_open = Gauge("voice_streams_open", "Open WebSockets that do speech work", ["kind"])


def observe_work(entry: Entry) -> None:
    """Record one finished request for speech work in the metrics."""
    kind = entry.kind.value
    requests_total.labels(kind, entry.status, entry.client_id).inc()
    if entry.status != 200:  # refusals are fast, so they would hide slow responses
        return
    if not entry.is_live:  # how long a stream lasts depends on how long people talk or listen
        request_seconds.labels(kind).observe(entry.total_ms / 1000)
    queue_seconds.labels(kind).observe(entry.queue_ms / 1000)
    audio_seconds_total.labels(kind).inc(entry.audio_ms / 1000)
    if entry.kind is Kind.SPEECH:
        characters_total.inc(entry.characters)
    if entry.audio_ms and not entry.is_live:
        real_time_factor.labels(kind).observe(entry.total_ms / entry.audio_ms)


def _observe_batch(engine: str, size: int, seconds: float) -> None:
    batch_size.labels(engine).observe(size)
    batch_seconds.labels(engine).observe(seconds)


class EngineCollector(Collector):
    """Collector that exports the state of the engines. Each scrape by Prometheus reads the state anew."""

    def collect(self) -> Iterable[Metric]:
        ready = GaugeMetricFamily("voice_engine_ready", "1 while the engine accepts requests", labels=["engine"])
        queue = GaugeMetricFamily("voice_queue_length", "Units waiting for a batch", labels=["engine"])
        running = GaugeMetricFamily("voice_units_running", "Units in a running batch", labels=["engine"])
        wait = GaugeMetricFamily("voice_estimated_wait_seconds", "How long a unit would wait now", labels=["engine"])
        for name, stats in runtime.status().items():
            ready.add_metric([name], float(stats.ready))
            queue.add_metric([name], stats.queue_length)
            running.add_metric([name], stats.running)
            wait.add_metric([name], stats.estimated_wait_s)
        return ready, queue, running, wait


def register() -> None:
    """Register the metrics. Call it once per process, when Django is ready."""
    build_info.labels(settings.VOICE_VERSION).set(1)
    REGISTRY.register(EngineCollector())
    runtime.observe_batches(_observe_batch)
