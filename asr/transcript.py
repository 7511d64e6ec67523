"""The transcript of a whole recording, joined from the hypotheses of its segments, and its output formats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asr import languages
from asr.subtitles import Cue, cues, is_unspaced
from asr.units import FALLBACK_TEMPERATURES, SAMPLE_RATE, Hypothesis, Phrase, Token, Word
from asr.voice_activity import Segment

ONLY_SPEAKER = "A"  # OpenAI's name for the first speaker; this service does not distinguish speakers


@dataclass(frozen=True)
class Part:
    """One recognised segment of a recording.

    The times in ``phrases`` and ``words`` are in seconds from the recording's start, but the times in ``hypothesis``
    are in seconds from the segment's start.
    """

    segment: Segment
    hypothesis: Hypothesis

    @property
    def text(self) -> str:
        return self.hypothesis.text

    @property
    def phrases(self) -> list[Phrase]:
        offset = self.segment.start_s
        return [
            Phrase(phrase.text, phrase.start + offset, phrase.end + offset, phrase.tokens)
            for phrase in self.hypothesis.phrases
        ]

    @property
    def words(self) -> list[Word]:
        return [word.shifted(self.segment.start_s) for word in self.hypothesis.words]

    def within(self, length: int, earliest: int = 0) -> Part:
        """Limit all times of the part to the range of the audio, and return the changed part.

        A segment may extend into the silence that ``asr.segmenting`` adds after the audio. In a stream, the segment's
        padding may begin before the utterance.

        ``length``: end of the audio, in samples.
        ``earliest``: start of the audio, in samples. Only the times of phrases and words are limited to it.
        """
        if self.segment.end <= length and self.segment.start >= earliest:
            return self
        end = min(self.segment.end, max(self.segment.start, length))
        least = max(0.0, (earliest - self.segment.start) / SAMPLE_RATE)
        most = max(least, (end - self.segment.start) / SAMPLE_RATE)

        def limited(seconds: float) -> float:
            return min(max(seconds, least), most)

        hypothesis = self.hypothesis
        phrases = tuple(
            replace(phrase, start=limited(phrase.start), end=limited(phrase.end)) for phrase in hypothesis.phrases
        )
        words = tuple(replace(word, start=limited(word.start), end=limited(word.end)) for word in hypothesis.words)
        return Part(replace(self.segment, end=end), replace(hypothesis, phrases=phrases, words=words))


@dataclass
class Transcript:
    """The transcript of a whole recording.

    ``duration_s``: length of the recording in seconds.
    ``fallback_language``: the language to report if none was detected. This is the requested language or a default.
    ``detected``: whether the language was detected, because the request named no language.
    ``warnings``: messages about requested features that were not available.
    ``queued_ms``: milliseconds that the first segment waited for its batch.
    ``sound_s``: seconds of audio in the file, without the silence that was inserted into gaps of its timestamps. If it
    is None, ``duration_s`` is used.
    """

    duration_s: float
    fallback_language: str
    detected: bool = False
    task: str = "transcribe"
    warnings: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    queued_ms: float = 0.0
    sound_s: float | None = None

    @property
    def text(self) -> str:
        return join(part.text for part in self.parts)

    @property
    def languages(self) -> list[str]:
        """The codes of the recording's languages, the language with the most speech first."""
        if not self.detected or not self.parts:
            return [self.fallback_language]
        return most_spoken(self.parts)

    @property
    def language(self) -> str:
        """The code of the language with the most speech."""
        return self.languages[0]

    def json(self, *, logprobs: bool = False) -> dict[str, Any]:
        """Return the body of a ``json`` response.

        ``logprobs``: whether to list the tokens with their log probabilities.
        """
        body: dict[str, Any] = {"text": self.text}
        if self.detected:
            body["languages"] = self._languages_listed()
        if logprobs:
            body["logprobs"] = token_logprobs(self.parts)
        return body | {"usage": self.usage()} | self._warnings()

    def verbose_json(self, granularities: Iterable[str]) -> dict[str, Any]:
        """Return the body of a ``verbose_json`` response, OpenAI's ``TranscriptionVerbose``.

        ``granularities``: "word" to include ``words``, "segment" to include ``segments``. If empty, "segment" is used.
        """
        wanted = set(granularities) or {"segment"}
        body: dict[str, Any] = {
            "task": self.task,
            "language": "english" if self.task == "translate" else languages.name(self.language),
            "languages": self._languages_listed(),
            "duration": round(self.duration_s, 3),
            "text": self.text,
        }
        if "word" in wanted:
            body["words"] = [_word(word) for part in self.parts for word in part.words]
        if "segment" in wanted:
            phrases = [(part, phrase) for part in self.parts for phrase in part.phrases]
            body["segments"] = [_segment(number, *pair) for number, pair in enumerate(phrases)]
        return body | {"usage": self.usage()} | self._warnings()

    def diarized_json(self) -> dict[str, Any]:
        """Return the body of a ``diarized_json`` response, OpenAI's ``TranscriptionDiarized``.

        All text is attributed to one speaker.
        """
        segments = [segment for part in self.parts for segment in diarized_segments(part)]
        body = {"task": self.task, "duration": round(self.duration_s, 3), "text": self.text, "segments": segments}
        return body | {"usage": self.usage()} | self._warnings()

    def srt(self) -> str:
        """Return the transcript as subtitles in SubRip's format."""
        return "".join(
            f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_srt_text(cue)}\n\n"
            for number, cue in enumerate(self._cues(), 1)
        )

    def vtt(self) -> str:
        """Return the transcript as subtitles in WebVTT's format."""
        timed = [f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_vtt_text(cue)}\n\n" for cue in self._cues()]
        return "WEBVTT\n\n" + "".join(timed)

    def usage(self) -> dict[str, Any]:
        sound_s = self.duration_s if self.sound_s is None else self.sound_s
        return duration_usage(sound_s)

    def _languages_listed(self) -> list[dict[str, str]]:
        """Return the recording's languages in OpenAI's format; an empty list if nothing was recognised."""
        return [{"code": language} for language in self.languages] if self.parts else []

    def _warnings(self) -> dict[str, list[str]]:
        return {"warnings": self.warnings} if self.warnings else {}

    def _cues(self) -> list[Cue]:
        return cues([phrase for part in self.parts for phrase in part.phrases])


FORMATS: Mapping[str, tuple[str, Callable[[Transcript], str]]] = {
    "text": ("text/plain; charset=utf-8", lambda transcript: transcript.text + "\n"),
    "srt": ("application/x-subrip; charset=utf-8", Transcript.srt),
    "vtt": ("text/vtt; charset=utf-8", Transcript.vtt),
}


def duration_usage(seconds: float) -> dict[str, Any]:
    """Return OpenAI's usage object for models that are billed by duration. The seconds are rounded up."""
    return {"type": "duration", "seconds": max(1, math.ceil(round(seconds, 3)))}


def most_spoken(parts: Iterable[Part]) -> list[str]:
    """Return the codes of the parts' languages, the language with the most speech first."""
    spoken: dict[str, int] = {}
    for part in parts:
        spoken[part.hypothesis.language] = spoken.get(part.hypothesis.language, 0) + part.segment.speech
    return sorted(spoken, key=lambda language: -spoken[language])


def join(texts: Iterable[str]) -> str:
    """Join texts with spaces, but without a space between two Chinese or Japanese characters."""
    joined = ""
    for text in texts:
        if joined and text and not (is_unspaced(joined[-1]) and is_unspaced(text[0])):
            joined += " "
        joined += text
    return joined


def diarized_segments(part: Part) -> list[dict[str, Any]]:
    """Return the part's phrases as OpenAI's ``transcript.text.segment`` objects.

    The ids contain the part's start, which makes them unique within a transcript.
    """
    return [
        {
            "id": f"seg_{part.segment.start}_{number}",
            "type": "transcript.text.segment",
            "speaker": ONLY_SPEAKER,
            "start": round(phrase.start, 2),
            "end": round(phrase.end, 2),
            "text": phrase.text,
        }
        for number, phrase in enumerate(part.phrases)
    ]


def token_logprobs(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Return the tokens of the parts with their log probabilities, in OpenAI's format."""
    return listed_logprobs(token for part in parts for token in part.hypothesis.tokens)


def listed_logprobs(tokens: Iterable[Token]) -> list[dict[str, Any]]:
    """Return the tokens with their log probabilities, in OpenAI's format."""
    return [{"token": _token_text(token), "logprob": token.logprob, "bytes": list(token.piece)} for token in tokens]


def temperatures(wanted: float) -> tuple[float, ...]:
    """Return the temperatures for decoding if the client requests the temperature ``wanted``.

    As with OpenAI, 0 allows a second attempt at a higher temperature if the text looks wrong. With any other value,
    only that temperature is used.
    """
    return FALLBACK_TEMPERATURES if wanted == 0 else (wanted,)


def _token_text(token: Token) -> str:
    """Return the token's text. If its bytes are not whole characters, return OpenAI's spelling of the bytes."""
    try:
        return token.piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.piece)


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start, 2),
        "end": round(word.end, 2),
        "probability": round(word.probability, 4),
    }


def _segment(number: int, part: Part, phrase: Phrase) -> dict[str, Any]:
    hypothesis = part.hypothesis
    return {
        "id": number,
        "seek": int(part.segment.start_s * 100),
        "start": round(phrase.start, 2),
        "end": round(phrase.end, 2),
        "text": " " + phrase.text,
        "language": languages.name(hypothesis.language),
        "tokens": list(phrase.tokens),
        "temperature": hypothesis.temperature,
        "avg_logprob": round(hypothesis.avg_logprob, 4),
        "compression_ratio": round(hypothesis.compression_ratio, 4),
        "no_speech_prob": hypothesis.no_speech_prob,
    }


def _srt_text(cue: Cue) -> str:
    """Return the cue's text for SubRip, with each arrow ``-->`` replaced by ``-- >``.

    SubRip has no escapes, and a line of text with an arrow would look like a line of times.
    """
    return "\n".join(cue.lines).replace("-->", "-- >")


def _vtt_text(cue: Cue) -> str:
    """Return the cue's text with WebVTT's escapes (W3C WebVTT 1, section 3.1)."""
    return "\n".join(cue.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, mark: str) -> str:
    total = max(0, round(seconds * 1000))
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, milliseconds = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{mark}{milliseconds:03}"
