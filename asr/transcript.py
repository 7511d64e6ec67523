"""A whole recording's text, stitched from the hypotheses of its segments, and the formats it is answered in."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asr import languages
from asr.subtitles import Cue, cues
from asr.units import FALLBACK_TEMPERATURES, Hypothesis, Phrase, Token, Word
from asr.voice_activity import Segment

ONLY_SPEAKER = "A"  # OpenAI's first; speakers are not told apart


@dataclass(frozen=True)
class Part:
    """One recognised segment of the recording; times in seconds from the recording's start."""

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


@dataclass
class Transcript:
    """A whole recording's result. ``duration_s``: its length; ``sound_s``: how much of it was sent (None: all).
    ``language``: the requested one, or the fallback if nothing is said. ``detected``: no language was requested.
    ``warnings``: requests that could not be met.
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
        """The recording's languages, the most spoken first."""
        if not self.detected or not self.parts:
            return [self.fallback_language]
        return most_spoken(self.parts)

    @property
    def language(self) -> str:
        return self.languages[0]

    def json(self, *, logprobs: bool = False) -> dict[str, Any]:
        body: dict[str, Any] = {"text": self.text}
        if self.detected:
            body["languages"] = self._languages_listed()
        if logprobs:
            body["logprobs"] = token_logprobs(self.parts)
        return body | {"usage": self.usage()} | self._warnings()

    def verbose_json(self, granularities: Iterable[str]) -> dict[str, Any]:
        """OpenAI's ``TranscriptionVerbose``; ``words`` only if asked for, ``segments`` unless only words were."""
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
        """OpenAI's ``TranscriptionDiarized``, all of it by one speaker."""
        segments = [segment for part in self.parts for segment in diarized_segments(part)]
        body = {"task": self.task, "duration": round(self.duration_s, 3), "text": self.text, "segments": segments}
        return body | {"usage": self.usage()} | self._warnings()

    def srt(self) -> str:
        return "".join(
            f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_srt_text(cue)}\n\n"
            for number, cue in enumerate(self._cues(), 1)
        )

    def vtt(self) -> str:
        timed = [f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_vtt_text(cue)}\n\n" for cue in self._cues()]
        return "WEBVTT\n\n" + "".join(timed)

    def usage(self) -> dict[str, Any]:
        sound_s = self.duration_s if self.sound_s is None else self.sound_s
        return duration_usage(sound_s)

    def _languages_listed(self) -> list[dict[str, str]]:
        """The detected languages in OpenAI's format."""
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
    """Usage by duration, as OpenAI bills models that count no tokens: every second begun counts."""
    return {"type": "duration", "seconds": max(1, math.ceil(round(seconds, 3)))}


def most_spoken(parts: Iterable[Part]) -> list[str]:
    """The parts' languages, the one with the most speech first."""
    spoken: dict[str, int] = {}
    for part in parts:
        spoken[part.hypothesis.language] = spoken.get(part.hypothesis.language, 0) + part.segment.speech
    return sorted(spoken, key=lambda language: -spoken[language])


def join(texts: Iterable[str]) -> str:
    """Texts with a space between, but where both neighbours are written without (Chinese, Japanese)."""
    joined = ""
    for text in texts:
        if joined and text and not (_is_wide(joined[-1]) and _is_wide(text[0])):
            joined += " "
        joined += text
    return joined


def diarized_segments(part: Part) -> list[dict[str, Any]]:
    """OpenAI's ``transcript.text.segment``; ids are unique by when the part begins."""
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
    """The log probabilities of the parts' tokens, in OpenAI's format."""
    return listed_logprobs(token for part in parts for token in part.hypothesis.tokens)


def listed_logprobs(tokens: Iterable[Token]) -> list[dict[str, Any]]:
    return [{"token": _token_text(token), "logprob": token.logprob, "bytes": list(token.piece)} for token in tokens]


def temperatures(wanted: float) -> tuple[float, ...]:
    """OpenAI's rule: 0 climbs the ladder by itself where the text looks wrong; any other temperature is kept."""
    return FALLBACK_TEMPERATURES if wanted == 0 else (wanted,)


def _token_text(token: Token) -> str:
    """Its text; where its bytes are no whole characters, those as OpenAI writes them."""
    try:
        return token.piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.piece)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF" and not "\uac00" <= character <= "\ud7a3"


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
    """SubRip has no escapes; what looks like the line of times is kept from looking so."""
    return "\n".join(cue.lines).replace("-->", "-- >")


def _vtt_text(cue: Cue) -> str:
    """WebVTT's escapes (W3C WebVTT 1, section 3.1): with ``>`` escaped no cue holds an arrow."""
    return "\n".join(cue.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, mark: str) -> str:
    total = max(0, round(seconds * 1000))
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, milliseconds = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{mark}{milliseconds:03}"
