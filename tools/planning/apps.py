"""The Django app that provides ``manage.py plan_capacity``. It has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class PlanningConfig(AppConfig):
    name = "tools.planning"
    label = "tools_planning"
