"""How many machines a demand needs. An app for its commands' sake; it has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class PlanningConfig(AppConfig):
    name = "tools.planning"
    label = "tools_planning"
