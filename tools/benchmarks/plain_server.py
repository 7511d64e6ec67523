"""A minimal FastAPI server for comparison. It calls ``WhisperModel.transcribe`` once for each request.

    uvicorn tools.benchmarks.plain_server:app

Environment variables:

- ``PLAIN_MODEL``: the Whisper model, as a name or folder that faster-whisper accepts.
- ``PLAIN_COMPUTE_TYPE``: CTranslate2's compute type.
- ``PLAIN_THREADS``: faster-whisper's ``cpu_threads``.
- ``PLAIN_WORKERS``: faster-whisper's ``num_workers``.

All other settings are faster-whisper's defaults, including chunks of 30 s.
"""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import FastAPI, Form, UploadFile
from faster_whisper import WhisperModel

app = FastAPI()
model = WhisperModel(
    os.environ["PLAIN_MODEL"],
    device="cpu",
    compute_type=os.environ.get("PLAIN_COMPUTE_TYPE", "default"),
    cpu_threads=int(os.environ["PLAIN_THREADS"]),
    num_workers=int(os.environ["PLAIN_WORKERS"]),
)


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/v1/audio/transcriptions")
def transcribe(
    file: UploadFile, language: Annotated[str, Form()] = "ms"
) -> dict[str, str]:  # FastAPI runs this in a thread of its pool
    segments, _information = model.transcribe(file.file, language=language)
    return {"text": " ".join(segment.text.strip() for segment in segments)}
