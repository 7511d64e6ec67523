"""Errors of engines. They do not depend on HTTP; ``gateway.error_mapping`` converts them for API clients."""

from __future__ import annotations


class InferenceError(Exception):
    """Base class of the errors that engines raise."""


class OverCapacity(InferenceError):
    """The engine has more work than it can do in time, so it did not run the unit.

    ``retry_after_s``: seconds after which a retry may succeed.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"over capacity, retry in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class DeadlineExceeded(OverCapacity):
    """The unit's deadline passed before its result was ready."""


class EngineUnavailable(InferenceError):
    """The engine cannot run units: a model or library is missing, or the engine is closed or cannot be reached."""


class Draining(EngineUnavailable):
    """The server is about to stop and takes no more units. The unit was not run."""


class UnitFailed(InferenceError):
    """The inference tier ran the unit, and the model raised an error. A retry would fail too."""
