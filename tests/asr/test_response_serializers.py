"""Every response of the transcription endpoints conforms to ``/schema/``."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest
from drf_spectacular.generators import SchemaGenerator

from tests import sound


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    described = copy.deepcopy(generator().get_schema(request=None, public=True))
    for component in described["components"]["schemas"].values():
        component.setdefault("additionalProperties", False)  # any other field would be undocumented
    return dict(described)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"language": "ms"},
        {"include[]": "logprobs"},
        {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]},
        {"response_format": "diarized_json"},
        {"response_format": "text"},
        {"response_format": "srt"},
        {"response_format": "vtt"},
        {"stream": "true"},
    ],
    ids=str,
)
async def test_an_answer_is_described(api: httpx.AsyncClient, schema: dict[str, Any], fields: dict[str, Any]) -> None:
    files = {"file": ("clip.wav", sound.wav(sound.said("selamat pagi semua")))}
    answer = await api.post("/v1/audio/transcriptions", files=files, data=fields)
    content = schema["paths"]["/v1/audio/transcriptions"]["post"]["responses"]["200"]["content"]
    content_type = answer.headers["Content-Type"].partition(";")[0]
    assert content_type in content
    if content_type == "application/json":
        import jsonschema  # takes a second to import, so it is imported only by the worker that needs it

        resolvable = {**content[content_type]["schema"], "components": schema["components"]}
        jsonschema.validate(answer.json(), resolvable)
