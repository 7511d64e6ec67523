"""What the service does a second. An app for its commands' sake; it has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "tools.benchmarks"
    label = "tools_benchmarks"
