"""The end users who are being served by this process or, according to the processes' leases, by all processes.

An end user is identified by ``client:id``, because client applications choose their users' ids independently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from inference.gpu import GpuReading
from rollout.feature import Feature

ASR = "asr"
TTS = "tts"
TOGETHER = "together"
_SERVICE_OF = {Feature.ASR: ASR, Feature.REALTIME: ASR, Feature.TTS: TTS}  # live recognition counts as speech to text


def person(client_id: int, user: str) -> str:
    """Return the key of an end user. ``user`` is the client application's id for the user."""
    return f"{client_id}:{user}"


@dataclass(frozen=True)
class Presence:
    """The end users that one or more processes serve, and the load of their GPUs.

    ``asr``: users of speech to text, as returned by ``person``.
    ``tts``: users of text to speech.
    ``together``: users of either.
    ``gpu_percent``: utilisation of the busiest GPU; None without a GPU.
    ``fallbacks``: replies since the previous heartbeat that eSpeak NG spoke instead of a neural voice.
    ``gpu_memory_percent``: memory use of the fullest GPU; None without a GPU.
    """

    asr: frozenset[str] = frozenset()
    tts: frozenset[str] = frozenset()
    together: frozenset[str] = frozenset()
    gpu_percent: float | None = None
    fallbacks: int = 0
    gpu_memory_percent: float | None = None

    @property
    def is_empty(self) -> bool:
        return not self.together and self.gpu_percent is None

    def as_json(self) -> dict[str, Any]:
        return {
            "asr": sorted(self.asr),
            "tts": sorted(self.tts),
            "together": sorted(self.together),
            "gpu": self.gpu_percent,
            "gpu_memory": self.gpu_memory_percent,
            "stood_in": self.fallbacks,
        }

    def with_gpu(self, reading: GpuReading | None) -> Presence:
        if reading is None:
            return self
        return replace(self, gpu_percent=reading.percent, gpu_memory_percent=reading.memory_percent)

    @classmethod
    def from_json(cls, served: dict[str, Any]) -> Presence:
        asr, tts, together = (frozenset(served[name]) for name in (ASR, TTS, TOGETHER))
        # Processes of an older release do not report the last two values.
        return cls(asr, tts, together, served["gpu"], served.get("stood_in", 0), served.get("gpu_memory"))


def merged(several: Iterable[Presence]) -> Presence:
    """Merge the presences of several processes into one. An end user who is served by two of them counts once."""
    known = list(several)
    gpus = [one.gpu_percent for one in known if one.gpu_percent is not None]
    memories = [one.gpu_memory_percent for one in known if one.gpu_memory_percent is not None]
    return Presence(
        asr=frozenset().union(*(one.asr for one in known)),
        tts=frozenset().union(*(one.tts for one in known)),
        together=frozenset().union(*(one.together for one in known)),
        gpu_percent=max(gpus, default=None),
        gpu_memory_percent=max(memories, default=None),
        fallbacks=sum(one.fallbacks for one in known),
    )


class _BusiestInstant:
    """The end users being served now, and those at the busiest instant since the last ``take_busiest``."""

    def __init__(self) -> None:
        self.here: Counter[str] = Counter()
        self._busiest: frozenset[str] = frozenset()

    def enter(self, someone: str) -> None:
        self.here[someone] += 1
        if len(self.here) > len(self._busiest):
            self._busiest = frozenset(self.here)

    def leave(self, someone: str) -> None:
        self.here[someone] -= 1
        if not self.here[someone]:
            del self.here[someone]

    def take_busiest(self) -> frozenset[str]:
        busiest = self._busiest
        self._busiest = frozenset(self.here)
        return busiest


class ServedUsers:
    """Keeps track of the end users that this process serves. Belongs to one event loop."""

    def __init__(self) -> None:
        self._instants = {ASR: _BusiestInstant(), TTS: _BusiestInstant(), TOGETHER: _BusiestInstant()}
        self._fallbacks = 0

    def enter(self, someone: str, feature: Feature) -> None:
        for name in (_SERVICE_OF[feature], TOGETHER):
            self._instants[name].enter(someone)

    def leave(self, someone: str, feature: Feature) -> None:
        for name in (_SERVICE_OF[feature], TOGETHER):
            self._instants[name].leave(someone)

    def note_fallback(self) -> None:
        """Count a reply that eSpeak NG speaks instead of a neural voice."""
        self._fallbacks += 1

    @property
    def people(self) -> Counter[str]:
        """The end users being served now, each with the number of requests and connections in progress."""
        return self._instants[TOGETHER].here

    @property
    def speaking(self) -> int:
        """The number of requests and connections for text to speech in progress."""
        return self._instants[TTS].here.total()

    def take_busiest(self) -> Presence:
        """Return the end users at the busiest instants since the last call and the number of fallbacks, and reset both.

        There are three busiest instants: of speech to text, of text to speech and of both together. Requests that begin
        and end between two heartbeats are included.
        """
        asr, tts, together = (self._instants[name].take_busiest() for name in (ASR, TTS, TOGETHER))
        fallbacks = self._fallbacks
        self._fallbacks = 0
        return Presence(asr, tts, together, fallbacks=fallbacks)
