"""Units and results are unchanged after they have been packed into a frame and unpacked."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr import checkpoint
from asr.checkpoint import MAX_PAUSE_S
from asr.units import Hypothesis, Options, Phrase, SpeechUnit, Token, Word
from asr.wire import SpeechCodec
from inference.engine import EngineStats
from inference.errors import DeadlineExceeded, EngineUnavailable, OverCapacity, UnitFailed
from inference.wire import (
    PackedUnit,
    WireError,
    failure,
    failure_reply,
    frame,
    pack_samples,
    parse,
    result_reply,
    unpack_samples,
    unpack_unit,
)
from tts import units as tts_units
from tts import wire as tts_wire
from tts.voices import default_voice

STATS = EngineStats(True, 1, 2, 3, 4, 5, 6.0, 7.0)
PCM = np.array([0, 1, -32768, 32767], np.float32) / np.float32(32768)
ODD = np.array([0.1, -0.2, 1.5], np.float32)


def test_it_works() -> None:
    options = Options(
        "ms", "translate", "apa", ("nasi", "lemak"), (0.0, 0.4), timestamps=True, words=True, logprobs=True
    )
    options = replace(options, language_priors=(("ms", 3.0),), candidates=("ms", "en"))
    unit = SpeechUnit(audio=PCM, options=options, deadline=time.monotonic() + 50, live=True, admitted=True)
    got = unpack_unit(SpeechCodec(), PackedUnit(SpeechCodec(), unit).frame())
    assert np.array_equal(got.audio, unit.audio)
    assert (got.options, got.live, got.admitted) == (options, True, True)
    assert got.deadline is not None
    assert 45 < got.deadline - time.monotonic() <= 50


@pytest.mark.parametrize(("tiers", "here"), [(0.8, MAX_PAUSE_S), (0.05, 0.05)])
def test_a_tiers_model_has_pauses_no_longer_than_a_turn(tiers: float, here: float, monkeypatch) -> None:
    about = SpeechCodec().about()
    monkeypatch.setattr(checkpoint, "_adopted", None)
    SpeechCodec().learn({**about, "longest_pause_s": tiers})
    assert checkpoint.configured().longest_pause_s == here


def test_a_hypothesis_survives_packing() -> None:
    word = Word("nasi", 0.1, 0.4, 0.9)
    more = {"languages": (("ms", 0.7), ("en", 0.2)), "tokens": (Token(5, b"\xe8\xb0", -0.3),), "text_end": 0.9}
    hypothesis = Hypothesis(
        "nasi", "ms", 1.0, (Phrase("nasi", 0.0, 1.0, (1, 2)),), (word,), -0.1, 1.1, 0.0, 0.2, 12.0, **more
    )
    unit = SpeechUnit(audio=PCM, queued_ms=12.0)
    header, payload = parse(result_reply(SpeechCodec(), hypothesis, unit, "p", STATS).body)
    assert SpeechCodec().unpack_result(header["result"], payload) == hypothesis
    assert (header["queued_ms"], header["process"], EngineStats.of(header["stats"])) == (12.0, "p", STATS)


@pytest.mark.parametrize("audio", [PCM, ODD, np.zeros(0, np.float32)])
def test_speech_survives_packing(audio) -> None:
    codec = tts_wire.SpeechCodec("espeak-ng")
    unit = tts_units.SpeechUnit(text="Apa khabar? \ud800", voice=default_voice(), speed=1.5, language="ms")
    got = unpack_unit(codec, PackedUnit(codec, unit).frame())
    assert (got.text, got.voice, got.speed, got.language, got.deadline) == (unit.text, unit.voice, 1.5, "ms", None)
    assert got.voice.parameters == unit.voice.parameters
    header, payload = parse(result_reply(codec, tts_units.Speech(audio, 22050, 1.25), unit, "p", STATS).body)
    speech = codec.unpack_result(header["result"], payload)
    assert np.array_equal(speech.audio, audio)
    assert (speech.sample_rate, speech.tempo) == (22050, 1.25)


def test_audio_decoded_from_int16_is_packed_as_int16() -> None:
    assert pack_samples(PCM) == ("int16", (PCM * 32768).astype("<i2").tobytes())
    assert pack_samples(ODD)[0] == pack_samples(np.array([np.nan], np.float32))[0] == "float32"


@given(st.binary(max_size=200))
def test_a_missing_frame(data: bytes) -> None:
    for codec in (SpeechCodec(), tts_wire.SpeechCodec("espeak-ng")):
        with pytest.raises(WireError):
            unpack_unit(codec, data)


@pytest.mark.parametrize(
    "change",
    [
        {"left_s": "soon"},
        {"unit": {}},
        {"unit": None},
        {"unit": {"samples": "int24", "options": {}}},
        {"unit": {"samples": "int16", "options": {"keywords": [], "temperatures": [], "new": 1}}},
    ],
)
def test_a_unit_of_another_version(change: dict) -> None:
    header, payload = parse(PackedUnit(SpeechCodec(), SpeechUnit(audio=PCM)).frame())
    with pytest.raises(WireError):
        unpack_unit(SpeechCodec(), frame({**header, **change}, payload))


@pytest.mark.parametrize("samples", [0, 31 * 16_000])
def test_a_missing_segment(samples: int) -> None:
    unit = SpeechUnit(audio=np.zeros(samples, np.float32))
    with pytest.raises(WireError):
        unpack_unit(SpeechCodec(), PackedUnit(SpeechCodec(), unit).frame())


def test_invalid_samples() -> None:
    with pytest.raises(WireError):
        unpack_samples("int16", b"odd")


@pytest.mark.parametrize(
    "error", [OverCapacity(3.5), DeadlineExceeded(2.0), EngineUnavailable("closed"), UnitFailed("odd")]
)
def test_errors_arrive_as_the_same_errors(error) -> None:
    reply = failure_reply(error)
    got = failure(reply.status, reply.body)
    assert (type(got), str(got)) == (type(error), str(error))
    assert getattr(got, "retry_after_s", None) == getattr(error, "retry_after_s", None) == reply.retry_after_s


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", json.dumps({"error": "x"}).encode()])
def test_a_proxys_answer_is_not_taken_for_the_tiers(body: bytes) -> None:
    assert isinstance(failure(502, body), EngineUnavailable)
