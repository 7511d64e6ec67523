"""Keeps invented words out: a check of each hypothesis against the audio that it claims to be about.

Whisper models answer silence, noise and music with what subtitles end on ("Terima kasih kerana menonton"), or repeat
themselves. Voice activity detection keeps most such audio from the model; these rules catch the rest.
"""

from __future__ import annotations

import re
from dataclasses import replace

from asr.decoding import COMPRESSION_RATIO_THRESHOLD, LOGPROB_THRESHOLD, NO_SPEECH_THRESHOLD
from asr.units import Hypothesis, Word

MOST_WORDS_PER_SECOND = 8.0  # fast Malay or English speech is near 4, auctioneers near 6
MOST_CHARACTERS_PER_SECOND = 50.0
WEAK_LOGPROB = -0.6
SHORT_SPEECH_S = 1.5

#: What subtitles and video captions end on; said in earnest, such words come with clear speech of their length.
_INVENTED = re.compile(
    r"terima kasih (kerana|karena|sudah|telah) menonton|jangan lupa (like|subscribe|langgan)|sila (like|subscribe)"
    r"|sari ?kata (oleh|disediakan)|thanks? (you )?(so much )?for (watching|listening)|(please )?(like and )?subscribe"
    r"|subtitles? by|see you (in the )?next (video|time)|amara\.org|谢谢(观看|收看|大家)|请不吝点赞|字幕|நன்றி வணக்கம்",
    re.IGNORECASE,
)
_REPEATED = re.compile(r"\b(.{1,60}?)(?:[\s,.!?]+\1\b){3,}", re.IGNORECASE)


def checked(hypothesis: Hypothesis, *, speech_s: float) -> Hypothesis | None:
    """The hypothesis, without what was surely not said; None if nothing is left.

    ``speech_s``: seconds of the unit that voice activity detection took for speech.
    """
    if not hypothesis.text or _is_silence(hypothesis) or _is_impossible(hypothesis, speech_s):
        return None
    if _INVENTED.search(hypothesis.text) and _is_doubtful(hypothesis, speech_s):
        return None
    if hypothesis.compression_ratio > COMPRESSION_RATIO_THRESHOLD:
        return _without_loop(hypothesis)
    return hypothesis


def _is_silence(hypothesis: Hypothesis) -> bool:
    return hypothesis.no_speech_prob > NO_SPEECH_THRESHOLD and hypothesis.avg_logprob < LOGPROB_THRESHOLD


def _is_impossible(hypothesis: Hypothesis, speech_s: float) -> bool:
    """More words than anybody says in that time; half a second of grace for short answers."""
    seconds = speech_s + 0.5
    words = len(hypothesis.text.split())
    return words > MOST_WORDS_PER_SECOND * seconds or len(hypothesis.text) > MOST_CHARACTERS_PER_SECOND * seconds


def _is_doubtful(hypothesis: Hypothesis, speech_s: float) -> bool:
    return hypothesis.avg_logprob < WEAK_LOGPROB or hypothesis.no_speech_prob > 0.3 or speech_s < SHORT_SPEECH_S


def _without_loop(hypothesis: Hypothesis) -> Hypothesis | None:
    """Keep the text up to the first turn of the loop that the temperature ladder could not cure."""
    loop = _REPEATED.search(hypothesis.text)
    if loop is None:
        return None if hypothesis.avg_logprob < LOGPROB_THRESHOLD else hypothesis
    text = hypothesis.text[: loop.end(1)]
    kept = len(text.split())
    words: tuple[Word, ...] = hypothesis.words[:kept]
    phrases = hypothesis.phrases[:1]
    if phrases:
        end = words[-1].end if words else phrases[0].end
        phrases = (replace(phrases[0], text=text, end=end),)
    return replace(hypothesis, text=text, words=words, phrases=phrases)
