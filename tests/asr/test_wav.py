"""WAV headers: the sizes in streamed files are placeholders, and truncated files announce more than they contain."""

from __future__ import annotations

import numpy as np
import pytest

from asr.audio import decode
from core.errors import ApiError
from tests import sound
from tests.asr.audiofiles import riff, w64

SAMPLES = (10_000 * np.sin(np.arange(32_000) / 5)).astype("<i2").tobytes()
PLACEHOLDERS = [0, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFDB, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFEFDB, 0x80000000, 0x80000024]
PLACEHOLDERS += [2_000_000_000, 2_147_483_583, 1_999_999_999, 0x40000000, 0xF0000001, 0x10000000]


@pytest.mark.parametrize("announced", PLACEHOLDERS)
@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_it_works(announced: int, rate: int) -> None:
    recording = decode(riff(SAMPLES, announced=announced, rate=rate), max_duration_s=60)
    assert recording.duration_s == pytest.approx(32_000 / rate, abs=0.01)


@pytest.mark.parametrize("announced", [0, 2**64 - 1, 2**63 - 1, 2**40, 0xFFFFFFFF, 0x7FFFF000])
@pytest.mark.parametrize("kind", [b"RF64", b"BW64", b"W64"])
def test_headers_of_large_files_from_a_pipe(kind: bytes, announced: int) -> None:
    data = w64(SAMPLES, announced=announced) if kind == b"W64" else riff(SAMPLES, announced=announced, kind=kind)
    assert decode(data, max_duration_s=60).duration_s == 2


@pytest.mark.parametrize("kind", [b"RF64", b"BW64", b"W64", b"RIFF"])
def test_correct_headers_of_large_files(kind: bytes) -> None:
    trailer = b"LIST\x04\0\0\0abcd"
    size = len(SAMPLES)
    data = w64(SAMPLES, announced=size + 24) if kind == b"W64" else riff(SAMPLES, announced=size, kind=kind) + trailer
    assert decode(data, max_duration_s=60).duration_s == 2


@pytest.mark.parametrize("more", [1, 2, 100, 64_000, 20_000_000, 200_000_000])
@pytest.mark.parametrize("kind", [b"RIFF", b"RF64", b"W64"])
def test_a_header_with_a_slightly_larger_size_than_the_data(kind: bytes, more: int) -> None:
    announced = len(SAMPLES) + more
    data = w64(SAMPLES, announced=announced + 24) if kind == b"W64" else riff(SAMPLES, announced=announced, kind=kind)
    with pytest.raises(ApiError) as refusal:
        decode(data, max_duration_s=60)
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_audio")


def test_an_empty_data_chunk_followed_by_another_is_not_taken_for_a_pipe() -> None:
    with pytest.raises(ApiError) as refusal:
        decode(riff(b"LIST\x04\0\0\0abcd", announced=0), max_duration_s=60)
    assert refusal.value.code == "invalid_audio"


def test_a_pipe_that_ends_within_a_sample() -> None:
    assert decode(riff(SAMPLES[:-1], announced=0xFFFFFFFF), max_duration_s=60).duration_s == pytest.approx(2, abs=0.001)
    assert len(sound.wav(sound.tone(1))) == 32_044
