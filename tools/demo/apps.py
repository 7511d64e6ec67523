"""The Django app that provides ``manage.py seed_demo``. It has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "tools.demo"
    label = "tools_demo"
