from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from asr.endpointing import FRAME, FRAME_MS, Endpointer, FrameVad, Turn, TurnDetection
from tests import sound


def frames(audio: sound.Audio) -> sound.Audio:
    return audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)


def turns(probabilities: list[float], detection: TurnDetection) -> list[tuple[int, Turn]]:
    endpointer = Endpointer(detection)
    told = [(number, endpointer.feed(probability)) for number, probability in enumerate(probabilities)]
    return [(number, turn) for number, turn in told if turn]


@pytest.mark.parametrize("at_once", [1, 2, 7, 1000])
def test_streamed_probabilities_equal_those_of_the_whole_recording(at_once: int) -> None:
    audio = sound.joined([sound.silence(0.7), sound.said("selamat pagi semua"), sound.noise(1.0)])
    vad = FrameVad()
    cut = frames(audio)
    ours = np.concatenate([vad.probabilities(cut[start : start + at_once]) for start in range(0, len(cut), at_once)])
    theirs = get_vad_model()(cut.reshape(-1).copy())
    assert ours.max() > 0.9 > 0.1 > ours.min()
    # faster-whisper sets the end of the last frame to zero.
    np.testing.assert_allclose(ours[:-1], theirs[:-1], atol=1e-5)


def test_streams_do_not_mix() -> None:
    speech = frames(sound.said("apa khabar"))
    noise = frames(sound.noise(2))
    alone = FrameVad().probabilities(speech)
    first = FrameVad()
    second = FrameVad()
    mixed = []
    for index in range(len(speech)):
        mixed.append(first.probabilities(speech[index : index + 1]))
        second.probabilities(noise[index : index + 1])
    np.testing.assert_allclose(np.concatenate(mixed), alone, atol=1e-5)


def test_a_turn_starts_after_100_ms_of_speech_and_stops_after_the_silence() -> None:
    detection = TurnDetection(silence_duration_ms=320)
    told = turns([0.0] * 10 + [0.9] * 20 + [0.0] * 30, detection)
    assert told == [(13, Turn.STARTED), (29 + 10, Turn.STOPPED)]


def test_a_click_is_no_speech() -> None:
    assert turns([0.0] * 5 + [0.9] * 3 + [0.0] * 40, TurnDetection()) == []


def test_a_short_pause_does_not_end_a_turn() -> None:
    pause = int(400 / FRAME_MS)
    told = turns([0.9] * 10 + [0.0] * pause + [0.9] * 10 + [0.0] * 30, TurnDetection(silence_duration_ms=500))
    assert [turn for _, turn in told] == [Turn.STARTED, Turn.STOPPED]


def test_a_probability_below_the_threshold_continues_but_starts_no_turn() -> None:
    assert turns([0.4] * 50, TurnDetection(threshold=0.5)) == []
    told = turns([0.9] * 5 + [0.4] * 50, TurnDetection(threshold=0.5))
    assert [turn for _, turn in told] == [Turn.STARTED]


def test_a_probability_below_the_threshold_does_not_interrupt_silence() -> None:
    told = turns([0.9] * 5 + [0.1] + [0.4] * 30, TurnDetection(silence_duration_ms=320))
    assert told == [(3, Turn.STARTED), (14, Turn.STOPPED)]


def test_a_click_long_before_a_word_is_not_part_of_it() -> None:
    endpointer = Endpointer(TurnDetection())
    probabilities = [0.9] * 2 + [0.0] * 8 + [0.9] * 2 + [0.0] * 30
    assert [endpointer.feed(probability) for probability in probabilities] == [None] * len(probabilities)


def test_the_caller_sets_the_threshold() -> None:
    assert turns([0.6] * 20, TurnDetection(threshold=0.8)) == []
    assert turns([0.6] * 20, TurnDetection(threshold=0.3))
