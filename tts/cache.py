"""Cache finished audio files in memory, so that a text that is requested again need not be synthesised again.

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
    """A complete audio file, and the duration of its audio."""

    data: bytes
    audio_ms: int


class SpeechCache:
    """A cache of audio files by key (``cache_key``). When it is full, it drops the least recently used file.

    ``max_bytes``: limit for the total size of the files; 0 turns the cache off.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._speech: LRUCache[str, FinishedSpeech] = LRUCache(max_bytes, getsizeof=lambda speech: len(speech.data))

    def __len__(self) -> int:
        return len(self._speech)

    @property
    def size(self) -> int:
        """The total size of the cached files in bytes."""
        return int(self._speech.currsize)

    @property
    def largest(self) -> int:
        """The maximum size of one cached file in bytes. A larger file would evict too many others."""
        return self.max_bytes // 16

    def get(self, key: str) -> FinishedSpeech | None:
        return self._speech.get(key)

    def put(self, key: str, speech: FinishedSpeech) -> None:
        """Store a file, unless it is empty or larger than ``largest``."""
        if 0 < len(speech.data) <= self.largest:
            self._speech[key] = speech


@cache
def speech_cache() -> SpeechCache:
    """Return this process's cache."""
    return SpeechCache(settings.VOICE_TTS_CACHE_BYTES)


def cache_key(text: str, *, voice: str, language: str, speed: float, audio_format: str) -> str:
    """Return a digest of all inputs that determine an audio file. It does not reveal the text."""
    content = "\0".join([voice, language, f"{speed:.3f}", audio_format, text])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
