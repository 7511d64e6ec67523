"""A stream is cut into the same segments as a file with the same audio, and a file as faster-whisper cuts it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from faster_whisper.vad import get_speech_timestamps

from asr.audio import Recording
from asr.endpointing import FRAME, Endpointer, FrameVad, Turn, TurnDetection
from asr.segmenting import BLOCK_S, FRAMES_AFTER, Piece, Segmenter, SoundStarts, segments
from asr.units import SAMPLE_RATE
from asr.voice_activity import SPEECH, Segment, network
from tests import sound

SENTENCE = "selamat pagi semua apa khabar hari ini"
SHORT = sound.said("terima kasih")


def noisy(audio: sound.Audio) -> sound.Audio:
    """Add faint noise, as from an open microphone, and quantise to 16 bits."""
    noise = np.random.default_rng(0).normal(0, 2e-4, len(audio))
    return (np.rint((audio + noise) * 32_767) / 32_768).astype(np.float32)


def streamed(audio: sound.Audio, longest_s: float, longest_pause_s: float) -> list[Piece]:
    segmenter = Segmenter(0, threshold=0.5, longest_s=longest_s, longest_pause_s=longest_pause_s)
    frames = np.append(audio, np.zeros(-len(audio) % FRAME + FRAMES_AFTER * FRAME, np.float32)).reshape(-1, FRAME)
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
def test_a_stream_is_segmented_like_a_recording(audio: sound.Audio, longest_s: float, longest_pause_s: float) -> None:
    audio = noisy(audio)
    pieces = streamed(audio, longest_s, longest_pause_s)
    expected = of_file(audio, longest_s, longest_pause_s)
    assert [piece.segment for piece in pieces] == expected


@pytest.mark.parametrize("pause_s", [0.1, 0.3, 0.5, 1.5])
def test_spans_equal_those_of_faster_whisper(pause_s: float) -> None:
    network()
    audio = sound.joined([sound.silence(1), SHORT[3_000:-5_000], sound.silence(pause_s), SHORT, sound.silence(1)])
    audio = noisy(audio)
    theirs = get_speech_timestamps(audio, SPEECH)
    found = of_file(audio, 30, 0)
    assert [(span["start"], span["end"]) for span in theirs] == [(segment.start, segment.end) for segment in found]


def test_speech_that_ends_abruptly_is_followed_by_silence() -> None:
    speech = sound.said(SENTENCE)
    loud = np.flatnonzero(np.abs(speech) > 0.1)
    cut = speech[: loud[-1]]  # in the middle of its last sound
    [alone] = of_file(cut, 30, 0.1)
    [followed] = of_file(sound.joined([cut, sound.silence(3)]), 30, 0.1)
    assert alone == followed
    assert alone.end > len(cut)
    samples = Recording((cut * 32768).astype(np.int16)).float32(alone.start, alone.end)
    assert len(samples) == alone.end - alone.start
    assert not samples[len(cut) - alone.start :].any()


@pytest.mark.parametrize("length_s", [9.775, 9.8, 9.825, 9.85, 9.875])
def test_padding_alone_is_no_segment(length_s: float) -> None:
    """Speech that exceeds the maximum segment length only because of its padding is still one segment."""
    speech = sound.said("selamat pagi semua apa khabar hari ini saya mahu pergi ke pasar", rate=150)
    loud = np.flatnonzero(np.abs(speech) > 0.05)
    unbroken = np.tile(speech[loud[0] : loud[-1]], 8)[: int(length_s * SAMPLE_RATE)]
    assert of_file(unbroken, 10, 0) == [Segment.of(0, 10 * SAMPLE_RATE)]
    segmenter = Segmenter(0, threshold=0.5, longest_s=10, longest_pause_s=0.1)
    frames = np.append(unbroken, np.zeros(-len(unbroken) % FRAME + FRAMES_AFTER * FRAME, np.float32)).reshape(-1, FRAME)
    expected_last = []
    pieces = []
    for frame, probability in zip(frames, FrameVad().probabilities(frames).tolist(), strict=True):
        pieces += segmenter.feed(frame, probability)
        if segmenter.last_piece:
            expected_last.append(segmenter.last_piece.segment)
    [piece] = pieces + segmenter.flush()
    assert len(piece.audio) == 10 * SAMPLE_RATE
    assert set(expected_last) == {piece.segment}  # so it can be recognised during the pause


@pytest.mark.parametrize("pause_ms", range(0, 1_000, 50))
def test_a_recording_is_cut_where_a_turn_ends(pause_ms: int) -> None:
    """With any pause below a second, a recording has as many segments as the default turn detection finds turns."""
    loud = np.flatnonzero(np.abs(SHORT) > 0.05)
    word = SHORT[loud[0] : loud[-1]]
    audio = noisy(sound.joined([word, sound.silence(pause_ms / 1000), word, sound.silence(1)]))
    endpointer = Endpointer(TurnDetection())
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    told = [endpointer.feed(probability) for probability in FrameVad().probabilities(frames).tolist()]
    assert told.count(Turn.STOPPED) == len(of_file(audio, 30, 0.1))


@pytest.mark.parametrize("beyond_a_frame", [0, 389])
@pytest.mark.parametrize("before_s", [0.096, 0.992, 1.6, BLOCK_S - 0.512, BLOCK_S + 0.704, 40.0])
def test_digital_silence_before_a_recording_changes_nothing(before_s: float, beyond_a_frame: int) -> None:
    audio = noisy(sound.joined([SHORT, sound.silence(0.7), SHORT]))
    before = np.zeros(round(before_s * SAMPLE_RATE) // FRAME * FRAME + beyond_a_frame, np.float32)
    found = of_file(sound.joined([before, audio]), 30, 0.1)
    expected = of_file(audio, 30, 0.1)
    assert len(expected) == 2
    assert [(segment.start - len(before), segment.end - len(before)) for segment in found] == [
        (segment.start, segment.end) for segment in expected
    ]


def test_a_sound_start_needs_preceding_digital_silence() -> None:
    sounding = np.full(10, 0.1, np.float32)
    long = np.zeros(SAMPLE_RATE, np.float32)
    short = np.zeros(SAMPLE_RATE // 2, np.float32)
    starts = SoundStarts()
    assert starts.find(np.concatenate([long, sounding, short, sounding])) == [len(long)]
    assert starts.find(np.concatenate([sounding, long, sounding])) == [len(sounding) + len(long)]
    assert [starts.find(part) for part in (short, short, sounding, short)] == [[], [], [0], []]


@pytest.mark.parametrize("beyond_a_frame", [0, 150])
@pytest.mark.parametrize("pause_s", [1.6, 40, 4 * BLOCK_S])
def test_a_long_pause_is_skipped_and_times_stay_correct(pause_s: float, beyond_a_frame: int) -> None:
    word = noisy(SHORT)
    began = (len(word) + round(pause_s * SAMPLE_RATE)) // FRAME * FRAME + beyond_a_frame
    far = np.concatenate([word, np.zeros(began - len(word), np.float32), word])
    first, second = of_file(far, 30, 0.1)
    assert (second.start, second.end) == (began + first.start, began + first.end)


def test_the_segments_audio_is_returned() -> None:
    audio = sound.joined([sound.silence(1), SHORT, sound.silence(1), SHORT])
    for piece in streamed(audio, 10, 0):
        np.testing.assert_array_equal(piece.audio, audio[piece.segment.start : piece.segment.end])


def test_segments_do_not_overlap() -> None:
    pieces = streamed(sound.joined([sound.said(SENTENCE, rate=220)] * 8), 4, 0)
    assert all(a.segment.end <= b.segment.start for a, b in itertools.pairwise(pieces))
