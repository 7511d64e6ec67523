from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from asr.audio import Recording
from asr.segmenting import BLOCK_S, segments
from asr.units import SAMPLE_RATE
from asr.voice_activity import Segment
from tests import sound

PAUSE_S = 0.8
SENTENCE = "selamat pagi semua apa khabar hari ini"


def recording(audio: sound.Audio) -> Recording:
    return Recording((np.clip(audio, -1, 1) * 32767).astype(np.int16))


def found(audio: sound.Audio, longest_s: float = 30, longest_pause_s: float = PAUSE_S) -> list[Segment]:
    return list(segments(recording(audio), longest_s, longest_pause_s))


def test_it_works() -> None:
    speech = sound.said(SENTENCE)
    audio = sound.joined([sound.silence(2), speech, sound.silence(3)])
    [segment] = found(audio)
    assert segment.start_s == pytest.approx(2.3, abs=0.4)
    assert segment.end / SAMPLE_RATE == pytest.approx(2 + len(speech) / SAMPLE_RATE - 0.3, abs=0.5)


@pytest.mark.parametrize(
    "audio",
    [sound.silence(5), sound.noise(5), sound.noise(5, 0.3), sound.tone(5), sound.hold_music(20)],
    ids=["silence", "noise", "loud-noise", "tone", "hold-music"],
)
def test_only_speech_reaches_the_engine(audio: sound.Audio) -> None:
    assert found(audio) == []


def test_segments_contain_short_pauses_but_no_long_ones() -> None:
    one = sound.said(SENTENCE)  # has 0.3 s of silence at both ends
    near = sound.joined([one, one])
    far = sound.joined([one, sound.silence(PAUSE_S + 1), one])
    assert len(found(near)) == 1
    assert len(found(near, longest_pause_s=0)) == 2
    assert len(found(far)) == 2


def test_segments_have_the_requested_maximum_length() -> None:
    audio = sound.joined([sound.said(SENTENCE)] * 12)
    cut = found(audio, longest_s=10)
    assert len(cut) > 2
    assert max(segment.end - segment.start for segment in cut) <= 10 * SAMPLE_RATE
    assert all(a.end <= b.start for a, b in itertools.pairwise(cut))


def test_speech_across_a_block_boundary_is_found() -> None:
    speech = sound.said(SENTENCE)
    lead = BLOCK_S - len(speech) / SAMPLE_RATE / 2  # the sentence crosses the end of the first block
    audio = sound.joined([sound.silence(lead), speech, sound.silence(20), speech])
    first, second = found(audio)
    assert first.start_s == pytest.approx(lead + 0.3, abs=0.4)
    assert (first.end - first.start) / SAMPLE_RATE == pytest.approx(len(speech) / SAMPLE_RATE - 0.4, abs=0.5)
    assert second.start_s > BLOCK_S


@pytest.mark.parametrize("frames", [1, 2, 250])
def test_the_network_equals_the_one_of_faster_whisper(frames: int) -> None:
    import faster_whisper.vad
    import onnxruntime

    from asr.voice_activity import network

    [path] = (Path(faster_whisper.vad.__file__).parent / "assets").glob("silero_vad_v6.onnx")
    theirs = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    audio = np.resize(sound.said(SENTENCE), frames * 576).reshape(frames, 576)
    state = np.random.default_rng(1).normal(0, 0.1, (1, 1, 128)).astype(np.float32)
    inputs = {"input": audio, "h": state, "c": state}
    for ours, expected in zip(network().run(None, inputs), theirs.run(None, inputs), strict=True):
        assert ours.shape == expected.shape
        assert np.allclose(ours, expected, atol=1e-3)
