"""Encode speech units and their results for transport to and from the inference tier (``inference.wire``).

The inference tier is the set of separate processes that run the models. A unit includes all data of its voice, so the
tier does not need the catalogue of voices.
"""

from __future__ import annotations

from dataclasses import asdict

from inference.wire import Fields, WireError, pack_samples, unpack_samples
from tts.units import Speech, SpeechUnit
from tts.voices import Voice, catalogue

LONGEST_TEXT = 10_000  # maximum characters of a unit; a sentence has a few hundred


class SpeechCodec:
    """Implements ``Codec[SpeechUnit, Speech]`` for one engine.

    ``is_first``: whether the engine's voices come before those of all other engines.
    """

    def __init__(self, engine: str, *, is_first: bool = False) -> None:
        self._engine = engine
        self._is_first = is_first

    def pack_unit(self, unit: SpeechUnit) -> tuple[Fields, bytes]:
        return {"text": unit.text, "voice": _fields(unit.voice), "speed": unit.speed, "language": unit.language}, b""

    def unpack_unit(self, fields: Fields, payload: bytes) -> SpeechUnit:
        text = fields["text"]
        language = fields["language"]
        if not isinstance(text, str) or not isinstance(language, str) or len(text) > LONGEST_TEXT:
            raise WireError("the text or the language is invalid")
        return SpeechUnit(text=text, voice=_voice(fields["voice"]), speed=float(fields["speed"]), language=language)

    def pack_result(self, result: Speech) -> tuple[Fields, bytes]:
        samples, payload = pack_samples(result.audio)
        return {"samples": samples, "sample_rate": result.sample_rate, "tempo": result.tempo}, payload

    def unpack_result(self, fields: Fields, payload: bytes) -> Speech:
        audio = unpack_samples(fields["samples"], payload)
        return Speech(audio, int(fields["sample_rate"]), float(fields["tempo"]))

    def about(self) -> Fields:
        """Return the engine's voices, which another process passes to ``learn``.

        Some models do not list their voices until they have loaded.
        """
        return {"voices": [_fields(voice) for voice in self._voices()]}

    def samples(self) -> list[SpeechUnit]:
        """Return one unit for each of the engine's models: a single word, spoken by the model's first voice."""
        firsts = {voice.model: voice for voice in reversed(self._voices())}
        return [SpeechUnit(text="satu", voice=voice, language=voice.language) for voice in firsts.values()]

    def learn(self, about: Fields) -> None:
        catalogue().register((_voice(voice) for voice in about["voices"]), first=self._is_first)

    def _voices(self) -> list[Voice]:
        return [voice for voice in catalogue().all() if voice.engine == self._engine]


def _fields(voice: Voice) -> Fields:
    return {**asdict(voice), "parameters": dict(voice.parameters)}


def _voice(fields: Fields) -> Voice:
    tuples = {name: tuple(fields[name]) for name in ("languages", "openai")}
    return Voice(**{**fields, **tuples})
