"""Cut speech into the segments that the engine recognises, both in recordings and in live speech.

``Segmenter`` is used for both, so that the same audio is cut into the same segments and gets the same words. Its rules
are those of Silero VAD in faster-whisper (``asr.voice_activity``): speech starts and ends with hysteresis, each span of
speech is padded, and neighbouring spans are joined if the pause is short and the segment does not become too long.

Silence is added after the end of a recording, and after an utterance that the client ends, so that the last segment has
all of its padding. Of a live stream, only the audio that may still become part of a segment is kept in memory.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.audio import Recording, decode
from asr.endpointing import FRAME, HYSTERESIS, FrameVad
from asr.units import MAX_SEGMENT_S, SAMPLE_RATE, TURN_SILENCE_MS, Samples
from asr.voice_activity import SPEECH, Segment, quietest_in_second_half

_PER_MS = SAMPLE_RATE // 1000
#: Number of frames of silence to add after the audio: enough to end an open segment even if the network detects speech
#: a little longer.
FRAMES_AFTER = (TURN_SILENCE_MS + 150) * _PER_MS // FRAME
BLOCK_S = 32  # length of a recording to examine at a time; the engine starts before all of a long file is examined
_DIGITAL_SILENCE = (TURN_SILENCE_MS + 300) * _PER_MS  # number of zero samples that ends every open segment


@dataclass(frozen=True)
class Piece:
    """A segment with its audio.

    ``segment``: the segment's position, in samples since the start of the stream.
    ``audio``: float32 (n,) at 16 kHz.
    """

    segment: Segment
    audio: Samples

    def samples(self, start: int, end: int) -> Samples:
        """Return the samples [start, end), counted since the start of the stream."""
        return self.audio[start - self.segment.start : end - self.segment.start]


class Segmenter:
    """Cuts the frames of one stream into segments, and returns each segment as a ``Piece``.

    ``start``: start of the first frame, in samples since the start of the stream.
    ``threshold``: minimum probability with which a frame counts as speech; at most ``SPEECH.threshold`` is used.
    ``longest_s``: length of the longest segment in seconds; at most ``MAX_SEGMENT_S`` is used.
    ``longest_pause_s``: length in seconds from which a pause ends a segment.
    ``not_before``: first sample that may belong to a segment. The audio before it belongs to an earlier utterance.
    ``position``: end of the audio so far, in samples since the start of the stream.
    """

    def __init__(
        self, start: int, *, threshold: float, longest_s: float, longest_pause_s: float, not_before: int = 0
    ) -> None:
        self.position = start
        self._earliest = max(start, not_before)
        self._threshold = min(SPEECH.threshold, threshold)
        self._longest = int(min(longest_s, MAX_SEGMENT_S) * SAMPLE_RATE)
        self._longest_pause = longest_pause_s * SAMPLE_RATE
        self._padding = SPEECH.speech_pad_ms * _PER_MS
        self._kept: list[Samples] = []
        self._kept_from = start
        self._open_from: int | None = None  # start of the open span, including padding, or the latest cut in it
        self._voiced_from = 0
        self._silence_from: int | None = None
        self._ended: tuple[int, int] | None = None  # a span that has ended; its padding depends on the next span
        self._joined: Segment | None = None  # finished spans, which the next span may still join

    @property
    def is_open(self) -> bool:
        """Whether there is an open segment, that is, a segment that contains speech and is not complete yet."""
        return self._earliest_open() is not None

    @property
    def open_audio(self) -> Samples | None:
        """The audio of the open segment so far, float32 (n,); None if no segment is open."""
        start = self._earliest_open()
        return None if start is None else self._audio(start, self.position)

    @property
    def open_speech_s(self) -> float:
        """The seconds of speech in the open segment."""
        joined = self._joined.speech if self._joined else 0
        ended = self._ended[1] - self._ended[0] if self._ended else 0
        running = self.position - self._open_from if self._open_from is not None else 0
        return (joined + ended + running) / SAMPLE_RATE

    @property
    def last_piece(self) -> Piece | None:
        """The last piece, as ``flush`` would return it if no more speech followed.

        The value is None during speech, and while the end of the piece is not certain.
        """
        if self._open_from is not None:
            return None
        segment = self._joined
        if self._ended is not None:
            start = self._ended[0]
            end = min(self._ended[1] + self._padding, start + self._longest)
            if self.position < end:
                return None
            segment = segment.joined(start, end) if segment and self._fits(segment, start, end) else None
            segment = segment or Segment.of(start, end)
        return Piece(segment, self._audio(segment.start, segment.end)) if segment else None

    @property
    def seconds_kept(self) -> float:
        """The seconds of audio in memory."""
        return sum(map(len, self._kept)) / SAMPLE_RATE

    def feed(self, frame: Samples, probability: float) -> list[Piece]:
        """Process the next frame, and return the pieces that it completes.

        ``frame``: float32 (``FRAME``,).
        ``probability``: probability that the frame is speech.
        """
        at = self.position
        self._kept.append(frame)
        self.position += FRAME
        pieces: list[Piece] = []
        if probability >= self._threshold:
            self._silence_from = None
            if self._open_from is None:
                pieces += self._begin_span(at)
        if self._open_from is not None:
            if self._silence_from is None:
                pieces += self._cut_long()
            if probability < max(0.01, self._threshold - HYSTERESIS):
                self._silence_from = at if self._silence_from is None else self._silence_from
                if at - self._silence_from >= SPEECH.min_silence_duration_ms * _PER_MS:
                    self._end_span(self._silence_from)
        if self._ended and self.position - self._ended[1] >= 2 * self._padding:
            pieces += self._finish_span(self._ended[1] + self._padding)
        if self._joined and self._nothing_joins(self._joined):
            pieces += self._cut_joined()
        self._forget()
        return pieces

    def flush(self) -> list[Piece]:
        """Complete and return the remaining pieces. Call this when no more frames follow."""
        if self._open_from is not None:
            self._end_span(self.position if self._silence_from is None else self._silence_from)
        pieces = self._finish_span(min(self.position, self._ended[1] + self._padding)) if self._ended else []
        return pieces + self._cut_joined()

    def begin_afresh(self, position: int) -> list[Piece]:
        """Complete and return the remaining pieces, and continue at ``position``.

        ``position``: where sound begins after digital silence, in samples since the start of the stream.
        """
        pieces = self.flush()
        self._earliest = max(0, position - self._padding)
        self._kept = [np.zeros(position - self._earliest, np.float32)]
        self._kept_from = self._earliest
        self.position = position
        return pieces

    def _begin_span(self, at: int) -> list[Piece]:
        self._voiced_from = at
        if self._ended is None:
            self._open_from = max(self._earliest, at - self._padding)
            return []
        share = (at - self._ended[1]) // 2  # each span gets half of a pause that is too short for both paddings
        self._open_from = at - share
        return self._finish_span(self._ended[1] + share)

    def _end_span(self, end: int) -> None:
        assert self._open_from is not None
        if end - self._voiced_from > SPEECH.min_speech_duration_ms * _PER_MS:
            self._ended = self._open_from, end
        self._open_from = self._silence_from = None

    def _finish_span(self, padded_end: int) -> list[Piece]:
        """Add the span of speech that has ended to the joined spans, and return the pieces that this completes.

        The span is padded up to ``padded_end``. Padding beyond the longest segment is left out, because it would become
        a segment without speech.
        """
        assert self._ended is not None
        start, end = self._ended
        self._ended = None
        assert end - start <= self._longest  # ``_cut_long`` ensures this
        return self._add(start, min(padded_end, start + self._longest))

    def _cut_long(self) -> list[Piece]:
        """Cut the open span until it fits into the longest segment, and return the pieces that this completes."""
        pieces: list[Piece] = []
        while self._open_from is not None and self.position - self._open_from > self._longest:
            cut = self._open_from + quietest_in_second_half(
                self._audio(self._open_from, self._open_from + self._longest)
            )
            pieces += self._add(self._open_from, cut)
            self._open_from = cut
        return pieces

    def _add(self, start: int, end: int) -> list[Piece]:
        joined = self._joined
        if joined and self._fits(joined, start, end):
            self._joined = joined.joined(start, end)
            return []
        pieces = self._cut_joined()
        self._joined = Segment.of(start, end)
        return pieces

    def _fits(self, joined: Segment, start: int, end: int) -> bool:
        return end - joined.start <= self._longest and start - joined.end < self._longest_pause

    def _nothing_joins(self, joined: Segment) -> bool:
        """Return True if the next span cannot join this segment: the pause or the whole segment would be too long."""
        if self._longest_pause == 0:
            return True
        if self._ended is not None:
            return False
        next_start = self.position - self._padding if self._open_from is None else self._open_from
        if next_start - joined.end >= self._longest_pause:
            return True
        running = self._open_from is not None and self._silence_from is None
        return running and self.position - joined.start > self._longest

    def _cut_joined(self) -> list[Piece]:
        joined = self._joined
        self._joined = None
        return [Piece(joined, self._audio(joined.start, joined.end))] if joined else []

    def _audio(self, start: int, end: int) -> Samples:
        whole = np.concatenate(self._kept)
        return whole[start - self._kept_from : end - self._kept_from]

    def _earliest_open(self) -> int | None:
        if self._joined is not None:
            return self._joined.start
        return self._ended[0] if self._ended else self._open_from

    def _forget(self) -> None:
        """Drop the frames that can no longer become part of a segment."""
        needed = self.position - self._padding - FRAME
        earliest = self._earliest_open()
        if earliest is not None:
            needed = min(needed, earliest)
        while self._kept and self._kept_from + len(self._kept[0]) <= needed:
            self._kept_from += len(self._kept.pop(0))


class SoundStarts:
    """Finds the positions at which sound begins after digital silence.

    Digital silence is a long run of samples that are exactly zero, which an open microphone never produces. Voice
    activity detection starts again at these positions, with a frame that begins there. So a recording that is played
    into a stream, after digital silence, is cut in the same places as the recording alone.
    """

    def __init__(self) -> None:
        self._zeros = _DIGITAL_SILENCE  # zero samples at the end so far; a stream starts as if after digital silence

    def find(self, samples: Samples | npt.NDArray[np.int16]) -> list[int]:
        """Return the indices in ``samples`` at which sound begins after digital silence.

        ``samples``: shape (n,). They must directly follow the samples of the previous call.
        """
        sounding = np.flatnonzero(samples)
        if not len(sounding):
            self._zeros += len(samples)
            return []
        zeros = np.diff(sounding, prepend=-1 - self._zeros) - 1
        self._zeros = len(samples) - 1 - int(sounding[-1])
        return [int(place) for place in sounding[zeros >= _DIGITAL_SILENCE]]


def segments(recording: Recording, longest_s: float, longest_pause_s: float) -> Iterator[Segment]:
    """Yield the speech segments of a recording in order. The last segment may extend beyond the recording's end.

    ``longest_s``: length of the longest segment in seconds; at most ``MAX_SEGMENT_S`` is used.
    ``longest_pause_s``: length in seconds from which a pause ends a segment.
    """
    segmenter = Segmenter(0, threshold=SPEECH.threshold, longest_s=longest_s, longest_pause_s=longest_pause_s)
    vad = FrameVad()
    for start, frames, is_sound_start in _framed(recording):
        if is_sound_start:
            vad = FrameVad()
            yield from (piece.segment for piece in segmenter.begin_afresh(start))
        if frames.size >= _DIGITAL_SILENCE and not segmenter.is_open and not frames.any():
            segmenter.begin_afresh(start + frames.size)  # a pause on the recording's clock, or a muted microphone
            continue
        for frame, probability in zip(frames, vad.probabilities(frames).tolist(), strict=True):
            yield from (piece.segment for piece in segmenter.feed(frame, probability))
    yield from (piece.segment for piece in segmenter.flush())


def _framed(recording: Recording) -> Iterator[tuple[int, Samples, bool]]:
    """Divide a recording into blocks of frames, and yield each block as (position, frames, is_start).

    ``position``: position of the block's first sample.
    ``frames``: float32 (n, ``FRAME``).
    ``is_start``: whether sound begins at ``position`` after digital silence. If not, the block follows the previous
    one.
    """
    starts = SoundStarts()
    length = len(recording.samples)
    begin = 0  # start of the next block
    is_sound_start = False
    for first in range(0, length, BLOCK_S * SAMPLE_RATE):
        end = min(length, first + BLOCK_S * SAMPLE_RATE)
        places = [first + place for place in starts.find(recording.samples[first:end])]
        for until in [*places, end]:
            count = (until - begin) // FRAME
            if count:
                yield begin, recording.float32(begin, begin + count * FRAME).reshape(-1, FRAME), is_sound_start
                is_sound_start = False
            begin += count * FRAME
            if until in places:
                begin = until
                is_sound_start = True
    count = -(-(length - begin) // FRAME) + FRAMES_AFTER
    yield begin, recording.float32(begin, begin + count * FRAME).reshape(-1, FRAME), is_sound_start


def warm_up() -> None:
    """Start a decoder process and load the network for voice activity detection, so that the first request is not slow.

    To do so, decode and segment a second of noise.
    """
    rate = SAMPLE_RATE // 2  # a file with ``SAMPLE_RATE`` would be read without a decoder
    noise = np.random.default_rng(0).integers(-9_000, 9_000, rate, np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(noise.tobytes())
    list(segments(decode(file.getvalue(), max_duration_s=1), MAX_SEGMENT_S, 0))
