"""Use the service through LiteLLM, as an OpenAI-compatible provider."""

from __future__ import annotations

import os
from pathlib import Path

import litellm

URL, KEY, CLIP, SENTENCE = (os.environ[f"CLIENT_{name}"] for name in ("URL", "KEY", "CLIP", "SENTENCE"))

SERVICE = {"api_base": f"{URL}/v1", "api_key": KEY}

with Path(CLIP).open("rb") as clip:
    answer = litellm.transcription(model="openai/whisper-1", file=clip, language="ms", **SERVICE)
assert answer.text == SENTENCE, answer
spoken = litellm.speech(model="openai/tts-1", voice="alloy", input="Apa khabar?", **SERVICE)
assert len(spoken.content) > 1000
