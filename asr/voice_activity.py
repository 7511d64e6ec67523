"""Find speech in a recording and cut it into the segments that the engine works on.

This is Silero VAD by the rules of faster-whisper. Only speech reaches the engine, because a Whisper model invents words
for silence, noise and music.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from faster_whisper.vad import VadOptions, get_speech_timestamps, get_vad_model

from asr.audio import Recording, decode
from asr.units import MAX_SEGMENT_S, SAMPLE_RATE, Samples

NETWORK = Path(__file__).parent / "silero" / "voice_activity.onnx"
WINDOW_S = 120  # audio examined at a time, so that the engine starts before all of a long file has been examined
_LULL = SAMPLE_RATE // 8  # long enough to be a gap between words rather than a stop consonant
SPEECH = VadOptions(
    threshold=0.5,
    min_speech_duration_ms=100,
    max_speech_duration_s=MAX_SEGMENT_S - 1,
    min_silence_duration_ms=200,
    speech_pad_ms=200,
)


@dataclass(frozen=True)
class Segment:
    """A stretch of the recording to recognise. All positions are in samples.

    ``start``, ``end``: its range, [start, end).
    ``speech``: how many of its samples are speech.
    ``spans``: the ranges of speech; empty: all of it is one span.
    """

    start: int
    end: int
    speech: int
    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, start: int, end: int) -> Segment:
        """Return a segment that is all speech."""
        return cls(start, end, end - start, ((start, end),))

    def joined(self, start: int, end: int) -> Segment:
        """Return this segment extended by another span of speech."""
        return Segment(self.start, end, self.speech + end - start, (*self.spans, (start, end)))

    @property
    def start_s(self) -> float:
        return self.start / SAMPLE_RATE

    @property
    def speech_s(self) -> float:
        return self.speech / SAMPLE_RATE


@cache
def network() -> onnxruntime.InferenceSession:
    """Return the session of Silero VAD. It may run in several threads at once.

    This network (``tools/training/voice_activity.py``) is four times as fast as faster-whisper's copy, and replaces
    that copy in this process.
    """
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(NETWORK), options, providers=["CPUExecutionProvider"])
    get_vad_model().session = session
    return session


def warm_up() -> None:
    """Decode and examine a second of noise.

    It starts a decoder process and loads the network, so that the first file finds them ready.
    """
    rate = SAMPLE_RATE // 2  # not ``SAMPLE_RATE``, which needs no decoding
    noise = np.random.default_rng(0).integers(-9_000, 9_000, rate, np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(noise.tobytes())
    list(spans(decode(file.getvalue(), max_duration_s=WINDOW_S)))


def spans(recording: Recording) -> Iterator[tuple[int, int]]:
    """Yield the stretches of speech in order, as sample ranges [start, end)."""
    network()
    position = 0
    length = len(recording.samples)
    while position < length:
        end = min(length, position + WINDOW_S * SAMPLE_RATE)
        if not recording.samples[position:end].any():  # a pause on the recording's clock, or a muted microphone
            position = end
            continue
        found = get_speech_timestamps(recording.float32(position, end), SPEECH)
        # Speech that runs into the window's end is examined again, whole, in the next window.
        reaches_end = bool(found) and end < length and found[-1]["end"] >= end - position - SAMPLE_RATE
        if reaches_end and found[-1]["start"] > 0:
            last = found.pop()
            following = position + last["start"]
        else:
            following = end
        for span in found:
            yield position + span["start"], position + span["end"]
        position = following


def segments(recording: Recording, longest_s: float, longest_pause_s: float) -> Iterator[Segment]:
    """Yield segments of at most ``longest_s`` (and ``MAX_SEGMENT_S``), joined from neighbouring spans of speech.

    Spans are never joined across a pause of ``longest_pause_s`` or more, because a model fills silence with words.
    """
    longest = int(min(longest_s, MAX_SEGMENT_S) * SAMPLE_RATE)
    current: Segment | None = None
    for start, end in spans(recording):
        for piece_start, piece_end in _pieces(recording, start, end, longest):
            fits = (
                current is not None
                and piece_end - current.start <= longest
                and piece_start - current.end < longest_pause_s * SAMPLE_RATE
            )
            if current is not None and fits:
                current = current.joined(piece_start, piece_end)
            else:
                if current is not None:
                    yield current
                current = Segment.of(piece_start, piece_end)
    if current is not None:
        yield current


def _pieces(recording: Recording, start: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    """Cut a span that is too long for a segment where it is quietest: between words, not within one."""
    while end - start > longest:
        cut = start + quietest(recording.float32(start, start + longest))
        yield start, cut
        start = cut
    yield start, end


def quietest(samples: Samples) -> int:
    """Return the quietest position in the second half of the samples."""
    earliest = len(samples) // 2
    power = np.cumsum(np.square(samples[earliest:], dtype=np.float64))
    loudness = power[_LULL:] - power[:-_LULL]
    return earliest + int(np.argmin(loudness)) + _LULL // 2
