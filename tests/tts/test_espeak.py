from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from tts import espeak
from tts.espeak import SAMPLE_RATE, EspeakError, speak
from tts.espeak_engine import espeak_rate

SENTENCE = "Selamat pagi, apa khabar semua?"


def alike(one: npt.NDArray[np.int16], other: npt.NDArray[np.int16]) -> bool:
    """Return True if two recordings have about the same length, and about the same loudness at each moment.

    The samples themselves differ, because the timing of the library is partly random.
    """
    hop = SAMPLE_RATE // 100
    if abs(len(one) - len(other)) > 2 * hop:
        return False
    length = min(len(one), len(other)) // hop * hop
    envelopes = [np.sqrt(np.mean(x[:length].reshape(-1, hop).astype(float) ** 2, axis=1)) for x in (one, other)]
    return bool(np.corrcoef(*envelopes)[0, 1] > 0.85)


def test_it_speaks() -> None:
    samples = speak(SENTENCE)
    assert samples.dtype == np.int16
    assert 1.5 < len(samples) / SAMPLE_RATE < 4
    assert np.abs(samples).max() > 5000


def test_another_voice_in_between_does_not_change_the_sound() -> None:
    before = speak(SENTENCE, "ms")
    speak("How are you?", "en-us", rate=300, pitch=90)
    assert alike(speak(SENTENCE, "ms"), before)


def test_threads_do_not_mix_their_words() -> None:
    texts = [f"Ayat nombor {number} daripada semua ayat." for number in ("satu", "dua", "tiga", "empat", "lima")] * 4
    alone = {text: speak(text) for text in texts}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(speak, texts))
    assert not alike(alone[texts[0]], alone[texts[1]])
    assert all(alike(samples, alone[text]) for text, samples in zip(texts, together, strict=True))


def test_an_unknown_voice_is_named_in_the_error() -> None:
    with pytest.raises(EspeakError, match="'xx-nonesuch'"):
        speak(SENTENCE, "xx-nonesuch")


@pytest.mark.parametrize("text", ["", " ", "\0", "\n\n"])
def test_empty_text_is_no_error(text: str) -> None:
    assert np.abs(speak(text)).max(initial=0) < 500


def test_control_characters_are_not_commands_to_the_library() -> None:
    assert alike(speak("Apa \x0199P khabar"), speak("Apa  99P khabar"))


@pytest.mark.parametrize("speed", [0.25, 0.46, 0.7, 1.0, 1.3, 2.0, 2.55, 4.0])
def test_rate_and_tempo_make_the_speed_together(speed: float) -> None:
    rate, tempo = espeak_rate(speed)
    normal = len(speak(SENTENCE * 3))
    spoken = len(speak(SENTENCE * 3, rate=rate))
    assert normal / spoken * tempo == pytest.approx(speed, rel=0.1)
    assert 80 <= rate <= 450


def test_simultaneous_first_calls_start_the_library_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class SlowToStart(espeak._Library):
        def __init__(self) -> None:
            started.append(self)
            time.sleep(0.1)  # the other threads call meanwhile
            super().__init__()

    monkeypatch.setattr(espeak, "_Library", SlowToStart)
    espeak._started_library.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        spoken = list(pool.map(lambda _: speak(SENTENCE), range(4)))
    assert len(started) == 1
    assert all(alike(one, spoken[0]) for one in spoken)
