"""Every response to the requests that Schemathesis generates is documented in ``/schema/`` and matches its schema.

``make test-schema`` makes more requests, from two seeds.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from tests import services, sound
from tests.clients.conftest import ENVIRONMENTS

SEEDS = os.environ.get("VOICE_SCHEMA_SEEDS", "1").split()
EXAMPLES = os.environ.get("VOICE_SCHEMA_EXAMPLES", "10")
# This check is left out, because some requests fit the schema but are refused: a file without audio, and an
# Idempotency-Key that was used with another body.
LEFT_OUT = "positive_data_acceptance"
ANSWERED = """
[[operations]]
include-path = "/v1/audio/speech/{{request_id}}/rating"
parameters = {{ "path.request_id" = "{speech}" }}

[[operations]]
include-path = "/v1/audio/transcriptions/{{request_id}}/correction"
parameters = {{ "path.request_id" = "{transcription}" }}
"""


async def answered_requests(service: services.Served) -> str:
    """Make requests that can be rated and corrected; return a Schemathesis configuration that contains their ids."""
    async with httpx.AsyncClient(base_url=f"{service.url}/v1/audio", headers=service.headers(), timeout=60) as client:
        speech = await client.post("/speech", json={"input": "Selamat pagi."})
        files = {"file": ("clip.wav", sound.wav(sound.said("selamat pagi")))}
        transcription = await client.post("/transcriptions", files=files)
    ids = {"speech": speech.headers["X-Request-Id"], "transcription": transcription.headers["X-Request-Id"]}
    return ANSWERED.format(**ids)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
async def test_responses_match_the_schema(seed: str, tmp_path: Path) -> None:
    program = Path(os.environ[ENVIRONMENTS]) / "python" / "bin" / "schemathesis"
    with services.served(tmp_path, VOICE_ASR_MODEL="", VOICE_TTS_MODEL="") as service:
        config = tmp_path / "schemathesis.toml"
        config.write_text(await answered_requests(service))
        command = [program, "--config-file", config, "run", f"{service.url}/schema/", "--seed", seed, "-n", EXAMPLES]
        options = ["--phases", "examples,coverage,fuzzing", "--exclude-checks", LEFT_OUT, "--continue-on-failure"]
        auth = ["-H", f"Authorization: Bearer {service.key}", "--no-color", "--generation-database", "none"]
        process = await asyncio.create_subprocess_exec(
            *map(str, [*command, *options, *auth]),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        print(output.decode()[-1500:])
        assert process.returncode == 0, output.decode()
