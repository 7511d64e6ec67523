"""Synthesise speech with eSpeak NG's library in this process.

- libespeak-ng keeps its voice and parameters in globals, so one lock serialises all calls.
- A call takes one or two thousandths of the duration of the audio that it makes.
- The callback runs on the calling thread, inside ``espeak_Synth``.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

import espeakng_loader
import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 22_050
MIN_RATE = 80  # words per minute, the minimum that libespeak-ng accepts
NORMAL_RATE = 175
MAX_RATE = 450

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_PARAMETER_RATE = 1
_PARAMETER_PITCH = 3
_BUFFER_MS = 2_000  # audio per callback (default: 60); large, because each callback waits for the GIL
_CHARS_UTF8 = 1
_PHONEME_NAMES = 0x100  # [[…]] in the text encloses names of phonemes
_PHONEMES_AS_IPA = 2
_POSITION_CHARACTER = 1

# Control characters are not spoken. For the library, U+0001 starts a command and U+0000 ends the text.
_CONTROLS = dict.fromkeys([*range(32), 127], " ")

_Samples = npt.NDArray[np.int16]
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakError(RuntimeError):
    """libespeak-ng did not start, does not have the voice, or could not speak."""


class _Library:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chunks: list[bytes] = []
        self._set: tuple[str, int, int] | None = None  # voice, rate and pitch
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data = espeakng_loader.get_data_path().encode()
        rate = self._lib.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, data, 0)
        if rate != SAMPLE_RATE:
            raise EspeakError(f"libespeak-ng did not start (it answered {rate})")
        self._callback = _Callback(self._collect)  # ctypes keeps no reference to a callback, so this attribute does
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: Any, count: int, _events: object) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * ctypes.sizeof(ctypes.c_short)))
        return 0

    def _set_up(self, voice: str, rate: int, pitch: int) -> None:
        self._set = None
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EspeakError(f"libespeak-ng has no voice {voice!r}")
        self._lib.espeak_SetParameter(_PARAMETER_RATE, rate, 0)
        self._lib.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)
        self._set = voice, rate, pitch

    def speak(self, text: str, voice: str, rate: int, pitch: int, flags: int) -> _Samples:
        utf8 = text.translate(_CONTROLS).encode("utf-8", "replace")
        with self._lock:
            self._chunks = []
            if self._set != (voice, rate, pitch):
                self._set_up(voice, rate, pitch)
            size = ctypes.c_size_t(len(utf8) + 1)
            status = self._lib.espeak_Synth(utf8, size, 0, _POSITION_CHARACTER, 0, flags, None, None)
            if status != 0:
                raise EspeakError(f"libespeak-ng could not speak (status {status})")
            return np.frombuffer(b"".join(self._chunks), np.int16)

    def phonemes(self, text: str, voice: str) -> str:
        utf8 = ctypes.c_char_p(text.translate(_CONTROLS).encode("utf-8", "replace"))
        with self._lock:
            self._set = None
            if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
                raise EspeakError(f"libespeak-ng has no voice {voice!r}")
            clauses: list[str] = []
            rest = ctypes.cast(utf8, ctypes.c_void_p)
            while rest.value:  # each call reads a clause and moves ``rest`` on; at the end ``rest`` is null
                clause = self._lib.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, _PHONEMES_AS_IPA)
                clauses.append((clause or b"").decode("utf-8", "replace"))
        return " ".join(" ".join(clauses).split())


_starting = threading.Lock()


@cache
def _started_library() -> _Library:
    return _Library()


def _library() -> _Library:
    """Return the library. The first call starts the library, under a lock.

    Without the lock, two threads could both start it. The second start would then replace the voice and the callback
    while the first thread speaks.
    """
    with _starting:
        return _started_library()


def start() -> None:
    """Load the library, so that the first call is not slow. Raise ``EspeakError`` if the library does not start."""
    _library()


def speak(text: str, voice: str = "ms", *, rate: int = NORMAL_RATE, pitch: int = 50, marked: bool = False) -> _Samples:
    """Speak a text. Return int16 mono samples, shape (n,), at ``SAMPLE_RATE``.

    ``text``: speakable text (``spoken_text.speakable``).
    ``voice``: name of an eSpeak NG voice, with an optional variant (``ms``, ``ms+f3``).
    ``rate``: words per minute, clamped to [MIN_RATE, MAX_RATE].
    ``pitch``: 0 to 99; values outside are clamped.
    ``marked``: whether ``[[…]]`` in the text encloses eSpeak NG's phoneme names instead of words.

    Raise ``EspeakError`` if the voice is unknown or the library fails.
    """
    flags = _CHARS_UTF8 | _PHONEME_NAMES if marked else _CHARS_UTF8
    return _library().speak(text, voice, min(max(rate, MIN_RATE), MAX_RATE), min(max(pitch, 0), 99), flags)


def phonemes(text: str, voice: str = "ms") -> str:
    """Return the pronunciation of a text in IPA, with stress marks and without punctuation.

    Where eSpeak NG switches to the rules of another language, the result contains the code of that language in
    brackets, such as "(en)".

    Raise ``EspeakError`` if the voice is unknown.
    """
    return _library().phonemes(text, voice)
