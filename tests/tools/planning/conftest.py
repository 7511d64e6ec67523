"""The planner reads the capacity app's seeded rows, as that app's own tests do."""

from __future__ import annotations

from tests.capacity.conftest import seeded

__all__ = ["seeded"]
