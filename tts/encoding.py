"""Encode speech as MP3, Opus, AAC, FLAC, WAV or raw PCM, piece by piece or all at once.

An encoder belongs to one response and is used by one thread at a time. Encoding runs in the thread pool
(``inference.pool``), except for PCM in live speech, where it runs on the event loop.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Protocol, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container import OutputContainer

from tts import mp3

SAMPLE_RATE = 24_000  # Hz, as in OpenAI's ``pcm`` format; every codec here supports it

Samples = npt.NDArray[np.int16]

_BYTES_PER_SAMPLE = 2
_UNKNOWN_SIZE = 0xFFFFFFFF  # the largest size in RIFF, which makes players read until the stream ends
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")

# In FLAC's STREAMINFO block, the number of samples is in the lower 36 bits of the eight bytes that begin with the
# sample rate (RFC 9639, section 8.2).
_FLAC_TOTAL = struct.Struct(">Q")
_FLAC_TOTAL_OFFSET = 18
_FLAC_TOTAL_MASK = (1 << 36) - 1


class AudioFormat(StrEnum):
    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    WAV = "wav"
    PCM = "pcm"

    @property
    def content_type(self) -> str:
        return _CONTENT_TYPES[self]


_CONTENT_TYPES = {
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.OPUS: "audio/ogg",
    AudioFormat.AAC: "audio/aac",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.WAV: "audio/wav",
    AudioFormat.PCM: "audio/pcm",
}


@dataclass(frozen=True)
class _Codec:
    container: str
    encoder: str
    bit_rate: int | None = None  # None: lossless
    options: Mapping[str, str] = field(default_factory=dict)  # FFmpeg's options for the encoder
    container_options: Mapping[str, str] = field(default_factory=dict)


# Encoding takes a large part of the CPU time for a reply. These settings are two to five times as fast as FFmpeg's
# defaults, and the spectral distance from the original is the same.
_CODECS = {
    AudioFormat.OPUS: _Codec(
        "ogg",
        "libopus",
        40_000,
        {"compression_level": "5", "frame_duration": "40"},
        {"page_duration": "200000"},  # µs; with the default of 1 s, listeners wait for a full page
    ),
    AudioFormat.AAC: _Codec("adts", "aac", 64_000, {"aac_coder": "fast"}),
    AudioFormat.FLAC: _Codec("flac", "flac"),
}


class Encoder(Protocol):
    """Encodes int16 mono samples at ``SAMPLE_RATE``, piece by piece."""

    def feed(self, samples: Samples) -> bytes:
        """Encode samples, shape (n,). Return the bytes that are ready to be sent, which may be none."""

    def finish(self) -> bytes:
        """End the file. Return its remaining bytes."""


def stream_encoder(audio_format: AudioFormat) -> Encoder:
    """Return an encoder for streaming. Its headers do not state the length, so bytes can be sent at once."""
    if audio_format is AudioFormat.PCM:
        return _Pcm()
    if audio_format is AudioFormat.WAV:
        return _StreamedWav()
    if audio_format is AudioFormat.MP3:
        return mp3.Lame(SAMPLE_RATE)
    return _Ffmpeg(audio_format, _Pipe())


def encode(samples: Samples, audio_format: AudioFormat) -> bytes:
    """Encode complete audio as one file with exact headers (length in WAV, frame count in MP3, MD5 in FLAC).

    ``samples``: int16 mono at ``SAMPLE_RATE``, shape (n,).
    """
    if audio_format is AudioFormat.PCM:
        return _little_endian(samples)
    if audio_format is AudioFormat.WAV:
        return wav_header(len(samples)) + _little_endian(samples)
    if audio_format is AudioFormat.MP3:
        return mp3.whole(samples, SAMPLE_RATE)
    target = io.BytesIO()
    encoder = _Ffmpeg(audio_format, target)
    encoder.feed(samples)
    encoder.finish()
    return target.getvalue()


def wav_header(samples: int | None) -> bytes:
    """Return the header (44 bytes) of a 16-bit mono WAV file.

    ``samples``: number of samples; None if not known yet.
    """
    size = _UNKNOWN_SIZE if samples is None else samples * _BYTES_PER_SAMPLE
    riff = _UNKNOWN_SIZE if samples is None else size + _WAV_HEADER.size - 8
    fmt = (16, 1, 1, SAMPLE_RATE, SAMPLE_RATE * _BYTES_PER_SAMPLE, _BYTES_PER_SAMPLE, 16)
    return _WAV_HEADER.pack(b"RIFF", riff, b"WAVE", b"fmt ", *fmt, b"data", size)


def with_length(data: bytes, audio_format: AudioFormat, samples: int) -> bytes:
    """Write the number of samples into the header of a file from ``stream_encoder``. Return the complete file.

    Files in formats other than WAV and FLAC are not changed.
    """
    if audio_format is AudioFormat.WAV:
        return wav_header(samples) + data[_WAV_HEADER.size :]
    if audio_format is AudioFormat.FLAC:
        (packed,) = _FLAC_TOTAL.unpack_from(data, _FLAC_TOTAL_OFFSET)
        total = _FLAC_TOTAL.pack(packed & ~_FLAC_TOTAL_MASK | samples)
        return data[:_FLAC_TOTAL_OFFSET] + total + data[_FLAC_TOTAL_OFFSET + _FLAC_TOTAL.size :]
    return data


def _little_endian(samples: Samples) -> bytes:
    return samples.astype("<i2", copy=False).tobytes()


class _Pcm:
    def feed(self, samples: Samples) -> bytes:
        return _little_endian(samples)

    def finish(self) -> bytes:
        return b""


class _StreamedWav(_Pcm):
    def __init__(self) -> None:
        self._header = wav_header(None)

    def feed(self, samples: Samples) -> bytes:
        header = self._header
        self._header = b""
        return header + super().feed(samples)

    def finish(self) -> bytes:
        return self.feed(np.zeros(0, np.int16))


class _Pipe:
    """An output file for FFmpeg that cannot seek, because its bytes are sent at once.

    PyAV treats a file object as not seekable if it has no method ``seek``.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts = self._parts
        self._parts = []
        return b"".join(parts)


class _Ffmpeg:
    def __init__(self, audio_format: AudioFormat, target: _Pipe | io.BytesIO) -> None:
        codec = _CODECS[audio_format]
        self._target = target
        self._container: OutputContainer = av.open(
            target,
            "w",
            format=codec.container,
            container_options={"flush_packets": "1", **codec.container_options},
        )
        stream = self._container.add_stream(codec.encoder, rate=SAMPLE_RATE, options=dict(codec.options), layout="mono")
        self._stream = cast(AudioStream, stream)
        if codec.bit_rate:
            self._stream.bit_rate = codec.bit_rate
        self._written = 0

    def feed(self, samples: Samples) -> bytes:
        if len(samples):
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            frame.time_base = Fraction(1, SAMPLE_RATE)
            frame.pts = self._written
            self._written += len(samples)
            self._container.mux(self._stream.encode(frame))
        return self._take()

    def finish(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._take()

    def _take(self) -> bytes:
        return self._target.take() if isinstance(self._target, _Pipe) else b""
