"""Chooses the voice for each sentence of a reply by its language, and another engine for the whole reply when the
neural one cannot keep up (brown-out) or fails at a sentence.

Used on one event loop; a `ReplyVoice` belongs to one reply.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any

from django.conf import settings
from prometheus_client import Counter

from capacity.leases import leases
from inference import runtime
from inference.engine import EngineStats
from inference.errors import EngineUnavailable, OverCapacity, UnitFailed
from tts.units import Speech, SpeechUnit
from tts.voices import Voice, catalogue, primary

logger = logging.getLogger(__name__)

NEURAL = "kokoro"
EMBEDDED = "espeak-ng"
LATIN = ("ms", "en")
_LOG_EVERY_S = 30.0

units_by_engine = Counter("voice_tts_sentences", "Sentences spoken, by the engine that did", ["engine"])
degraded_total = Counter("voice_tts_degraded", "Sentences that eSpeak NG spoke for a neural voice", ["reason"])


class Reason(StrEnum):
    """Why a reply has another voice than the requested one."""

    BUSY = "busy"  # brown-out
    FAILED = "failed"


def sentence_voice(voice: Voice, language: str, *, follows_text: bool) -> Voice:
    """The voice for a sentence of `language` in a reply by `voice`.

    A voice that cannot speak the sentence's script gives way to one of its sex that can. Between Malay and English, a
    voice that was named by its id stays, and so does one whose model has no other.
    """
    if language not in LATIN:
        return catalogue().companion(voice, language) or voice
    if voice.speaks(language) or not follows_text:
        return voice
    return catalogue().companion(voice, language, model=voice.model) or voice


class ReplyVoice:
    """One reply's voice. `degraded` says why it is not the requested one, and is None while it is."""

    def __init__(self, voice: Voice, *, follows_text: bool = False) -> None:
        self.degraded: Reason | None = None
        self.stand_in: Voice | None = None  # who speaks instead
        self._voice = voice
        self._follows_text = follows_text
        self._begun = False

    def begin(self, cost: float) -> None:
        """Decide whether this reply may have its neural voice. It keeps what it began with. `cost`: of what its
        listener waits for, as units have it."""
        if self._begun:
            return
        self._begun = True
        if self._voice.engine == NEURAL:
            self.degraded = _why_not_neural(cost)

    @property
    def is_neural(self) -> bool:
        """Whether the neural engine speaks this reply, which has begun."""
        return self._voice.engine == NEURAL and self.degraded is None

    @property
    def is_counted_by_its_engine(self) -> bool:
        """Whether the neural engine speaks this reply and lets in no more than it can do: what is beyond that the
        embedded engine speaks."""
        return self.is_neural and settings.VOICE_TTS_BROWNOUT

    def unit(self, *, text: str, language: str, **fields: Any) -> SpeechUnit:
        """One sentence with the voice that is to speak it; `fields` are the unit's others."""
        voice = sentence_voice(self._voice, language, follows_text=self._follows_text)
        unit = SpeechUnit(text=text, voice=voice, language=language, **fields)
        self.begin(unit.cost)
        return _embedded(unit) if self.degraded else unit

    async def speak(self, unit: SpeechUnit) -> Speech:
        """Speak a unit made by `unit`. If a neural voice fails at it, another engine speaks it. Raises the engines'
        errors.
        """
        if self.degraded and unit.voice.engine == NEURAL:
            unit = _embedded(unit)
        try:
            speech: Speech = await runtime.engine(unit.voice.engine).submit(unit)
        except (EngineUnavailable, UnitFailed) as error:
            if unit.voice.engine != NEURAL:
                raise
            self._degrade(Reason.FAILED, str(error))
            unit = _embedded(unit)
            speech = await runtime.engine(unit.voice.engine).submit(unit)
        except OverCapacity:
            if unit.voice.engine != NEURAL or not settings.VOICE_TTS_BROWNOUT or unit.admitted:
                raise
            self._degrade(Reason.BUSY, "its queue is full")
            unit = _embedded(unit)
            speech = await runtime.engine(unit.voice.engine).submit(unit)
        units_by_engine.labels(unit.voice.engine).inc()
        if self.degraded:
            self._note_stand_in(unit.voice)
        return speech

    def _note_stand_in(self, voice: Voice) -> None:
        assert self.degraded is not None
        if self.stand_in is None:
            self.stand_in = voice
            leases().note_stand_in()
        degraded_total.labels(self.degraded.value).inc()

    def _degrade(self, reason: Reason, why: str) -> None:
        if self.degraded is None:
            _log(reason, why)
        self.degraded = reason


class _LogGate:
    """Lets one line through in `_LOG_EVERY_S`: a brown-out concerns every reply."""

    def __init__(self) -> None:
        self._last = -_LOG_EVERY_S

    def opens(self) -> bool:
        now = time.monotonic()
        if now - self._last < _LOG_EVERY_S:
            return False
        self._last = now
        return True


_gates = {reason: _LogGate() for reason in Reason}


def is_browned_out(cost: float = 0.0) -> bool:
    """Whether a new reply would be ready too late, or make others late, if the neural voice spoke it. `cost`: of what
    its listener waits for.

    All that waits or runs comes before it, at the pace that was measured last. Engines in one process share its cores,
    and nothing can stand in for the recogniser. Who is alone here is no reason to change voices: that caller hears the
    reply while it is made."""
    if not settings.VOICE_TTS_BROWNOUT:
        return False
    engines = _sharing_cores()
    ready_s = cost * engines[NEURAL].seconds_per_cost
    ready_s += sum(max(stats.estimated_wait_s, stats.backlog_s) for stats in engines.values())
    if ready_s <= settings.VOICE_TTS_BROWNOUT_S or _is_alone(engines.values()):
        return False
    _log(Reason.BUSY, f"a new reply would be ready after {ready_s:.1f} s")
    return True


def _sharing_cores() -> dict[str, EngineStats]:
    """The neural engine and the other engines that use its cores for long."""
    engines = {NEURAL: runtime.engine(NEURAL).stats()}
    if not settings.VOICE_INFERENCE_URL:
        engines |= {name: stats for name, stats in runtime.status().items() if name not in (NEURAL, EMBEDDED)}
    return engines


def _is_alone(engines: Iterable[EngineStats]) -> bool:
    """Whether this process serves nobody else, no other reply is under way, and nothing waits. A client that names no
    end users counts as one user, however many use it.
    """
    here = leases()
    is_only_one = here.users_here <= 1 and here.speaking_here <= 1
    return is_only_one and not any(one.queue_length or one.estimated_wait_s for one in engines)


def _why_not_neural(cost: float) -> Reason | None:
    """Why a new reply cannot have a neural voice; None if it can."""
    if runtime.is_stood_in_for(NEURAL):
        return Reason.FAILED
    return Reason.BUSY if is_browned_out(cost) else None


def _log(reason: Reason, why: str) -> None:
    if _gates[reason].opens():
        logger.warning("new replies are spoken by eSpeak NG", extra={"reason": reason.value, "why": why})


def _embedded(unit: SpeechUnit) -> SpeechUnit:
    """`unit` for the embedded engine: a voice of the sentence's language and, if there is one, of its voice's sex."""
    able = [one for one in catalogue().all() if one.engine == EMBEDDED and one.speaks(primary(unit.language))]
    if not able:
        return unit
    voice = unit.voice
    alike = min(able, key=lambda one: (one.gender != voice.gender, not set(one.openai) & set(voice.openai)))
    return replace(unit, voice=alike)
