"""Export the newest sample, the alert thresholds and the flags' percentages as Prometheus gauges.

The numbers come from the database, so every API process exports the same ones. Aggregate them with ``max()``, never
with ``sum()``.

A separate thread reads the numbers with a few queries, at most every ``CACHED_S`` seconds. A database that does not
answer therefore delays the process's other metrics by at most ``WAIT_S`` seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from django.db import close_old_connections
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from capacity import figures
from capacity.models import Rule, Sample
from capacity.presence import ASR, TOGETHER, TTS
from rollout.models import Flag

logger = logging.getLogger(__name__)

# The numbers from the database: the newest sample, ``levels()`` and ``reached()``.
Stored = tuple[Sample | None, dict[tuple[str, str], float], dict[str, float]]

CACHED_S = 5.0
WAIT_S = 1.0

_users = partial(
    GaugeMetricFamily,
    "voice_capacity_users",
    "Distinct end users in all processes, at the busiest instant since the previous sample",
    labels=["direction"],
)
_p95 = partial(
    GaugeMetricFamily,
    "voice_capacity_p95_seconds",
    "95th percentile of the response times of successful requests in the last 5 minutes",
    labels=["direction"],
)
_errors = partial(
    GaugeMetricFamily, "voice_capacity_error_percent", "Percentage of failed requests in the last 5 minutes"
)
_gpu = partial(GaugeMetricFamily, "voice_capacity_gpu_percent", "Utilisation of the busiest GPU")
_gpu_memory = partial(GaugeMetricFamily, "voice_capacity_gpu_memory_percent", "Memory in use of the fullest GPU")
_cost = partial(GaugeMetricFamily, "voice_capacity_month_cost_usd", "Forecast of this month's total cost")
_threshold = partial(
    GaugeMetricFamily,
    "voice_capacity_threshold",
    "Threshold above which an alert rule fires",
    labels=["metric", "severity"],
)
_reach = partial(
    GaugeMetricFamily,
    "voice_rollout_percent",
    "Percentage of end users who have voice, and the highest percentage for each feature",
    labels=["flag"],
)
_age = partial(
    GaugeMetricFamily, "voice_capacity_sample_age_seconds", "Seconds since the newest sample; absent if there is none"
)

_FAMILIES = (_users, _p95, _errors, _gpu, _gpu_memory, _cost, _threshold, _reach, _age)


class SampleCollector(Collector):
    """A Prometheus collector for these numbers. Of a sample older than ``figures.FRESH``, it exports only the age."""

    def __init__(self) -> None:
        self._reader = ThreadPoolExecutor(1, "capacity-exporter")
        self._reading: Future[Stored] | None = None
        self._read_at = float("-inf")

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without values.

        Without this method, the registry would call ``collect`` when Django starts, and ``collect`` reads the database.
        """
        return [make() for make in _FAMILIES]

    def collect(self) -> Iterable[Metric]:
        sample, limits, flags = self._newest()
        users, p95, errors, gpu, gpu_memory, cost, threshold, reach, age = families = [make() for make in _FAMILIES]
        for (metric, severity), level in limits.items():
            threshold.add_metric([metric, severity], level)
        for flag, percent in flags.items():
            reach.add_metric([flag], percent)
        if sample is None:
            return families
        since = timezone.now() - sample.at
        age.add_metric([], max(0.0, since.total_seconds()))
        if since > figures.FRESH:
            return families
        for family, labels, value in (
            (users, [ASR], sample.asr_users),
            (users, [TTS], sample.tts_users),
            (users, [TOGETHER], sample.users),
            (p95, [ASR], sample.asr_p95_s),
            (p95, [TTS], sample.tts_p95_s),
            (errors, [], sample.error_percent),
            (gpu, [], sample.gpu_percent),
            (gpu_memory, [], sample.gpu_memory_percent),
            (cost, [], sample.month_cost_usd),
        ):
            if value is not None:
                family.add_metric(labels, value)
        return families

    def forget(self) -> None:
        """Drop the cache, so that the next collection reads the database again."""
        self._read_at = float("-inf")

    def close(self) -> None:
        self._reader.shutdown()

    def _newest(self) -> Stored:
        """Return numbers that are at most ``CACHED_S`` seconds old, or empty ones if they cannot be read in time."""
        if self._reading is None or (self._reading.done() and time.monotonic() - self._read_at >= CACHED_S):
            self._reading = self._reader.submit(_read)
            self._read_at = time.monotonic()
        try:
            return self._reading.result(WAIT_S)
        except TimeoutError:
            logger.warning("the newest sample takes too long to read")
        except Exception:  # a failure must not affect the other metrics
            logger.warning("the newest sample cannot be read", exc_info=True)
        return None, {}, {}


def _read() -> Stored:
    close_old_connections()
    try:
        return Sample.objects.first(), levels(), reached()
    finally:
        close_old_connections()


def levels() -> dict[tuple[str, str], float]:
    """Return the lowest threshold of the enabled rules for each metric and severity that has a rule.

    If all rules for a metric and severity are disabled, their threshold is infinity.
    """
    lowest: dict[tuple[str, str], float] = {}
    for rule in Rule.objects.all():
        level = rule.level if rule.is_enabled else float("inf")
        key = (rule.metric, rule.severity)
        lowest[key] = min(level, lowest.get(key, level))
    return lowest


def reached() -> dict[str, float]:
    """Return the effective percentage of each flag, by the flag's name."""
    return {flag.name: float(flag.effective_percent) for flag in Flag.objects.all()}


def register() -> None:
    """Register the collector. Call it once per process, when Django is ready."""
    REGISTRY.register(SampleCollector())
