"""Decode audio files with FFmpeg to chunks of 16 kHz mono samples, timed by the file's own timestamps.

This module checks the sample rates, channel counts, sizes and times in a file before it allocates memory for them.
This module does not need Django, so it can run in a child process (``asr.decoder_process``).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
import soxr

from asr.downmix import Channels, Downmix
from core.error_codes import ErrorCode

SAMPLE_RATE = 16_000
#: FFmpeg's names of the accepted formats. They do not include playlists and scripts, because FFmpeg would open the
#: addresses in them.
FORMATS = (
    "wav,w64,mp3,mov,ogg,matroska,webm,flac,amr,amrnb,amrwb,aac,aiff,caf,au,ac3,eac3,asf,mpeg,mpegts,loas,latm,avi,gsm"
)
#: Formats whose timestamps can leave gaps. In all others, each frame begins where the previous one ends.
_CLOCKED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "ogg", "mpegts", "mpeg", "asf")
_FROM_ZERO = _CLOCKED[:2]  # their clocks begin at 0, even if the first sound comes later
_WITH_DURATION = ("flac", _CLOCKED[0])  # for other formats FFmpeg guesses the duration from the bit rate
SAMPLE_RATES = range(4_000, 384_001)
MAX_CHANNELS = 16
MAX_FRAME_S = 30.0  # maximum length of a decoded frame; the longest FLAC frame, at 4 kHz, lasts 16 s
MAX_FRAME_VALUES = 4_000_000  # maximum number of samples times channels of a decoded frame
MAX_DAMAGED_PACKETS = 100
MAX_LATE_START_S = 60.0  # a file with a later first timestamp is part of a stream whose clock started earlier
_CLOCK_TOLERANCE_S = 0.2  # a smaller gap is ignored: timestamps are rounded, and clocks drift
_BLOCK_S = 0.25  # length of audio to resample at a time
_TRACKS_COMPARED = 4
_TRACK_SAMPLE_S = 120.0  # length of each track that is measured to choose one
_INAUDIBLE_DB = 20.0  # a track this far below the loudest one counts as inaudible
_UNSUPPORTED = (
    b"FLV",
    b"wvpk",
    b"MAC ",
    b"TTA",
    b"MThd",
    b".RMF",
    b"DSD ",
    b"FRM8",
    b"#!SILK",
    b"OFR ",
    b"Creative Voice",
)
_NOT_AUDIO = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"PK\x03\x04", b"<", b"{", b"#EXTM3U")
_DECODING_ERRORS = (av.FFmpegError, ValueError, OSError, ArithmeticError, LookupError, TypeError, NotImplementedError)


class UnusableAudio(Exception):
    """Raised when a file has no audio that can be decoded within the limits.

    ``code``: error code for the client.
    ``template``: untranslated message with placeholders.
    ``values``: values of the placeholders.
    """

    def __init__(self, code: ErrorCode, template: str, **values: int | float) -> None:
        super().__init__(template.format(**values))
        self.code = code
        self.template = template  # translated by the parent process, which knows the client's language
        self.values = values


def invalid(template: str, **values: int | float) -> UnusableAudio:
    """Return the error to raise for an invalid file.

    ``template``: untranslated message, with placeholders for ``values``.
    """
    return UnusableAudio(ErrorCode.INVALID_AUDIO, template, **values)


def truncated() -> UnusableAudio:
    return invalid("The audio file is truncated: its header announces more than is there.")


def too_long(max_duration_s: float) -> UnusableAudio:
    return UnusableAudio(
        ErrorCode.AUDIO_TOO_LONG,
        "The audio is longer than {limit_s:g} s, the longest that is accepted.",
        limit_s=max_duration_s,
    )


def unsupported() -> UnusableAudio:
    return UnusableAudio(
        ErrorCode.UNSUPPORTED_FORMAT,
        "There is no audio of a supported kind in this file. Send wav, mp3, m4a, ogg, opus, webm, flac or amr.",
    )


@dataclass(frozen=True)
class Chunk:
    """A stretch of decoded audio.

    ``position``: start of the chunk, in samples from the start of the recording.
    ``samples``: int16 mono at ``SAMPLE_RATE``, shape (n,).
    """

    position: int
    samples: npt.NDArray[np.int16]


def chunks(data: bytes, max_duration_s: float) -> Iterator[Chunk]:
    """Decode the bytes of an audio file, and yield the audio in chunks, in ascending order of position.

    If the file has several tracks, decode its default track if that is audible, otherwise the loudest track. A gap
    between the positions of two chunks is a pause in the recording.

    Raise ``UnusableAudio`` with one of these codes:

    - ``invalid_audio``: the file is undecodable or truncated
    - ``unsupported_format``: the file has no audio of a supported format
    - ``audio_too_long``: the audio is longer than ``max_duration_s``
    """
    try:
        container = _opened(data)
        with container:
            track = _chosen_track(container)
            if len(container.streams.audio) == 1:
                yield from _decoded(container, track, max_duration_s)
                return
        with _opened(data) as again:  # open the file again, because the comparison of tracks has read a part of it
            yield from _decoded(again, track, max_duration_s)
    except MemoryError as error:
        raise invalid("The audio file needs more memory to decode than is allowed.") from error
    except _DECODING_ERRORS as error:
        raise invalid("The audio file is damaged or truncated.") from error


def _opened(data: bytes) -> av.container.InputContainer:
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "none", "codec_whitelist": _AUDIO_DECODERS}
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        options["probesize"] = "4096"  # otherwise FFmpeg would search the samples for other codecs (3 ms for 4 s)
    form = "gsm" if _is_raw_gsm(data) else None
    try:
        return av.open(io.BytesIO(data), "r", format=form, options=options, metadata_errors="ignore")
    except _DECODING_ERRORS as error:
        if data.startswith(_NOT_AUDIO + _UNSUPPORTED) or data[8:12] == b"WEBP":
            raise unsupported() from error
        raise invalid("The audio file could not be decoded. Is it damaged?") from error


def _is_raw_gsm(data: bytes) -> bool:
    """Return True if the data looks like raw GSM 06.10, a format of telephone systems.

    Such a file has no header. It consists of frames of 33 bytes, and each frame begins with the bits 1101.
    """
    return len(data) >= 33 * 4 and len(data) % 33 == 0 and all(byte >> 4 == 0xD for byte in data[::33])


# --- tracks -----------------------------------------------------------------------------------------------------------
def _chosen_track(container: av.container.InputContainer) -> int:
    """Return the index of the audio track to decode: the default track if it is audible, otherwise the loudest.

    Only the first ``_TRACKS_COMPARED`` tracks are considered. Raise ``UnusableAudio`` if none can be decoded.
    """
    streams = [stream for stream in container.streams.audio if stream.codec_context][:_TRACKS_COMPARED]
    if not streams:
        raise unsupported()
    numbers = [container.streams.audio.index(stream) for stream in streams]
    if len(streams) == 1:
        return numbers[0]
    loudness = _loudness(container, streams)
    loudest = max(loudness)
    marked = [number for number, stream in enumerate(streams) if stream.disposition & av.stream.Disposition.default]
    if len(marked) == 1 and loudness[marked[0]] > loudest - _INAUDIBLE_DB:
        return numbers[marked[0]]
    return numbers[loudness.index(loudest)]


def _loudness(container: av.container.InputContainer, streams: list[av.AudioStream]) -> list[float]:
    """Return the level of each track in dB relative to full scale, measured over the first minutes of the file."""
    energy = {stream.index: 0.0 for stream in streams}
    measured_s = dict.fromkeys(energy, 0.0)
    for packet in container.demux(*streams):
        try:
            frames = packet.decode()
        except _DECODING_ERRORS:
            continue
        index = packet.stream.index
        for frame in frames:
            assert isinstance(frame, av.AudioFrame)
            values = _within_scale(_values(frame))
            energy[index] += float(np.square(values).mean()) * frame.samples / frame.sample_rate
            measured_s[index] += frame.samples / frame.sample_rate
        if min(measured_s.values()) > _TRACK_SAMPLE_S or max(measured_s.values()) > 2 * _TRACK_SAMPLE_S:
            break
    return [10 * float(np.log10(energy[i] / max(measured_s[i], 1.0) + 1e-12)) for i in energy]


# --- decoding ---------------------------------------------------------------------------------------------------------
def _decoded(container: av.container.InputContainer, track: int, max_duration_s: float) -> Iterator[Chunk]:
    stream = container.streams.audio[track]
    if stream.codec_context is None:  # FFmpeg knows the container, but not the codec
        raise unsupported()
    _check_format(stream.rate, stream.channels)
    timeline = _Timeline(_origin(container, stream), max_duration_s, clocked=container.format.name in _CLOCKED)
    packets = damaged = 0
    for packet in container.demux(stream):
        packets += 1
        try:
            frames = packet.decode()
        except _DECODING_ERRORS:
            damaged += 1
            if damaged > max(MAX_DAMAGED_PACKETS, 0.1 * packets):
                break
            continue
        for frame in frames:
            yield from timeline.add(frame)
    yield from timeline.end()
    if damaged > 0.1 * packets or timeline.not_finite > 0.1 * timeline.values:
        raise invalid("The audio file is damaged or truncated.")
    if timeline.position == 0:
        raise invalid("The audio file holds no sound that can be decoded.")
    announced_s = 0.0
    if stream.duration and stream.time_base and container.format.name in _WITH_DURATION:
        announced_s = float(stream.duration * stream.time_base)
    if announced_s - timeline.position / SAMPLE_RATE > max(0.5, 0.05 * announced_s):
        raise truncated()


def _check_format(sample_rate: int, channels: int) -> None:
    if sample_rate not in SAMPLE_RATES:
        raise invalid("A sample rate of {sample_rate:,} Hz is not supported.", sample_rate=sample_rate)
    if not 1 <= channels <= MAX_CHANNELS:
        raise invalid(
            "{channels} channels are not supported; {most} are the most.", channels=channels, most=MAX_CHANNELS
        )


def _origin(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """Return the container's timestamp at which the recording starts, in seconds."""
    starts = [float(s.start_time * s.time_base) for s in container.streams if s.start_time is not None and s.time_base]
    first = min(starts, default=0.0)
    own = float(stream.start_time * stream.time_base) if stream.start_time is not None and stream.time_base else first
    if container.format.name in _FROM_ZERO and 0 <= own <= MAX_LATE_START_S:
        return 0.0
    return first


class _Timeline:
    """Converts decoded frames to chunks, and computes their positions in the recording from the frames' timestamps."""

    def __init__(self, origin_s: float, max_duration_s: float, *, clocked: bool) -> None:
        self.position = 0  # samples yielded so far, including pauses
        self.values = 0  # number of values in all channels so far
        self.not_finite = 0  # number of these values that are infinite or NaN
        self._origin_s = origin_s
        self._clocked = clocked
        self._max_duration_s = max_duration_s
        self._resampler: _Resampler | None = None
        self._clock_s = 0.0  # time at which the next frame begins if there is no gap

    def add(self, frame: av.AudioFrame) -> Iterator[Chunk]:
        values = _values(frame)
        if not values.shape[1]:
            return
        start_s = self._start_s(frame)
        resampler = self._resampler
        if start_s > self._clock_s or resampler is None or not resampler.takes(frame.sample_rate, len(values)):
            yield from self._flush()
            self.position = max(self.position, round(start_s * SAMPLE_RATE))
            self._resampler = resampler = _Resampler(frame.sample_rate, len(values))
        self._clock_s = start_s + values.shape[1] / frame.sample_rate
        if self._clock_s > self._max_duration_s + 1 / SAMPLE_RATE:
            raise too_long(self._max_duration_s)
        self.values += values.size
        self.not_finite += values.size - int(np.count_nonzero(np.isfinite(values)))
        yield from self._out(resampler.add(_within_scale(values)))

    def end(self) -> Iterator[Chunk]:
        yield from self._flush()

    def _start_s(self, frame: av.AudioFrame) -> float:
        """Return the time at which the frame starts, in seconds from the start of the recording.

        If there is a gap after the previous frame, this is the frame's timestamp. Otherwise it is the end of the
        previous frame.
        """
        if not self._clocked or frame.time is None:
            return self._clock_s
        stamped = frame.time - self._origin_s
        return stamped if stamped > self._clock_s + _CLOCK_TOLERANCE_S else self._clock_s

    def _flush(self) -> Iterator[Chunk]:
        if self._resampler is not None:
            yield from self._out(self._resampler.rest())

    def _out(self, samples: npt.NDArray[np.int16]) -> Iterator[Chunk]:
        if len(samples):
            yield Chunk(self.position, samples)
            self.position += len(samples)


class _Resampler:
    """Mixes frames of one format down to mono, and resamples them to ``SAMPLE_RATE`` in blocks."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._sample_rate = sample_rate
        self._channels = channels
        self._downmix = Downmix(sample_rate)
        self._soxr = None if sample_rate == SAMPLE_RATE else soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1)
        self._waiting: list[Channels] = []
        self._waiting_length = 0

    def takes(self, sample_rate: int, channels: int) -> bool:
        return (sample_rate, channels) == (self._sample_rate, self._channels)

    def add(self, values: Channels) -> npt.NDArray[np.int16]:
        self._waiting.append(values)
        self._waiting_length += values.shape[1]
        if self._waiting_length < _BLOCK_S * self._sample_rate:
            return np.zeros(0, np.int16)
        return self._resampled(last=False)

    def rest(self) -> npt.NDArray[np.int16]:
        return self._resampled(last=True)

    def _resampled(self, *, last: bool) -> npt.NDArray[np.int16]:
        mono = np.zeros(0, np.float32)
        if self._waiting:
            mono = self._downmix(np.concatenate(self._waiting, axis=1))
            self._waiting = []
            self._waiting_length = 0
        if self._soxr is not None:
            mono = self._soxr.resample_chunk(np.ascontiguousarray(mono), last=last)
        return np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)


def _values(frame: av.AudioFrame) -> Channels:
    """Return the frame's samples as float32, shape (channels, n). Full scale is 1.

    Floating-point samples may have any value, so the result may contain values beyond full scale, infinities and NaN.

    Raise ``UnusableAudio`` if the frame's sample rate, number of channels or size exceeds the limits.
    """
    channels = frame.layout.nb_channels
    _check_format(frame.sample_rate, channels)
    if frame.samples > MAX_FRAME_S * frame.sample_rate or frame.samples * channels > MAX_FRAME_VALUES:
        raise invalid("The audio file's frames are larger than any encoder makes them.")
    data = frame.to_ndarray()
    rows = data if frame.format.is_planar else data.reshape(-1, channels).T
    if data.dtype == np.uint8:
        return (rows.astype(np.float32) - np.float32(128)) / np.float32(128)
    if np.issubdtype(data.dtype, np.integer):
        scale = np.float32(1 / (1 << (8 * data.dtype.itemsize - 1)))
        return np.asarray(rows.astype(np.float32) * scale, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # values that float32 cannot hold become infinite or NaN
        return np.asarray(rows, np.float32)


def _within_scale(values: Channels) -> Channels:
    """Clip the values to [-1, 1], and replace NaN by 0."""
    return np.asarray(np.clip(np.nan_to_num(values), -1, 1), np.float32)


def _audio_decoders() -> str:
    """Return the names of all audio decoders in FFmpeg, separated by commas.

    FFmpeg is allowed only these decoders, so it never decodes pictures.
    """
    return ",".join(sorted(name for name in av.codecs_available if _is_audio_decoder(name)))


def _is_audio_decoder(name: str) -> bool:
    try:
        return av.Codec(name, "r").type == "audio"
    except ValueError:  # FFmpeg has only an encoder of this name
        return False


_AUDIO_DECODERS = _audio_decoders()
