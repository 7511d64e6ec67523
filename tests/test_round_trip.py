"""A paragraph is spoken, and the audio is transcribed, in every audio format of the service."""

from __future__ import annotations

import io

import av
import httpx
import jiwer
import numpy as np
import pytest

from spoken_text.error_rate import normalise
from tests import sound

PARAGRAPH = (
    "Selamat datang ke pusat khidmat pelanggan kami. Sila bawa kad pengenalan anda ke kaunter hadapan. "
    "Pejabat dibuka dari pagi hingga petang setiap hari bekerja. Bayaran boleh dibuat secara tunai atau dalam talian. "
    "Terima kasih kerana menggunakan perkhidmatan kami."
)


@pytest.mark.parametrize("response_format", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_it_works(api: httpx.AsyncClient, response_format: str) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": PARAGRAPH, "response_format": response_format}
    speech = await api.post("/v1/audio/speech", json=body)
    assert speech.status_code == 200
    data = speech.content
    if response_format == "pcm":  # samples without a container, so the client must know the rate
        data = sound.wav(np.frombuffer(data, "<i2").astype(np.float32) / 32768, 24_000)
    else:
        with av.open(io.BytesIO(data)) as container:
            assert container.streams.audio[0].rate in (24_000, 48_000)
    answer = await api.post("/v1/audio/transcriptions", files={"file": (f"speech.{response_format}", data)})
    assert jiwer.wer(normalise(PARAGRAPH), normalise(answer.json()["text"])) <= 0.10
