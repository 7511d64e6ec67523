"""The endpoints that do speech work (recognition or synthesis): the kind of work of each, and its roll-out feature."""

from __future__ import annotations

from rollout.feature import Feature
from usage.entry import Kind

FEATURES = {
    Kind.TRANSCRIPTION: Feature.ASR,
    Kind.TRANSLATION: Feature.ASR,
    Kind.SPEECH: Feature.TTS,
    Kind.REALTIME: Feature.REALTIME,
}
# The kind of work that is checked for each feature if the endpoint is not known yet.
TYPICAL_KINDS = {Feature.ASR: Kind.TRANSCRIPTION, Feature.TTS: Kind.SPEECH, Feature.REALTIME: Kind.REALTIME}

_kinds: dict[str, Kind] = {}


def register(path: str, kind: Kind) -> None:
    """Register a path whose POST requests do this kind of work. Apps call this in ``AppConfig.ready``."""
    _kinds[path] = kind


def kind_of(path: str) -> Kind | None:
    """Return the kind of speech work that POST requests to ``path`` do, or None if they do no speech work."""
    return _kinds.get(path)
