"""The planner's tests use the fixtures of the capacity app, because plans read its phases and costs."""

from __future__ import annotations

from tests.capacity.conftest import seeded

__all__ = ["seeded"]
