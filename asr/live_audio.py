"""Convert live audio, message by message, to float32 mono at 16 kHz.

The input is PCM16, G.711 or Opus at one of the usual sample rates. The resampler needs the samples that follow, so it
holds back the last few milliseconds. But it never drops or adds samples. However the audio is divided into messages,
output sample n is the sound n/16000 s after the start of the stream.

Threads: an ``AudioInput`` belongs to one stream and is used by one thread at a time.
"""

from __future__ import annotations

from enum import StrEnum

import av
import numpy as np
import numpy.typing as npt
import soxr
from django.utils.translation import gettext as _

from asr.units import SAMPLE_RATE, Samples
from core.error_codes import ErrorCode
from core.errors import ApiError

RATES = (8_000, 16_000, 24_000, 44_100, 48_000)
OPUS_RATE = 48_000  # output rate of the decoder for every Opus stream
G711_RATE = 8_000
MAX_OPUS_BYTES = 1275 * 48  # the largest packet: 120 ms in 48 frames


class Encoding(StrEnum):
    """The encoding of a client's audio messages."""

    PCM16 = "pcm16"  # little endian
    MULAW = "mulaw"
    ALAW = "alaw"
    OPUS = "opus"  # each message is one packet


class AudioInput:
    """Decodes the audio messages of one stream, and resamples the audio to 16 kHz.

    ``sample_rate``: rate of the messages' audio in Hz; ignored for Opus.
    ``reduces_noise``: whether to filter out rumble below the frequencies of speech.

    The constructor raises ``ApiError`` 400 for an unsupported sample rate.
    """

    def __init__(self, encoding: Encoding, sample_rate: int, *, reduces_noise: bool = False) -> None:
        if encoding is Encoding.OPUS:
            sample_rate = OPUS_RATE
        if sample_rate not in RATES:
            offered = ", ".join(map(str, RATES))
            message = _("A sample rate of {sample_rate} is not supported; use one of {offered}.").format(
                sample_rate=sample_rate, offered=offered
            )
            raise ApiError(ErrorCode.INVALID_VALUE, message, param="sample_rate")
        self.encoding = encoding
        self.sample_rate = sample_rate
        self._resampler = None if sample_rate == SAMPLE_RATE else soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1)
        self._rumble = RumbleFilter() if reduces_noise else None
        self._half = b""  # first byte of a sample whose second byte will arrive in the next message
        self._opus = av.CodecContext.create("libopus", "r") if encoding is Encoding.OPUS else None

    def decode(self, data: bytes) -> Samples:
        """Decode a message, and return the samples that are ready, float32 (n,) at 16 kHz.

        Raise ``ApiError`` 400 for an invalid Opus packet.
        """
        match self.encoding:
            case Encoding.PCM16:
                data = self._half + data
                whole = len(data) & ~1
                self._half = data[whole:]
                data = data[:whole]
                samples = np.frombuffer(data, "<i2").astype(np.float32) * np.float32(1 / 32768)
            case Encoding.MULAW:
                samples = _MULAW[np.frombuffer(data, np.uint8)]
            case Encoding.ALAW:
                samples = _ALAW[np.frombuffer(data, np.uint8)]
            case Encoding.OPUS:
                samples = self._decode_opus(data)
        return self._resampled(samples)

    def rest(self) -> Samples:
        """End the input, and return the samples that were held back, float32 (n,). Drop an incomplete last sample."""
        return self._resampled(np.zeros(0, np.float32), last=True)

    def _resampled(self, samples: Samples, *, last: bool = False) -> Samples:
        if self._resampler is not None:
            samples = _as_16_bit(self._resampler.resample_chunk(samples, last=last))
        return samples if self._rumble is None else self._rumble.filtered(samples, last=last)

    def _decode_opus(self, packet: bytes) -> Samples:
        assert self._opus is not None
        if not packet or len(packet) > MAX_OPUS_BYTES:
            raise _bad_packet()
        try:
            frames = self._opus.decode(av.Packet(packet))
        except (av.FFmpegError, ValueError) as error:
            raise _bad_packet() from error
        if not frames:
            return np.zeros(0, np.float32)
        return np.concatenate([_mono(frame) for frame in frames])


class RumbleFilter:
    """Removes sound below the frequencies of speech: handling noise, wind, mains hum and a constant offset.

    The filter needs the samples that follow, so it returns samples with a delay. It does not shift them in time.
    """

    def __init__(self) -> None:
        self._held = np.zeros(len(_RUMBLE) // 2, np.float32)  # silence before the first sample

    def filtered(self, samples: Samples, *, last: bool = False) -> Samples:
        """Filter the next samples, and return those that are ready, float32 (n,).

        ``samples``: float32 (n,) at 16 kHz.
        ``last``: whether the input ends here. If so, all remaining samples are returned.
        """
        after = np.zeros(len(_RUMBLE) // 2 if last else 0, np.float32)
        audio = np.concatenate([self._held, samples, after])
        certain = max(0, len(audio) - len(_RUMBLE) + 1)
        self._held = audio[certain:]
        if not certain:
            return np.zeros(0, np.float32)
        return np.asarray(np.convolve(audio, _RUMBLE, "valid"), np.float32)


def _high_pass(cutoff_hz: float, taps: int) -> npt.NDArray[np.float32]:
    """Return the coefficients of a linear-phase high-pass filter: a unit impulse minus a windowed sinc.

    ``taps``: number of coefficients, which must be odd. The filter delays its input by half this number of samples.
    """
    at = np.arange(taps) - taps // 2
    low = np.sinc(2 * cutoff_hz / SAMPLE_RATE * at) * np.blackman(taps)
    impulse = (at == 0).astype(np.float64)
    return np.asarray(impulse - low / low.sum(), np.float32)


_RUMBLE = _high_pass(80.0, 801)  # the lowest voices are just above 80 Hz


def _mono(frame: av.AudioFrame) -> Samples:
    channels = len(frame.layout.channels)
    data = frame.to_ndarray()
    if data.dtype == np.int16:
        data = data.astype(np.float32) * np.float32(1 / 32768)
    rows = data if frame.format.is_planar else data.reshape(-1, channels).T
    return np.asarray(rows.mean(axis=0), np.float32)


def _as_16_bit(samples: Samples) -> Samples:
    """Round the samples to multiples of 1/32768, so that they equal those of a decoded file (``asr.containers``)."""
    return np.asarray(np.clip(np.rint(samples * 32768), -32768, 32767), np.float32) * np.float32(1 / 32768)


def _bad_packet() -> ApiError:
    return ApiError(ErrorCode.INVALID_AUDIO, _("A binary message must be one whole Opus packet."))


def _mulaw() -> npt.NDArray[np.float32]:
    """Return ITU-T G.711's decoding table for μ-law: the sample for each byte, float32 (256,)."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4 & 7).astype(np.int32)
    mantissa = (code & 15).astype(np.int32)
    magnitude = ((mantissa << 3) + 0x84 << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.float32) / np.float32(32768)


def _alaw() -> npt.NDArray[np.float32]:
    """Return ITU-T G.711's decoding table for A-law: the sample for each byte, float32 (256,)."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = (code >> 4 & 7).astype(np.int32)
    mantissa = (code & 15).astype(np.int32)
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, (mantissa << 4) + 0x108 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.float32) / np.float32(32768)


_MULAW = _mulaw()
_ALAW = _alaw()
