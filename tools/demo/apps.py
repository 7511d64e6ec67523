"""A quarter of made-up use. An app for its commands' sake; it has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "tools.demo"
    label = "tools_demo"
