"""Any container that FFmpeg reads, decoded to 16 kHz mono in memory."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt

from asr.units import SAMPLE_RATE
from core.errors import ApiError

MIN_DURATION_S = 0.1
#: Demuxers of formats that carry sound. A playlist or a script would make FFmpeg open other addresses: not here.
FORMATS = "wav,w64,mp3,mov,ogg,matroska,webm,flac,amr,amrnb,amrwb,aac,aiff,caf,au,ac3,eac3,asf,mpeg,mpegts,loas,latm"
_WITH_DURATION = ("flac", "mov,mp4,m4a,3gp,3g2,mj2")  # for other formats FFmpeg guesses the duration from the bit rate
_PLAIN_FORMAT = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)  # PCM, mono, 16 bit
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what a WAV writer on a pipe leaves in the header


@dataclass(frozen=True)
class Recording:
    """``samples``: int16 mono at ``SAMPLE_RATE``, shape (n,). int16 because an hour then takes 115 MB."""

    samples: npt.NDArray[np.int16]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def float32(self, start: int, end: int) -> npt.NDArray[np.float32]:
        """Samples [start, end) scaled to [-1, 1]."""
        return self.samples[start:end].astype(np.float32) * np.float32(1 / 32768)


def decode(data: bytes, *, max_duration_s: float) -> Recording:
    """Decode the first audio track.

    Raises ``ApiError``: ``invalid_audio`` (empty, undecodable, truncated), ``unsupported_format`` (no audio in it),
    ``audio_too_short``, ``audio_too_long`` (noticed while decoding: no more than ``max_duration_s`` is ever held).
    """
    if not data:
        raise _invalid("The audio file is empty.")
    if _is_cut_wav(data):
        raise _invalid("The audio file is truncated: its header announces more than is there.")
    recording = _plain_wav(data)
    if recording is None:
        recording = _through_ffmpeg(data, max_duration_s)
    elif recording.duration_s > max_duration_s:
        raise _too_long(max_duration_s)
    if recording.duration_s < MIN_DURATION_S:
        message = f"The audio is too short: {recording.duration_s:.2f} s; at least {MIN_DURATION_S} s are needed."
        raise ApiError(400, "audio_too_short", message, param="file")
    return recording


def _plain_wav(data: bytes) -> Recording | None:
    """A WAV file that holds the very samples that are wanted, as speech clients often send: nothing to decode."""
    chunks = {name: (start, size) for name, start, size in reversed(list(_chunks(data)))}
    if b"fmt " not in chunks or b"data" not in chunks or chunks[b"fmt "][1] < len(_PLAIN_FORMAT):
        return None
    described = chunks[b"fmt "][0]
    if data[described : described + len(_PLAIN_FORMAT)] != _PLAIN_FORMAT:
        return None
    start, size = chunks[b"data"]
    end = len(data) if size in _UNKNOWN_SIZES else start + size
    samples = np.frombuffer(data, "<i2", (end - start) // 2, start)
    return Recording(samples) if len(samples) else None


def _through_ffmpeg(data: bytes, max_duration_s: float) -> Recording:
    try:
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
        if data[:4] == b"RIFF":  # FFmpeg looks through the samples for other codecs in disguise: 3 ms for 4 s of audio
            options["probesize"] = "4096"
        container = av.open(io.BytesIO(data), "r", options=options, metadata_errors="ignore")
    except (av.FFmpegError, ValueError, OSError) as error:
        if _is_image_or_text(data):
            raise _unsupported() from error
        raise _invalid("The audio file could not be decoded. Is it damaged?") from error
    with container:
        if not container.streams.audio:
            raise _unsupported()
        samples, announced_s = _read(container, max_duration_s)
    recording = Recording(samples)
    if len(samples) == 0:
        raise _invalid("The audio file holds no sound that can be decoded.")
    if announced_s - recording.duration_s > max(0.5, 0.05 * announced_s):
        raise _invalid("The audio file is truncated: its header announces more than is there.")
    return recording


def _read(container: av.container.InputContainer, max_duration_s: float) -> tuple[npt.NDArray[np.int16], float]:
    stream = container.streams.audio[0]
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    limit = int(max_duration_s * SAMPLE_RATE)
    chunks: list[npt.NDArray[np.int16]] = []
    length = packets = damaged = 0

    def take(frame: av.AudioFrame | None) -> None:
        nonlocal length
        for resampled in resampler.resample(frame):
            chunk = resampled.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            chunks.append(chunk)
            length += len(chunk)
        if length > limit:
            raise _too_long(max_duration_s)

    try:
        for packet in container.demux(stream):
            packets += 1
            try:
                for frame in packet.decode():
                    take(frame)
            except av.FFmpegError:
                damaged += 1
        if chunks:
            take(None)
    except (av.FFmpegError, ValueError) as error:
        raise _invalid("The audio file is damaged or truncated.") from error
    if damaged > 0.1 * packets:
        raise _invalid("The audio file is damaged or truncated.")
    announced_s = 0.0
    if stream.duration and stream.time_base and container.format.name in _WITH_DURATION:
        announced_s = float(stream.duration * stream.time_base)
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int16), announced_s


def _is_cut_wav(data: bytes) -> bool:
    """Whether the data chunk of a RIFF WAV announces more bytes than follow."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return False
    for name, start, size in _chunks(data):
        if name == b"data":
            return size not in _UNKNOWN_SIZES and start + size > len(data)
    return True


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and announced size of each chunk of a RIFF WAV, up to its samples; none of other files."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return
    position, name = 12, b""
    while position + 8 <= len(data) and name != b"data":
        name, size = struct.unpack_from("<4sI", data, position)
        yield name, position + 8, size
        position += 8 + size + size % 2


def _is_image_or_text(data: bytes) -> bool:
    magic = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"PK\x03\x04", b"<", b"{", b"#EXTM3U")
    return data.startswith(magic) or data[8:12] == b"WEBP"


def _invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_audio", message, param="file")


def _too_long(max_duration_s: float) -> ApiError:
    message = f"The audio is longer than {max_duration_s:g} s, the longest that is accepted."
    return ApiError(413, "audio_too_long", message, param="file")


def _unsupported() -> ApiError:
    message = "There is no audio in this file. Send wav, mp3, m4a, ogg, opus, webm, flac or amr."
    return ApiError(400, "unsupported_format", message, param="file")
