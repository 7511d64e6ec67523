"""The errors of engines and of admission control. ``gateway.error_mapping`` converts them to errors for API clients."""

from __future__ import annotations


class InferenceError(Exception):
    """Base class of the errors in this module."""


class OverCapacity(InferenceError):
    """Raised when a unit, a request or a connection is refused, because the engine cannot do more work in time.

    ``retry_after_s``: seconds after which a retry may succeed.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"over capacity, retry in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class DeadlineExceeded(OverCapacity):
    """Raised when the unit's deadline passes before its result is ready."""


class EngineUnavailable(InferenceError):
    """Raised when a model or library is missing, or when the engine is closed or cannot be reached."""


class NotOffered(EngineUnavailable):
    """Raised when the inference tier answers, but does not have this engine."""


class Draining(EngineUnavailable):
    """Raised when a server of the inference tier refuses a unit, because the server is about to stop.

    Another server may run the unit.
    """


class UnitFailed(InferenceError):
    """Raised when a model in the inference tier has failed on a unit. The unit is not retried."""
