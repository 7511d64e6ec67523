"""A whole recording's text, stitched from the hypotheses of its segments, and the formats it is answered in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from asr import languages
from asr.units import FALLBACK_TEMPERATURES, Hypothesis, Phrase, Word
from asr.voice_activity import Segment

LONGEST_SUBTITLE_CHARACTERS = 84  # two lines of 42, the broadcasters' usual measure


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
    """``duration_s`` is the recording's; ``language`` that of its first speech, or the one asked for. ``warning``: what
    was asked for and could not be done."""

    duration_s: float
    language: str
    task: str = "transcribe"
    warning: str = ""
    parts: list[Part] = field(default_factory=list)
    queued_ms: float = 0.0

    @property
    def text(self) -> str:
        return join([part.text for part in self.parts], self.language)

    def json(self) -> dict[str, Any]:
        return {"text": self.text, "usage": self.usage()} | self._warnings()

    def verbose_json(self, granularities: Iterable[str]) -> dict[str, Any]:
        """OpenAI's ``TranscriptionVerbose``; ``words`` only if asked for, ``segments`` unless only words were."""
        wanted = set(granularities) or {"segment"}
        body: dict[str, Any] = {
            "task": self.task,
            "language": languages.name(self.language),
            "duration": round(self.duration_s, 3),
            "text": self.text,
        }
        if "word" in wanted:
            body["words"] = [
                {"word": word.text, "start": round(word.start, 2), "end": round(word.end, 2)}
                for part in self.parts
                for word in part.words
            ]
        if "segment" in wanted:
            phrases = [(part, phrase) for part in self.parts for phrase in part.phrases]
            body["segments"] = [_segment(number, *pair) for number, pair in enumerate(phrases)]
        return body | {"usage": self.usage()} | self._warnings()

    def srt(self) -> str:
        return "".join(
            f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
            for number, (start, end, text) in enumerate(self._cues(), 1)
        )

    def vtt(self) -> str:
        cues = [f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n" for start, end, text in self._cues()]
        return "WEBVTT\n\n" + "".join(cues)

    def usage(self) -> dict[str, Any]:
        return {"type": "duration", "seconds": max(1, round(self.duration_s))}

    def _warnings(self) -> dict[str, list[str]]:
        return {"warnings": [self.warning]} if self.warning else {}

    def _cues(self) -> list[tuple[float, float, str]]:
        return [cue for part in self.parts for phrase in part.phrases for cue in _split_cue(phrase)]


FORMATS: dict[str, tuple[str, Callable[[Transcript], str]]] = {
    "text": ("text/plain; charset=utf-8", lambda transcript: transcript.text + "\n"),
    "srt": ("application/x-subrip; charset=utf-8", Transcript.srt),
    "vtt": ("text/vtt; charset=utf-8", Transcript.vtt),
}


def join(texts: Iterable[str], language: str) -> str:
    """Chinese and its like are written without spaces between sentences."""
    separator = "" if language in ("zh", "yue", "ja") else " "
    return separator.join(text for text in texts if text)


def _segment(number: int, part: Part, phrase: Phrase) -> dict[str, Any]:
    hypothesis = part.hypothesis
    return {
        "id": number,
        "seek": int(part.segment.start_s * 100),
        "start": round(phrase.start, 2),
        "end": round(phrase.end, 2),
        "text": " " + phrase.text,
        "tokens": list(phrase.tokens),
        "temperature": hypothesis.temperature,
        "avg_logprob": round(hypothesis.avg_logprob, 4),
        "compression_ratio": round(hypothesis.compression_ratio, 4),
        "no_speech_prob": hypothesis.no_speech_prob,
    }


def _split_cue(phrase: Phrase) -> list[tuple[float, float, str]]:
    """A subtitle that fits the screen; time is shared out by length of text."""
    words, lines = phrase.text.split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > LONGEST_SUBTITLE_CHARACTERS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    total = sum(map(len, lines)) or 1
    cues, start = [], phrase.start
    for line in lines:
        end = start + (phrase.end - phrase.start) * len(line) / total
        cues.append((start, end, line))
        start = end
    return cues


def _clock(seconds: float, mark: str) -> str:
    total = max(0, round(seconds * 1000))
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, milliseconds = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{mark}{milliseconds:03}"


def temperatures(wanted: float) -> tuple[float, ...]:
    """OpenAI's rule: 0 climbs the ladder by itself where the text looks wrong; any other temperature is kept."""
    return FALLBACK_TEMPERATURES if wanted == 0 else (wanted,)
