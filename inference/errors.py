"""Errors for units of speech work that were not done. ``inference`` knows nothing of HTTP; callers translate."""

from __future__ import annotations


class InferenceError(Exception):
    """Base of everything an engine raises on purpose."""


class OverCapacity(InferenceError):
    """More work is waiting than can be done in time; nothing of this unit was run."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"over capacity, retry in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class DeadlineExceeded(OverCapacity):
    """The unit's deadline passed while it waited; it was dropped unrun."""


class EngineUnavailable(InferenceError):
    """The engine cannot run at all: model missing, library not installed, closed."""


class UnitFailed(InferenceError):
    """The inference tier ran the unit and failed at it: another try would fail too."""
