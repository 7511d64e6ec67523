"""Errors about units of speech work that were not done. They know nothing of HTTP; callers translate them."""

from __future__ import annotations


class InferenceError(Exception):
    """Base class of the errors that an engine raises on purpose."""


class OverCapacity(InferenceError):
    """More work is waiting than can be done in time. Nothing of this unit was run.

    ``retry_after_s``: seconds after which a retry is worthwhile.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"over capacity, retry in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class DeadlineExceeded(OverCapacity):
    """The unit's deadline passed while it waited; it was dropped unrun."""


class EngineUnavailable(InferenceError):
    """The engine cannot run at all: model missing, library not installed, closed."""


class UnitFailed(InferenceError):
    """The inference tier ran the unit, and the run failed. Another try would fail too."""
