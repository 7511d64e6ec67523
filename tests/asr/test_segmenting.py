"""Streamed audio is cut into the same segments as the same audio in a file."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from asr.audio import Recording
from asr.endpointing import FRAME, FrameVad
from asr.segmenting import Piece, Segmenter
from asr.voice_activity import Segment, segments
from tests import sound

SENTENCE = "selamat pagi semua apa khabar hari ini"
SHORT = sound.said("terima kasih")


def streamed(audio: sound.Audio, longest_s: float, longest_pause_s: float) -> list[Piece]:
    audio = audio[: len(audio) // FRAME * FRAME]
    segmenter = Segmenter(0, threshold=0.5, longest_s=longest_s, longest_pause_s=longest_pause_s)
    frames = audio.reshape(-1, FRAME)
    pieces = []
    for frame, probability in zip(frames, FrameVad().probabilities(frames), strict=True):
        pieces += segmenter.feed(frame, float(probability))
        assert segmenter.seconds_kept < longest_s + 1.5
    return pieces + segmenter.flush()


def of_file(audio: sound.Audio, longest_s: float, longest_pause_s: float) -> list[Segment]:
    return list(segments(Recording((audio * 32768).astype(np.int16)), longest_s, longest_pause_s))


@pytest.mark.parametrize(("longest_s", "longest_pause_s"), [(10, 0), (10, 0.8), (30, 0.8), (3, 0)])
@pytest.mark.parametrize(
    "audio",
    [
        sound.said(SENTENCE),
        sound.joined([sound.silence(1), SHORT, sound.silence(0.5), SHORT, sound.silence(2), SHORT]),
        sound.joined([sound.said(SENTENCE, rate=240)] * 6),
        sound.joined([sound.said(SENTENCE)[4_800:-4_800]] * 5),  # without pauses
        sound.noise(3),
        sound.silence(2),
    ],
    ids=["sentence", "pauses", "many", "unbroken", "noise", "silence"],
)
def test_it_cuts_like_a_recording(audio: sound.Audio, longest_s: float, longest_pause_s: float) -> None:
    audio = np.round(audio * 32_767) / np.float32(32_768)  # rounded to 16 bits as in a stream and in a file
    pieces = streamed(audio.astype(np.float32), longest_s, longest_pause_s)
    expected = of_file(audio, longest_s, longest_pause_s)
    assert len(pieces) == len(expected)
    for piece, segment in zip(pieces, expected, strict=True):
        assert abs(piece.segment.start - segment.start) <= 1
        assert abs(piece.segment.end - segment.end) <= FRAME  # faster-whisper pads the last frame differently


def test_the_audio_is_that_of_the_segment() -> None:
    audio = sound.joined([sound.silence(1), SHORT, sound.silence(1), SHORT])
    for piece in streamed(audio, 10, 0):
        np.testing.assert_array_equal(piece.audio, audio[piece.segment.start : piece.segment.end])


def test_segments_do_not_overlap() -> None:
    pieces = streamed(sound.joined([sound.said(SENTENCE, rate=220)] * 8), 4, 0)
    assert all(a.segment.end <= b.segment.start for a, b in itertools.pairwise(pieces))
