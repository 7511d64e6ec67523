"""The default voices are intelligible: Whisper base transcribes what Kokoro says. Both models are needed."""

from __future__ import annotations

from pathlib import Path

import jiwer
import numpy as np
import pytest
import soxr
from faster_whisper import WhisperModel

from spoken_text.error_rate import alike
from spoken_text.speakable import speakable
from tts import kokoro as model
from tts.kokoro_voices import kokoro_voices
from tts.phonemes import phonemes

SIMPLIFIED = "以下是普通话的句子。"  # a prompt without which Whisper may write traditional characters
TEXTS = {
    "ms": ["Terima kasih kerana menunggu, kami akan menghubungi anda semula esok.", "Tiket itu berharga RM12."],
    "en": ["The library opens at nine in the morning."],
    "zh": ["今天天气很好，我们去公园吧。"],
}


@pytest.fixture(scope="module")
def speaker(kokoro: Path) -> model.KokoroModel:
    return model.load(kokoro, threads=1)


@pytest.fixture(scope="module")
def listener(whisper_base: Path) -> WhisperModel:
    # With more threads, a busy machine takes longer: each step waits for the thread that comes last.
    return WhisperModel(str(whisper_base), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.mark.parametrize(
    ("voice", "language"), [("aisyah", "ms"), ("hafiz", "ms"), ("aisyah", "en"), ("xiaoxiao", "zh")]
)
def test_synthesised_speech_is_transcribed_correctly(
    speaker: model.KokoroModel, listener: WhisperModel, voice: str, language: str
) -> None:
    pack = model.pack_of(next(str(one.parameters["pack"]) for one in kokoro_voices(None) if one.id == voice))
    said = []
    heard = []
    for text in TEXTS[language]:
        audio = speaker.speak(phonemes(speakable(text, language, letters=True), language), pack)
        segments, _about = listener.transcribe(
            soxr.resample(audio, model.SAMPLE_RATE, 16_000).astype(np.float32),
            language=language,
            beam_size=5,
            initial_prompt=SIMPLIFIED if language == "zh" else None,
        )
        pair = alike(text, " ".join(segment.text for segment in segments), language)
        said.append(pair[0].replace(" ", ""))
        heard.append(pair[1].replace(" ", ""))
    assert jiwer.cer(said, heard) <= 0.15
