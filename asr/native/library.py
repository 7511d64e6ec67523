"""Find the native library, which ``asr.native.build`` compiles."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings

from asr.native.build import FOLDER, LIBRARY, is_supported_platform, source_id
from asr.tuning import AVX512_FLAGS
from inference import processor

REQUIRED_FLAGS = AVX512_FLAGS | {"avx512_vnni"}


@dataclass(frozen=True)
class Library:
    """The library, or the reason why it cannot be used.

    ``path``: the library's file; None if it cannot be used.
    ``reason``: why it cannot be used, as a sentence; empty if it can.
    """

    path: Path | None = None
    reason: str = ""

    def __str__(self) -> str:
        return str(self.path or self.reason)


def find() -> Library:
    """Return the library for this process.

    The processor and the files are examined only once, so a library that is built later is found after a restart.
    """
    if settings.VOICE_ASR_NATIVE == "off":
        return Library(reason="VOICE_ASR_NATIVE=off switches the native library off.")
    return _found()


def examine(library: Path, folder: Path) -> Library:
    """Return the library at this path if this processor can run it and it was built from the C files in ``folder``."""
    if not is_supported_platform():
        return Library(reason="The native library needs Linux on x86-64.")
    if missing := REQUIRED_FLAGS - processor.flags():
        return Library(reason=f"The native library needs a CPU with {', '.join(sorted(missing))}.")
    if not library.exists():
        return Library(reason=f"{library} is missing: run `make native`.")
    try:
        if _source_id_in(library) != source_id(folder):
            return Library(reason=f"{library} was built from another version of its source: run `make native`.")
    except OSError as error:
        return Library(reason=f"{library} cannot be loaded ({error}): run `make native`.")
    return Library(library)


@cache
def _found() -> Library:
    return examine(LIBRARY, FOLDER)


def _source_id_in(library: Path) -> str:
    """Return the ID of the source from which the library was built; an empty text if it does not say."""
    loaded = ctypes.CDLL(str(library))
    try:
        source = loaded.text_decoder_source
    except AttributeError:
        return ""
    source.restype = ctypes.c_char_p
    return str(source().decode())
