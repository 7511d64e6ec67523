"""What one writes first: a FastAPI server that calls ``WhisperModel.transcribe`` once per request. Only for comparison.

    uvicorn benchmarks.plain_server:app

``PLAIN_MODEL``: the checkpoint. ``PLAIN_COMPUTE_TYPE``: CTranslate2's. ``PLAIN_THREADS`` and ``PLAIN_WORKERS``:
faster-whisper's ``cpu_threads`` and ``num_workers``. Everything else is as faster-whisper has it, 30 s chunks included.
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
) -> dict[str, str]:  # FastAPI runs it in a thread of its pool
    segments, _information = model.transcribe(file.file, language=language)
    return {"text": " ".join(segment.text.strip() for segment in segments)}
