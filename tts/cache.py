"""Cache finished speech in memory, so that speech for the same text is made only once in this process.

Only the event loop uses the cache, so it needs no lock. Nothing is written to disk.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from cachetools import LRUCache
from django.conf import settings


@dataclass(frozen=True)
class FinishedSpeech:
    data: bytes  # a complete file
    audio_ms: int


class SpeechCache:
    """Finished speech by key. The least recently used is dropped first. ``max_bytes`` 0 turns the cache off."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._speech: LRUCache[str, FinishedSpeech] = LRUCache(max_bytes, getsizeof=lambda speech: len(speech.data))

    def __len__(self) -> int:
        return len(self._speech)

    @property
    def size(self) -> int:
        """Total bytes of all speech in the cache."""
        return int(self._speech.currsize)

    @property
    def largest(self) -> int:
        """Largest speech that is cached, in bytes. A larger one would push out most of the others."""
        return self.max_bytes // 16

    def get(self, key: str) -> FinishedSpeech | None:
        return self._speech.get(key)

    def put(self, key: str, speech: FinishedSpeech) -> None:
        """Store a complete speech, unless it is empty or too large."""
        if 0 < len(speech.data) <= self.largest:
            self._speech[key] = speech


@cache
def speech_cache() -> SpeechCache:
    """Return this process's cache."""
    return SpeechCache(settings.VOICE_TTS_CACHE_BYTES)


def cache_key(text: str, *, voice: str, language: str, speed: float, audio_format: str) -> str:
    """Return a digest of what determines a speech. The text itself is not kept."""
    content = "\0".join([voice, language, f"{speed:.3f}", audio_format, text])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
