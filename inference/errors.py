"""The errors that engines raise. ``gateway.error_mapping`` converts them to HTTP responses for API clients."""

from __future__ import annotations


class InferenceError(Exception):
    """Base class of the errors that engines raise."""


class OverCapacity(InferenceError):
    """Raised when the engine refuses a unit, because it already has as much work as it can do in time.

    ``retry_after_s``: seconds after which a retry may succeed.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"over capacity, retry in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class DeadlineExceeded(OverCapacity):
    """Raised when the unit's deadline passes before its result is ready."""


class EngineUnavailable(InferenceError):
    """Raised when a model or library is missing, or when the engine is closed or cannot be reached."""


class Draining(EngineUnavailable):
    """Raised when the server refuses a unit, because it is about to stop. Another server may run the unit."""


class UnitFailed(InferenceError):
    """Raised when a model in the inference tier has failed on the unit. A retry would fail too."""
