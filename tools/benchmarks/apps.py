"""The Django app that provides ``manage.py measure_rates``. It has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "tools.benchmarks"
    label = "tools_benchmarks"
