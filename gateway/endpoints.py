"""The endpoints that do speech work: their kinds of work, and the features that switch them on."""

from __future__ import annotations

from rollout.feature import Feature
from usage.entry import Kind

FEATURES = {
    Kind.TRANSCRIPTION: Feature.ASR,
    Kind.TRANSLATION: Feature.ASR,
    Kind.SPEECH: Feature.TTS,
    Kind.REALTIME: Feature.REALTIME,
}
# The kind of work to check for a feature before it is known which endpoint will be called.
TYPICAL_KINDS = {Feature.ASR: Kind.TRANSCRIPTION, Feature.TTS: Kind.SPEECH, Feature.REALTIME: Kind.REALTIME}

_kinds: dict[str, Kind] = {}


def register(path: str, kind: Kind) -> None:
    """Register ``path``, where POST requests do this kind of work. Apps call this when Django is ready."""
    _kinds[path] = kind


def kind_of(path: str) -> Kind | None:
    """Return the kind of work done at ``path``, or None if it does no speech work."""
    return _kinds.get(path)
