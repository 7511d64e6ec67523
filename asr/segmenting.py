"""Cut an utterance into segments for the engine while it is spoken, by the rules for recordings.

The rules are those of ``asr.voice_activity``: Silero's hysteresis and padding; neighbouring spans are joined up to a
length, and across a pause that does not harm recognition. So streamed audio reaches the engine in the same pieces as a
file, and gives the same words. Audio that has been cut is dropped; memory holds only the open segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr.endpointing import FRAME, HYSTERESIS
from asr.units import MAX_SEGMENT_S, SAMPLE_RATE, Samples
from asr.voice_activity import SPEECH, Segment, quietest

_PER_MS = SAMPLE_RATE // 1000


@dataclass(frozen=True)
class Piece:
    """A segment, in samples on the stream's clock, with its audio: float32 (n,)."""

    segment: Segment
    audio: Samples

    def samples(self, start: int, end: int) -> Samples:
        """Return the samples from ``start`` to ``end`` on the stream's clock."""
        return self.audio[start - self.segment.start : end - self.segment.start]


class Segmenter:
    """Cuts frames into pieces.

    ``start``: where the first frame begins, in samples on the stream's clock.
    ``threshold``: probability from which a frame is speech, but at most that of ``SPEECH``.
    ``longest_s``, ``longest_pause_s``: the model's limits for a segment and for a pause within one.
    """

    def __init__(self, start: int, *, threshold: float, longest_s: float, longest_pause_s: float) -> None:
        self.position = self._start = start
        self._threshold = min(SPEECH.threshold, threshold)
        self._longest = int(min(longest_s, MAX_SEGMENT_S) * SAMPLE_RATE)
        self._longest_pause = longest_pause_s * SAMPLE_RATE
        self._padding = SPEECH.speech_pad_ms * _PER_MS
        self._kept: list[Samples] = []
        self._kept_from = start
        self._open_from: int | None = None  # start of the open span, including its padding; each cut moves it
        self._voiced_from = 0
        self._silence_from: int | None = None
        self._ended: tuple[int, int] | None = None  # a span whose padding depends on when the next one begins
        self._joined: Segment | None = None  # finished spans that the next may still join

    @property
    def open_audio(self) -> Samples | None:
        """The audio of the open segment so far; None while it has no speech."""
        start = self._earliest_open()
        return None if start is None else self._audio(start, self.position)

    @property
    def open_speech_s(self) -> float:
        """Seconds of speech in the open segment."""
        joined = self._joined.speech if self._joined else 0
        ended = self._ended[1] - self._ended[0] if self._ended else 0
        running = self.position - self._open_from if self._open_from is not None else 0
        return (joined + ended + running) / SAMPLE_RATE

    @property
    def last_piece(self) -> Piece | None:
        """The piece that ``flush`` will return last if nobody speaks any more.

        None while somebody speaks, or if that piece is not certain yet.
        """
        if self._open_from is not None:
            return None
        segment = self._joined
        if self._ended is not None:
            start = self._ended[0]
            end = self._ended[1] + self._padding
            if self.position < end or end - start > self._longest:
                return None
            segment = segment.joined(start, end) if segment and self._fits(segment, start, end) else None
            segment = segment or Segment.of(start, end)
        return Piece(segment, self._audio(segment.start, segment.end)) if segment else None

    @property
    def seconds_kept(self) -> float:
        return sum(map(len, self._kept)) / SAMPLE_RATE

    def feed(self, frame: Samples, probability: float) -> list[Piece]:
        """Take the next frame and return the pieces that it completes."""
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

    def flush(self, until: int | None = None) -> list[Piece]:
        """End the utterance and return its remaining pieces. ``until``: where the audio ends, in the last frame."""
        last = self.position if until is None else min(until, self.position)
        if self._open_from is not None:
            self._end_span(last if self._silence_from is None else min(last, self._silence_from))
        pieces = self._finish_span(min(last, self._ended[1] + self._padding)) if self._ended else []
        return pieces + self._cut_joined()

    def _begin_span(self, at: int) -> list[Piece]:
        self._voiced_from = at
        if self._ended is None:
            self._open_from = max(self._start, at - self._padding)
            return []
        share = (at - self._ended[1]) // 2  # neighbours share a pause that is too short for the padding of both
        self._open_from = at - share
        return self._finish_span(self._ended[1] + share)

    def _end_span(self, end: int) -> None:
        assert self._open_from is not None
        if end - self._voiced_from > SPEECH.min_speech_duration_ms * _PER_MS:
            self._ended = self._open_from, end
        self._open_from = self._silence_from = None

    def _finish_span(self, padded_end: int) -> list[Piece]:
        assert self._ended is not None
        (start, _end), self._ended = self._ended, None
        pieces: list[Piece] = []
        while padded_end - start > self._longest:
            cut = start + quietest(self._audio(start, start + self._longest))
            pieces += self._add(start, cut)
            start = cut
        return pieces + self._add(start, padded_end)

    def _cut_long(self) -> list[Piece]:
        """Cut the open span as soon as it is certain to be too long."""
        pieces: list[Piece] = []
        while self._open_from is not None and self.position - self._open_from > self._longest:
            cut = self._open_from + quietest(self._audio(self._open_from, self._open_from + self._longest))
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
        """Return True if the next span is sure to be too far away, or too long, to join this segment."""
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
        """Drop the frames that no segment can need any more."""
        needed = self.position - self._padding - FRAME
        earliest = self._earliest_open()
        if earliest is not None:
            needed = min(needed, earliest)
        while self._kept and self._kept_from + len(self._kept[0]) <= needed:
            self._kept_from += len(self._kept.pop(0))
