"""Compare every parameter and event in OpenAI's Python types with the tables in docs/clients.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

from openai.types import audio, realtime
from openai.types.audio.transcription_create_params import TranscriptionCreateParamsBase
from openai.types.realtime import client_secret_create_params as secret
from openai.types.realtime import realtime_transcription_session_audio_input_param as session_input
from openai.types.realtime import realtime_transcription_session_audio_input_turn_detection_param as detection

PAGE = Path(__file__).resolve().parents[3] / "docs" / "clients.md"
STATES = {"works", "refused", "warns", "no effect", "sent", "never"}
PARAMETERS = {
    "transcription": TranscriptionCreateParamsBase,
    "translation": audio.TranslationCreateParams,
    "speech": audio.SpeechCreateParams,
    "session": realtime.RealtimeTranscriptionSessionCreateRequestParam,
    "session input": realtime.RealtimeTranscriptionSessionAudioInputParam,
    "session transcription": realtime.AudioTranscriptionParam,
    "session noise_reduction": session_input.NoiseReduction,
    "session server_vad": detection.ServerVad,
    "session semantic_vad": detection.SemanticVad,
    "secret": secret.ClientSecretCreateParams,
}
IN_A_SUBCLASS = {("transcription", "stream")}
EVENTS = {
    "Events of a streamed transcription": audio.TranscriptionStreamEvent,
    "From the client": realtime.RealtimeClientEvent,
    "From the service": realtime.RealtimeServerEvent,
}


def disagreements() -> list[str]:
    """Return a line for each name that only the types or only the tables contain."""
    page = PAGE.read_text()
    listed = set(_parameters(page))
    known = {(group, name) for group, form in PARAMETERS.items() for name in form.__annotations__} | IN_A_SUBCLASS
    found = [f"{group} {name} is in no row" for group, name in sorted(known - listed)]
    found += [f"{group} {name} is no parameter" for group, name in sorted(listed - known)]
    for heading, union in EVENTS.items():
        section = page.split(heading)[1].split("\n\n|" if heading.startswith("From") else "\n|", 1)[1].split("\n\n")[0]
        patterns = [name for row in _rows(section) for name in row[1]]
        kinds = [_kind(event) for event in _members(union)]
        found += [f"{kind} is in no row" for kind in kinds if not any(fnmatchcase(kind, one) for one in patterns)]
        found += [f"{one} is no event" for one in patterns if not any(fnmatchcase(kind, one) for kind in kinds)]
    return found


def _parameters(page: str) -> Iterator[tuple[str, str]]:
    section = page.split("### Requests")[1].split("###")[0]
    for group, names in _rows(section):
        yield from ((group, name) for name in names)


def _rows(section: str) -> Iterator[tuple[str, list[str]]]:
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if "`" in cells[0]:
            assert cells[1] in STATES, line
            yield cells[0].partition("`")[0].strip(), re.findall("`(.+?)`", cells[0])


def _members(union: Any) -> tuple[Any, ...]:
    """Return the members of a union. It may be a plain union or ``Annotated[Union[...], ...]``."""
    first = get_args(union)[0]
    return get_args(first) or get_args(union)


def _kind(event: Any) -> str:
    return str(get_args(event.model_fields["type"].annotation)[0])


if __name__ == "__main__":
    assert not disagreements(), disagreements()
