"""Generate audio for tests: speech, silence, noise and music, as samples or as files in several formats."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soxr

from tts.espeak import SAMPLE_RATE as ESPEAK_RATE
from tts.espeak import speak

ROOT = Path(__file__).parents[1]
RATE = 16_000
Audio = npt.NDArray[np.float32]

#: Formats by their names in tests. Values are FFmpeg's: container, codec, sample rate, sample format.
CONTAINERS = {
    "wav": ("wav", "pcm_s16le", 44_100, "s16"),
    "mp3": ("mp3", "libmp3lame", 44_100, "s16p"),
    "m4a": ("ipod", "aac", 44_100, "fltp"),
    "ogg": ("ogg", "libopus", 48_000, "flt"),
    "webm": ("webm", "libopus", 48_000, "flt"),
    "flac": ("flac", "flac", 22_050, "s16"),
    "amr": ("amr", "libopencore_amrnb", 8_000, "s16"),
}


def said(text: str, voice: str = "ms", rate: int = 175) -> Audio:
    """Return speech with 0.3 s of silence before and after it, as float32 mono at 16 kHz.

    ``voice``: the name of an eSpeak NG voice.
    ``rate``: words per minute.
    """
    samples = speak(text, voice, rate=rate).astype(np.float32) / 32768
    return np.concatenate([silence(0.3), soxr.resample(samples, ESPEAK_RATE, RATE), silence(0.3)])


def said_first(lines: Sequence[tuple[str, str]], rate: int) -> list[Audio]:
    """Return speech of a new process, which is the same in each run.

    What eSpeak NG says depends a little on what the process has said before. That matters to tests in which two words
    are almost equally likely.

    ``lines``: pairs of the name of an eSpeak NG voice and a text.
    """
    code = "import pickle, sys; from tests.sound import said; lines, rate = pickle.load(sys.stdin.buffer); "
    code += "pickle.dump([said(text, voice, rate) for voice, text in lines], sys.stdout.buffer)"
    given = pickle.dumps((list(lines), rate))
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, check=True, cwd=ROOT)
    spoken: list[Audio] = pickle.loads(done.stdout)
    return spoken


def silence(seconds: float) -> Audio:
    return np.zeros(int(seconds * RATE), np.float32)


def noise(seconds: float, level: float = 0.05) -> Audio:
    """Return white noise with a standard deviation of ``level``."""
    generator = np.random.default_rng(7)
    return (level * generator.standard_normal(int(seconds * RATE))).astype(np.float32)


def tone(seconds: float, hertz: float = 440.0) -> Audio:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def hold_music(seconds: float) -> Audio:
    """Return a plucked tune over a chord, like the hold music of a telephone queue."""
    notes = [392, 440, 494, 523, 587, 523, 494, 440]
    time = np.arange(int(0.4 * RATE)) / RATE
    bars = []
    for index in range(int(seconds / 0.4) + 1):
        tune = np.sin(2 * np.pi * notes[index % 8] * time) + 0.4 * np.sin(4 * np.pi * notes[index % 8] * time)
        chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (196, 247, 294))
        bars.append(0.2 * tune * np.exp(-3 * time) + 0.06 * chord)
    return np.concatenate(bars)[: int(seconds * RATE)].astype(np.float32)


def joined(parts: Iterable[Audio]) -> Audio:
    return np.concatenate(list(parts))


def wav(audio: Audio, rate: int = RATE) -> bytes:
    """Return the audio as a mono WAV file with 16 bits per sample."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def encoded(audio: Audio, name: str, *, channels: int = 1, bit_rate: int = 96_000) -> bytes:
    """Return the audio as a file of the type ``name``, a key of ``CONTAINERS``.

    ``channels``: the number of channels, which are all equal.
    ``bit_rate``: bits per second, for lossy codecs.
    """
    container_name, codec, rate, sample_format = CONTAINERS[name]
    resampled = soxr.resample(audio, RATE, rate)
    data = (np.clip(resampled, -1, 1) * 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.repeat(data, channels).reshape(1, -1), "s16", _layout(channels))
    frame.sample_rate = rate
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_name) as container:
        stream = container.add_stream(codec, rate=rate, layout=_layout(channels))
        if codec not in ("pcm_s16le", "flac"):
            stream.bit_rate = 12_200 if codec == "libopencore_amrnb" else bit_rate
        resampler = av.AudioResampler(sample_format, _layout(channels), rate, frame_size=stream.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _layout(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"
