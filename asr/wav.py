"""Read the WAV headers that occur in practice: RIFF, RF64, BW64 and Sony's W64, written to files or to pipes.

A program that writes a WAV file to a pipe cannot fill in the sizes in the header afterwards. It leaves a placeholder:
zero, all ones, or another very large number. So a size in the header is used only if it is plausible.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

#: Much more than the default of ``VOICE_MAX_UPLOAD_BYTES``. A size in the header that exceeds the data is a placeholder
#: if it is at least this large. Otherwise the file is truncated.
PLACEHOLDER_BYTES = 250_000_000
_RIFF_KINDS = (b"RIFF", b"RF64", b"BW64")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # end of the GUID of each chunk in W64, except the file's own
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_MIN_FORMAT_BYTES = 14


class TruncatedWav(ValueError):
    """Raised for a WAV file whose header is incomplete or announces more data than the file contains."""


@dataclass(frozen=True)
class WavLayout:
    """The position of the samples in a WAV file, and their format.

    ``format``: content of the ``fmt`` chunk.
    ``start``: position of the first sample, in bytes.
    ``size``: length of the samples, in bytes.
    """

    format: bytes
    start: int
    size: int


def find_layout(data: bytes) -> WavLayout | None:
    """Return the position and the format of the samples; None if the data is not a WAV file.

    Raise ``TruncatedWav`` if the header is incomplete or announces more data than the file contains.
    """
    if data[:4] in _RIFF_KINDS and data[8:12] == b"WAVE":
        chunks = _riff_chunks(data)
    elif data[:16] == _W64_RIFF:
        chunks = _w64_chunks(data)
    else:
        return None
    description = b""
    long_size: int | None = None
    for name, start, size in chunks:
        if name == b"ds64":
            long_size = struct.unpack_from("<Q", data, start + 8)[0] if start + 16 <= len(data) else None
        elif name == b"fmt ":
            description = data[start : start + size]
        elif name == b"data":
            if len(description) < _MIN_FORMAT_BYTES:
                raise TruncatedWav
            announced = long_size if long_size is not None and size == 0xFFFFFFFF else size
            return WavLayout(description, start, _sample_bytes(data, start, announced))
    raise TruncatedWav


def as_plain_riff(data: bytes, layout: WavLayout) -> bytes:
    """Return a WAV file with the same samples, and a plain RIFF header with correct sizes."""
    description = layout.format + b"\0" * (len(layout.format) % 2)
    head = b"fmt " + struct.pack("<I", len(layout.format)) + description + b"data" + struct.pack("<I", layout.size)
    total = 4 + len(head) + layout.size
    return b"".join((b"RIFF", struct.pack("<I", total), b"WAVE", head, data[layout.start : layout.start + layout.size]))


def _sample_bytes(data: bytes, start: int, announced: int) -> int:
    available = max(0, len(data) - start)
    if announced == 0 and not _ends_in_chunks(data, start):
        return available
    if announced <= available:
        return announced
    if announced < PLACEHOLDER_BYTES:
        raise TruncatedWav
    return available


def _ends_in_chunks(data: bytes, position: int) -> bool:
    """Return True if only complete chunks follow ``position``.

    If so, a size of zero in the header means that there are no samples. Otherwise, the zero is a placeholder.
    """
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if not all(32 <= byte < 127 for byte in name):
            return False
        position += 8 + size + size % 2
    return position == len(data)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, the position of its content, and the size of its content. Stop after ``data``.

    Positions and sizes are in bytes. The size is the one in the chunk's header, which may be a placeholder.
    """
    position = 12
    name = b""
    while position + 8 <= len(data) and name != b"data":
        name, size = struct.unpack_from("<4sI", data, position)
        yield name, position + 8, size
        position += 8 + size + size % 2


def _w64_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, the position of its content, and the size of its content. Stop after ``data``.

    Positions and sizes are in bytes. In W64, the size in a chunk's header includes the 24 bytes of the header itself,
    and chunks begin at multiples of 8 bytes. The placeholders 0 and 24 for the size of ``data`` are yielded as 0.
    """
    position = 40
    name = b""
    while position + 24 <= len(data) and name != b"data":
        name = data[position : position + 4]
        if data[position + 4 : position + 16] != _W64_TAIL:
            name = b"    "
        announced = struct.unpack_from("<Q", data, position + 16)[0]
        if name == b"data" and announced in (0, 24):
            yield name, position + 24, 0
        elif announced < 24:
            return
        else:
            yield name, position + 24, announced - 24
        position += (announced + 7) // 8 * 8
