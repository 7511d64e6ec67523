"""Check each hypothesis against its audio, and remove text that the model invented.

Given silence, noise or music, Whisper models write phrases from the end of subtitles ("Terima kasih kerana menonton",
"thank you for watching"), repeat themselves, or repeat the prompt. Voice activity detection keeps most of such audio
from the model, and the rules here remove the remaining inventions. People also say these phrases. So no text is removed
for its words alone: the audio must show that nobody said it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from asr.decoding import COMPRESSION_RATIO_THRESHOLD, LOGPROB_THRESHOLD, NO_SPEECH_THRESHOLD
from asr.endpointing import FRAME, FrameVad
from asr.transcript import Part
from asr.units import SAMPLE_RATE, Hypothesis, Options, Phrase, Samples, Word

MAX_WORDS_PER_SECOND = 8.0  # fast Malay or English speech is near 4, auctioneers near 6
MAX_CHARACTERS_PER_SECOND = 50.0

# Measured with Whisper base: musical notes and chords that voice activity detection took for speech have a no-speech
# probability of 0.54 to 0.78, and at most 0.35 s of voice. Short words that people say have a probability of 0.01 to
# 0.21, and at least 0.26 s of voice.
DOUBTFUL_NO_SPEECH = 0.5
BRIEF_VOICE_S = 0.6
BRIEF_SPEECH_S = 3.0
CERTAIN_VOICE = 0.8  # probability of speech from which a frame is certainly a voice
FASTEST_LETTERS_PER_S = 25.0
SLOWEST_LETTERS_PER_S = 3.0
CAPTION_NO_SPEECH = 0.4
CAPTION_LOGPROB = -1.2
CAPTION_PAUSES_S = 2.0  # maximum total of the pauses of a person who says a caption; otherwise the text is invented
INAUDIBLE_DBFS = -62.0

#: Phrases that end subtitles and video captions.
_CAPTION = re.compile(
    r"terima kasih (kerana|karena|sudah|telah) menonton|jangan lupa (like|subscribe|langgan)|sila (like|subscribe)"
    r"|sari ?kata (oleh|disediakan)|thanks? (you )?(so much )?for (watching|listening)|(please )?(like and )?subscribe"
    r"|subtitles? by|see you (in the )?next (video|time)|amara\.org|谢谢(观看|收看|大家)|请不吝点赞|字幕|நன்றி வணக்கம்",
    re.IGNORECASE,
)
_REPEATED = re.compile(r"\b(.{1,60}?)(?:[\s,.!?]+\1\b){3,}", re.IGNORECASE)


def remove_invented(
    parts: list[Part], audio: Callable[[int, int], Samples], options: Options, before: str = ""
) -> list[Part]:
    """Remove invented text from the parts of a recording or stream. Leave out parts whose whole text is invented.

    ``audio``: function that returns the samples [start, end) of the recording or stream.
    ``options``: the options with which the parts were recognised.
    ``before``: text of the segment before these parts.
    """
    found: list[Part] = []
    for part in parts:
        segment = part.segment
        samples = audio(segment.start, segment.end)
        repeats = _same(before, part.text)
        speech_s = segment.speech_s
        hypothesis = checked(part.hypothesis, audio=samples, speech_s=speech_s, hints=options.hints, repeats=repeats)
        if hypothesis is not None:
            found.append(replace(part, hypothesis=hypothesis))
            before = hypothesis.text
    return found


def checked(
    hypothesis: Hypothesis, *, audio: Samples, speech_s: float, hints: str = "", repeats: bool = False
) -> Hypothesis | None:
    """Remove invented text from a hypothesis. Return None if no text is left.

    ``audio``: the unit's samples, float32 (n,) at 16 kHz.
    ``speech_s``: seconds of the audio that voice activity detection classified as speech.
    ``hints``: the prompt and keywords that the model was given.
    ``repeats``: whether the previous segment had the same text.
    """
    if not any(map(str.isalnum, hypothesis.text)):
        return None
    if _is_silence(hypothesis) or _is_impossible(hypothesis, speech_s) or _is_music(hypothesis, audio, speech_s):
        return None
    if _CAPTION.search(hypothesis.text) or _is_echo(hypothesis.text, hints):
        without = _without_captions(hypothesis, audio, speech_s, hints=hints, repeats=repeats)
        if without is None:
            return None
        hypothesis = without
    if hypothesis.compression_ratio > COMPRESSION_RATIO_THRESHOLD:
        return _without_loop(hypothesis)
    return hypothesis


def _is_silence(hypothesis: Hypothesis) -> bool:
    return hypothesis.no_speech_prob > NO_SPEECH_THRESHOLD and hypothesis.avg_logprob < LOGPROB_THRESHOLD


def _is_impossible(hypothesis: Hypothesis, speech_s: float) -> bool:
    """Return True if nobody can say this text in ``speech_s`` seconds.

    Allow half a second more, for the sake of short answers. If the text repeats one phrase, consider only the text up
    to the end of its first occurrence.
    """
    text = hypothesis.text
    if hypothesis.compression_ratio > COMPRESSION_RATIO_THRESHOLD and (loop := _REPEATED.search(text)):
        text = text[: loop.end(1)]
    seconds = speech_s + 0.5
    return len(text.split()) > MAX_WORDS_PER_SECOND * seconds or len(text) > MAX_CHARACTERS_PER_SECOND * seconds


def _is_echo(text: str, hints: str) -> bool:
    """Return True if all words of the text occur in ``hints``, the prompt and keywords.

    A model that recognises no speech may write words of its hints.
    """
    given = set(_words(hints))
    return bool(given) and given.issuperset(_words(text))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _is_music(hypothesis: Hypothesis, audio: Samples, speech_s: float) -> bool:
    """Return True if the audio is a short sound that contains hardly any voice, such as a note of music.

    Voice activity detection has classified the sound as speech, but the model's no-speech probability is high.
    """
    if hypothesis.no_speech_prob <= DOUBTFUL_NO_SPEECH or speech_s > BRIEF_SPEECH_S:
        return False
    return voice_s(audio) < BRIEF_VOICE_S


def voice_s(audio: Samples) -> float:
    """Return how many seconds of the audio, float32 (n,) at 16 kHz, are certainly a voice."""
    count = len(audio) // FRAME
    if not count:
        return 0.0
    probabilities = FrameVad().probabilities(audio[: count * FRAME].reshape(count, FRAME))
    return float(np.count_nonzero(probabilities > CERTAIN_VOICE) * FRAME / SAMPLE_RATE)


# --- captions ---------------------------------------------------------------------------------------------------------
def _without_captions(
    hypothesis: Hypothesis, audio: Samples, speech_s: float, *, hints: str, repeats: bool
) -> Hypothesis | None:
    """Remove captions and echoes of the hints, unless the audio shows that they were said.

    Return None if no text is left. The parameters are those of ``checked``.
    """
    if len(hypothesis.phrases) < 2:
        invented = _is_invented(hypothesis, hypothesis.text, audio, speech_s, repeats=repeats)
        return None if invented else hypothesis
    said: list[Phrase] = []
    for phrase in hypothesis.phrases:
        samples = audio[int(phrase.start * SAMPLE_RATE) : int(phrase.end * SAMPLE_RATE)]
        seconds = min(speech_s, phrase.end - phrase.start)
        suspect = _CAPTION.search(phrase.text) or _is_echo(phrase.text, hints)
        if not suspect or not _is_invented(hypothesis, phrase.text, samples, seconds, repeats=repeats):
            said.append(phrase)
    if len(said) == len(hypothesis.phrases):
        return hypothesis
    return _with_phrases(hypothesis, said)


def _is_invented(hypothesis: Hypothesis, text: str, audio: Samples, speech_s: float, *, repeats: bool) -> bool:
    letters = sum(map(str.isalnum, text))
    no_speech = CAPTION_NO_SPEECH / 2 if repeats else CAPTION_NO_SPEECH
    if hypothesis.no_speech_prob > no_speech or hypothesis.avg_logprob < CAPTION_LOGPROB:
        return True
    if speech_s > CAPTION_PAUSES_S + letters / SLOWEST_LETTERS_PER_S:
        return True
    if not len(audio) or 10 * np.log10(np.square(audio).mean() + 1e-12) < INAUDIBLE_DBFS:
        return True
    return voice_s(audio) < letters / FASTEST_LETTERS_PER_S


def _with_phrases(hypothesis: Hypothesis, phrases: list[Phrase]) -> Hypothesis | None:
    """Return the hypothesis reduced to the given phrases and their words; None if there are no phrases."""
    if not phrases:
        return None
    text = " ".join(phrase.text for phrase in phrases)
    words = tuple(word for word in hypothesis.words if any(p.start <= word.start < p.end for p in phrases))
    return replace(hypothesis, text=text, phrases=tuple(phrases), words=words, tokens=())


def _same(one: str, other: str) -> bool:
    return one.strip(" .,!?。！？").casefold() == other.strip(" .,!?。！？").casefold()


# --- loops ------------------------------------------------------------------------------------------------------------
def _without_loop(hypothesis: Hypothesis) -> Hypothesis | None:
    """Cut the text after the first occurrence of a phrase that occurs more than three times in a row.

    If there is no such phrase, return None for a text with a low log probability, otherwise the hypothesis unchanged.
    """
    loop = _REPEATED.search(hypothesis.text)
    if loop is None:
        return None if hypothesis.avg_logprob < LOGPROB_THRESHOLD else hypothesis
    text = hypothesis.text[: loop.end(1)]
    count = len(text.split())
    words: tuple[Word, ...] = hypothesis.words[:count]
    phrases = hypothesis.phrases[:1]
    if phrases:
        end = words[-1].end if words else phrases[0].end
        phrases = (replace(phrases[0], text=text, end=end),)
    return replace(hypothesis, text=text, words=words, phrases=phrases, tokens=())
