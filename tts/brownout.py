"""Brown-out: decide when eSpeak NG speaks instead of the neural engine (Kokoro), and choose the eSpeak NG voice.

- If the neural engine is too busy when a reply begins, eSpeak NG speaks the whole reply (``is_browned_out``).
- If the neural engine did not load, eSpeak NG speaks all replies.

``tts.reply_voice`` calls ``why_not_neural`` once for each reply that is to have a neural voice. It also switches to
eSpeak NG when the neural engine fails at a sentence or refuses one because its queue is full.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from django.conf import settings

from capacity.concurrent_users import leases
from inference import processor, runtime
from inference.engine import EngineStats
from tts.units import SpeechUnit
from tts.voices import catalogue, primary

logger = logging.getLogger(__name__)

NEURAL = "kokoro"
FALLBACK = "espeak-ng"
_LOG_EVERY_S = 30.0
MIN_SHARE = 0.1  # a reply is assumed to get at least this share of the cores


class Reason(StrEnum):
    """Why eSpeak NG speaks a reply instead of the requested neural voice."""

    BUSY = "busy"  # brown-out
    FAILED = "failed"  # the neural engine did not load, or failed at a sentence


def why_not_neural(cost: float) -> Reason | None:
    """Return why a new reply cannot have a neural voice, or None if it can.

    ``cost``: see ``is_browned_out``.
    """
    if runtime.uses_fallback(NEURAL):
        return Reason.FAILED
    return Reason.BUSY if is_browned_out(cost) else None


def is_browned_out(cost: float = 0.0) -> bool:
    """Return True if the neural engine is so busy that a new reply would start late or would delay other replies.

    ``cost``: cost of the text that must be synthesised before the new reply starts to play (``tts.units.speech_cost``).

    A reply is late if its first audio would take more than ``VOICE_TTS_BROWNOUT_S`` seconds. This time is estimated
    from the engines' last measured speeds. It is the sum of

    - the time for all work that waits or runs in the neural engine;
    - the time for all work that waits or runs in the other engines on the CPU, such as speech recognition, multiplied
      by the share of the cores that each engine can use;
    - the time to synthesise the new text. Of two estimates, the slower one counts: the neural engine's present speed,
      and its highest speed times the share of the cores that the other engines have lately left free.

    If this process serves nobody else and no work waits, return False, because a single reply is synthesised faster
    than it is played.
    """
    if not settings.VOICE_TTS_BROWNOUT:
        return False
    neural = runtime.engine(NEURAL).stats()
    others = _others_on_cores()
    free = 1 - sum(stats.utilisation * share for stats, share in others)
    # The present speed is slower already if the neural engine has just spoken beside the others.
    pace = max(neural.seconds_per_cost, neural.fastest_seconds_per_cost / max(free, MIN_SHARE))
    ready_s = cost * pace + _waiting_s(neural) + sum(share * _waiting_s(stats) for stats, share in others)
    if ready_s <= settings.VOICE_TTS_BROWNOUT_S or _is_alone([neural, *(stats for stats, _share in others)]):
        return False
    log_fallback(Reason.BUSY, f"a new reply would be ready after {ready_s:.1f} s")
    return True


def _others_on_cores() -> list[tuple[EngineStats, float]]:
    """Return the engines that compete with the neural engine for CPU cores: their stats, and their share of the cores.

    The share, from 0 to 1, is what an engine uses while all its workers run. An engine on a GPU does not compete.
    """
    if settings.VOICE_INFERENCE_URL:
        return []
    others = [stats for name, stats in runtime.status().items() if name not in (NEURAL, FALLBACK) and stats.cores]
    return [(stats, min(1.0, stats.cores / processor.cores())) for stats in others]


def _waiting_s(stats: EngineStats) -> float:
    return max(stats.estimated_wait_s, stats.backlog_s)


def _is_alone(engines: Iterable[EngineStats]) -> bool:
    """Return True if this process serves at most one end user, speaks at most one reply, and no work waits.

    ``engines``: the engines whose queues are checked.

    If a client does not name its end users, all its requests count as one user.
    """
    here = leases()
    is_only_one = here.users_here <= 1 and here.speaking_here <= 1
    return is_only_one and not any(one.queue_length or one.estimated_wait_s for one in engines)


def fallback_unit(unit: SpeechUnit) -> SpeechUnit:
    """Return a sentence's unit with an eSpeak NG voice, or the unit unchanged if no such voice speaks its language.

    If possible, the new voice has the same sex and the same OpenAI name as the old voice.
    """
    able = [one for one in catalogue().all() if one.engine == FALLBACK and one.speaks(primary(unit.language))]
    if not able:
        return unit
    voice = unit.voice
    alike = min(able, key=lambda one: (one.gender != voice.gender, not set(one.openai) & set(voice.openai)))
    return replace(unit, voice=alike)


class _LogGate:
    """Limits a log message, which every reply in a brown-out repeats, to one entry in ``_LOG_EVERY_S`` seconds."""

    def __init__(self) -> None:
        self._last = -_LOG_EVERY_S

    def opens(self) -> bool:
        now = time.monotonic()
        if now - self._last < _LOG_EVERY_S:
            return False
        self._last = now
        return True


_gates = {reason: _LogGate() for reason in Reason}


def log_fallback(reason: Reason, why: str) -> None:
    if _gates[reason].opens():
        logger.warning("new replies are spoken by eSpeak NG", extra={"reason": reason.value, "why": why})
