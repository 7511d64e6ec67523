"""Choose the voice for each sentence of a reply, by the sentence's language and by the load and state of the engines.

- Brown-out: if the neural engine is too busy when a reply begins, eSpeak NG speaks the whole reply.
- If the neural engine fails at a sentence, eSpeak NG speaks that sentence and the rest of the reply.

A ``ReplyVoice`` belongs to one reply and is used on one event loop.
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

from capacity.concurrent_users import leases
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
    """Return the voice for one sentence of a reply.

    ``voice``: the requested voice of the reply.
    ``language``: language of the sentence.
    ``follows_text``: whether the voice may change between Malay and English sentences. The other voice must be of the
    same model.

    For Tamil and Chinese, which have scripts of their own, a voice that cannot speak the language is always replaced,
    by one of the same sex if possible. If no voice is suitable, the requested one is returned.
    """
    if language not in LATIN:
        return catalogue().voice_for_language(voice, language) or voice
    if voice.speaks(language) or not follows_text:
        return voice
    return catalogue().voice_for_language(voice, language, model=voice.model) or voice


class ReplyVoice:
    """Chooses the voice of one reply, and has its sentences spoken.

    ``degraded``: why eSpeak NG speaks instead of the requested neural voice; None while it does not.
    ``fallback_voice``: the first eSpeak NG voice that has spoken instead; None before that.
    """

    def __init__(self, voice: Voice, *, follows_text: bool = False) -> None:
        self.degraded: Reason | None = None
        self.fallback_voice: Voice | None = None
        self._voice = voice
        self._follows_text = follows_text
        self._begun = False

    def begin(self, cost: float) -> None:
        """Decide whether the neural engine speaks this reply. Only the first call has an effect.

        ``cost``: cost of the text that the listener waits for (``tts.units.speech_cost``).
        """
        if self._begun:
            return
        self._begun = True
        if self._voice.engine == NEURAL:
            self.degraded = _why_not_neural(cost)

    @property
    def is_neural(self) -> bool:
        """True if the neural engine speaks this reply. Call ``begin`` first."""
        return self._voice.engine == NEURAL and self.degraded is None

    @property
    def is_counted_by_its_engine(self) -> bool:
        """True if the neural engine speaks this reply and brown-out is on.

        Admission control need not count such a reply, because eSpeak NG takes replies beyond the engine's capacity.
        """
        return self.is_neural and settings.VOICE_TTS_BROWNOUT

    def unit(self, *, text: str, language: str, **fields: Any) -> SpeechUnit:
        """Return a unit for one sentence, with the voice that will speak it.

        ``fields``: all other fields of ``SpeechUnit``.
        """
        voice = sentence_voice(self._voice, language, follows_text=self._follows_text)
        unit = SpeechUnit(text=text, voice=voice, language=language, **fields)
        self.begin(unit.cost)
        return _embedded(unit) if self.degraded else unit

    async def speak(self, unit: SpeechUnit) -> Speech:
        """Submit a unit to its engine. If the neural engine fails or its queue is full, eSpeak NG speaks instead.

        ``unit``: made by the method ``unit``.

        Errors of the engines propagate. ``OverCapacity`` does so only if brown-out is off or the unit had been admitted,
        because otherwise eSpeak NG speaks.
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
            self._note_fallback(unit.voice)
        return speech

    def _note_fallback(self, voice: Voice) -> None:
        assert self.degraded is not None
        if self.fallback_voice is None:
            self.fallback_voice = voice
            leases().note_fallback()
        degraded_total.labels(self.degraded.value).inc()

    def _degrade(self, reason: Reason, why: str) -> None:
        if self.degraded is None:
            _log(reason, why)
        self.degraded = reason


class _LogGate:
    """Limits a message to one log entry per ``_LOG_EVERY_S`` seconds. A brown-out would repeat it for every reply."""

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
    """Return True if the neural engine is too busy for a new reply: that reply, or others, would be late.

    ``cost``: cost of the text that the listener of the new reply waits for.

    The estimate covers all work that waits or runs, at the engines' last measured speed. It includes the recogniser's
    work in this process, because that uses the same cores. If nobody else is served, the neural voice always speaks,
    because a single reply is synthesised faster than it is played.
    """
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
    """Return the stats of the neural engine and of all engines that compete with it for CPU cores."""
    engines = {NEURAL: runtime.engine(NEURAL).stats()}
    if not settings.VOICE_INFERENCE_URL:
        engines |= {name: stats for name, stats in runtime.status().items() if name not in (NEURAL, EMBEDDED)}
    return engines


def _is_alone(engines: Iterable[EngineStats]) -> bool:
    """Return True if this process serves one end user at most, speaks one reply at most, and no unit waits.

    All requests of a client that names no end users count as one user.
    """
    here = leases()
    is_only_one = here.users_here <= 1 and here.speaking_here <= 1
    return is_only_one and not any(one.queue_length or one.estimated_wait_s for one in engines)


def _why_not_neural(cost: float) -> Reason | None:
    """Return why a new reply cannot have a neural voice, or None if it can.

    ``cost``: see ``is_browned_out``.
    """
    if runtime.uses_fallback(NEURAL):
        return Reason.FAILED
    return Reason.BUSY if is_browned_out(cost) else None


def _log(reason: Reason, why: str) -> None:
    if _gates[reason].opens():
        logger.warning("new replies are spoken by eSpeak NG", extra={"reason": reason.value, "why": why})


def _embedded(unit: SpeechUnit) -> SpeechUnit:
    """Return the unit with an eSpeak NG voice instead of its own.

    The new voice speaks the unit's language and, if possible, has the same sex and the same OpenAI name.
    """
    able = [one for one in catalogue().all() if one.engine == EMBEDDED and one.speaks(primary(unit.language))]
    if not able:
        return unit
    voice = unit.voice
    alike = min(able, key=lambda one: (one.gender != voice.gender, not set(one.openai) & set(voice.openai)))
    return replace(unit, voice=alike)
