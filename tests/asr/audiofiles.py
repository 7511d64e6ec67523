"""Unusual audio files: with gaps in the timestamps, several tracks, pictures, or wrong sizes in the headers."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import soxr

from tests import sound

#: Container, codec, sample rate and sample format, by the names that tests use.
KINDS = {
    "m4a": ("ipod", "aac", 44_100, "fltp"),
    "mp4": ("mp4", "aac", 48_000, "fltp"),
    "fragmented mp4": ("mp4", "aac", 48_000, "fltp"),
    "webm": ("webm", "libopus", 48_000, "flt"),
    "mka": ("matroska", "flac", 44_100, "s16"),
    "ts": ("mpegts", "aac", 48_000, "fltp"),
}


@dataclass
class Track:
    """A track of a container.

    ``parts``: pairs of a start time, in seconds on the container's clock, and the audio that starts then.
    ``default``: the track's default flag; None leaves it unset.
    """

    parts: Sequence[tuple[float, sound.Audio]]
    default: bool | None = None


def muxed(kind: str, tracks: Sequence[Track], *, picture_s: float = 0.0) -> bytes:
    container_name, codec, rate, sample_format = KINDS[kind]
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if kind == "fragmented mp4" else {}
    if kind == "fragmented mp4":
        options["frag_duration"] = "500000"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_name, options=options) as container:
        video = None
        if picture_s:
            video = container.add_stream("libvpx" if container_name == "webm" else "mpeg4", rate=5)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
        streams = [container.add_stream(codec, rate=rate, layout="mono") for _ in tracks]
        for stream, track in zip(streams, tracks, strict=True):
            if track.default is not None:
                stream.disposition = av.stream.Disposition(int(track.default))
        packets = []
        for stream, track in zip(streams, tracks, strict=True):
            packets += _packets(stream, track, rate, sample_format)
        if video is not None:
            for index in range(int(picture_s * 5)):
                frame = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), "yuv420p")
                frame.pts = index
                packets += video.encode(frame)
            packets += video.encode(None)
        for packet in sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)):
            container.mux(packet)
    return buffer.getvalue()


def _packets(stream: av.AudioStream, track: Track, rate: int, sample_format: str) -> list[av.Packet]:
    size = stream.codec_context.frame_size or 0
    if not size:
        stream.codec_context.open()
        size = stream.codec_context.frame_size or 1024
    packets = []
    for start_s, audio in track.parts:
        samples = soxr.resample(audio, sound.RATE, rate).astype(np.float32)
        samples = np.pad(samples, (0, -len(samples) % size))
        for at in range(0, len(samples), size):
            block = samples[at : at + size]
            data = (np.clip(block, -1, 1) * 32767).astype(np.int16) if sample_format == "s16" else block
            frame = av.AudioFrame.from_ndarray(data[None], sample_format, "mono")
            frame.sample_rate = rate
            frame.time_base = Fraction(1, rate)
            frame.pts = round(start_s * rate) + at
            packets += stream.encode(frame)
    return packets + list(stream.encode(None))


def riff(samples: bytes, *, announced: int, kind: bytes = b"RIFF", rate: int = 16_000, channels: int = 1) -> bytes:
    """Return a 16-bit WAV file whose header claims ``announced`` bytes of samples.

    ``samples``: the bytes of samples that the file really has.
    ``kind``: the first four bytes of the file. For any kind except RIFF, the sizes are in a ds64 chunk.
    """
    byte_rate = (2 * rate * channels) & 0xFFFFFFFF
    description = struct.pack("<HHIIHH", 1, channels, rate, byte_rate, (2 * channels) & 0xFFFF, 16)
    total = (announced + 36) & 0xFFFFFFFF
    long_sizes = b""
    if kind != b"RIFF":
        long_sizes = b"ds64" + struct.pack("<IQQQI", 28, announced, announced, 0, 0)
        announced = total = 0xFFFFFFFF
    head = kind + struct.pack("<I", total) + b"WAVE" + long_sizes + b"fmt " + struct.pack("<I", 16) + description
    return head + b"data" + struct.pack("<I", announced) + samples


def w64(samples: bytes, *, announced: int) -> bytes:
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    description = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    head = bytes.fromhex("726966662e91cf11a5d628db04c10000") + struct.pack("<Q", announced) + b"wave" + tail
    head += b"fmt " + tail + struct.pack("<Q", 40) + description
    return head + b"data" + tail + struct.pack("<Q", announced) + samples


def flac_bomb(*, frames: int, rate: int = 8) -> bytes:
    """Return a small FLAC file that can decode to hours of audio.

    Each frame takes a few bytes and has 65,535 equal samples, by default at a very low sample rate. The STREAMINFO
    block and the frame headers follow RFC 9639, and both checksums of a frame are correct.
    """
    block = 65_535
    info = struct.pack(">HH", block, block) + bytes(6)
    info += (rate << 44 | 0 << 41 | 15 << 36 | frames * block).to_bytes(8, "big") + bytes(16)
    data = b"fLaC\x80" + len(info).to_bytes(3, "big") + info
    for number in range(frames):
        head = b"\xff\xf8" + bytes([0x70, 0x08]) + _utf8(number) + struct.pack(">H", block - 1)
        head += bytes([_crc(head, 8, 0x07)])
        frame = head + b"\x00" + b"\x00\x40"  # a single constant subframe
        data += frame + struct.pack(">H", _crc(frame, 16, 0x8005))
    return data


def _utf8(number: int) -> bytes:
    return chr(number).encode()


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value = 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
    return value


def mp4_with_table(entries: int) -> bytes:
    """Return an MP4 file whose audio track claims ``entries`` samples of one byte each, all in one chunk."""

    def box(name: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack(">I", 8 + len(body)) + name + body

    full = bytes(4)
    entry = box(b"sowt", bytes(6), struct.pack(">H", 1), bytes(8), struct.pack(">HHIHH", 1, 16, 0, 16_000, 0))
    tables = box(
        b"stbl",
        box(b"stsd", full, struct.pack(">I", 1), entry),
        box(b"stts", full, struct.pack(">III", 1, entries, 2)),
        box(b"stsc", full, struct.pack(">IIII", 1, 1, entries, 1)),
        box(b"stsz", full, struct.pack(">II", 1, entries)),
        box(b"stco", full, struct.pack(">II", 1, 40)),
    )
    handler = box(b"hdlr", full, bytes(4), b"soun", bytes(13))
    media_header = box(b"mdhd", full, struct.pack(">IIIII", 0, 0, 16_000, entries & 0x7FFFFFFF, 0))
    media = box(b"mdia", media_header, handler, box(b"minf", box(b"smhd", bytes(8)), tables))
    track = box(b"trak", box(b"tkhd", bytes(3), b"\x07", bytes(80)), media)
    movie = box(b"moov", box(b"mvhd", full, struct.pack(">IIII", 0, 0, 1000, 1000), bytes(80)), track)
    return box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"mdat", bytes(100)) + movie
