"""Choose the voice for each sentence of a reply, by the sentence's language and by the load and state of the engines.

The neural engine is Kokoro; eSpeak NG is the fallback.

- Brown-out: if the neural engine is too busy when a reply begins, eSpeak NG speaks the whole reply (``tts.brownout``).
- If the neural engine fails at a sentence or its queue is full, eSpeak NG speaks that sentence and the rest of the
  reply.

A ``ReplyVoice`` belongs to one reply and is used on one event loop.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from prometheus_client import Counter

from capacity.concurrent_users import leases
from inference import runtime
from inference.errors import EngineUnavailable, OverCapacity, UnitFailed
from tts.brownout import NEURAL, Reason, fallback_unit, log_fallback, why_not_neural
from tts.units import Speech, SpeechUnit
from tts.voices import Voice, catalogue

LATIN = ("ms", "en")

units_by_engine = Counter("voice_tts_sentences", "Sentences spoken, by the engine that did", ["engine"])
degraded_total = Counter("voice_tts_degraded", "Sentences that eSpeak NG spoke for a neural voice", ["reason"])


def sentence_voice(voice: Voice, language: str, *, follows_text: bool) -> Voice:
    """Return the voice for one sentence of a reply.

    ``voice``: the requested voice of the reply.
    ``language``: language of the sentence.
    ``follows_text``: whether the voice may change between Malay and English sentences. It changes only to a voice of
    the same model.

    If the sentence is in another language, such as Tamil or Chinese, a voice that cannot speak it is always replaced,
    if possible by a voice of the same model or the same sex. If no voice is suitable, return the requested voice.
    """
    if language not in LATIN:
        return catalogue().voice_for_language(voice, language) or voice
    if voice.speaks(language) or not follows_text:
        return voice
    return catalogue().voice_for_language(voice, language, model=voice.model) or voice


class ReplyVoice:
    """Chooses the voice for each sentence of one reply, and has the sentences spoken.

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

        ``cost``: cost of the text that must be synthesised before the reply starts to play (``tts.units.speech_cost``).
        """
        if self._begun:
            return
        self._begun = True
        if self._voice.engine == NEURAL:
            self.degraded = why_not_neural(cost)

    @property
    def is_neural(self) -> bool:
        """True if the neural engine speaks this reply. Call ``begin`` first."""
        return self._voice.engine == NEURAL and self.degraded is None

    @property
    def is_exempt_from_admission(self) -> bool:
        """True if the neural engine speaks this reply and brown-out is on.

        Admission control need not count such a reply, because eSpeak NG takes replies beyond the engine's capacity.
        """
        return self.is_neural and settings.VOICE_TTS_BROWNOUT

    def unit(self, *, text: str, language: str, **fields: Any) -> SpeechUnit:
        """Return the unit of work for one sentence, with the voice that will speak it.

        ``fields``: other fields of ``SpeechUnit``.
        """
        voice = sentence_voice(self._voice, language, follows_text=self._follows_text)
        unit = SpeechUnit(text=text, voice=voice, language=language, **fields)
        self.begin(unit.cost)
        return fallback_unit(unit) if self.degraded else unit

    async def speak(self, unit: SpeechUnit) -> Speech:
        """Return the speech for a unit. If the neural engine fails or its queue is full, eSpeak NG speaks instead.

        ``unit``: made by the method ``unit``.

        All other errors of the engines propagate. The neural engine's ``OverCapacity`` propagates too if brown-out is
        off or if ``unit.admitted`` is set.
        """
        if self.degraded and unit.voice.engine == NEURAL:
            unit = fallback_unit(unit)
        try:
            speech: Speech = await runtime.engine(unit.voice.engine).submit(unit)
        except (EngineUnavailable, UnitFailed) as error:
            if unit.voice.engine != NEURAL:
                raise
            self._degrade(Reason.FAILED, str(error))
            unit = fallback_unit(unit)
            speech = await runtime.engine(unit.voice.engine).submit(unit)
        except OverCapacity:
            if unit.voice.engine != NEURAL or not settings.VOICE_TTS_BROWNOUT or unit.admitted:
                raise
            self._degrade(Reason.BUSY, "its queue is full")
            unit = fallback_unit(unit)
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
            log_fallback(reason, why)
        self.degraded = reason
