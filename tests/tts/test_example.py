"""The example client in the docs works with a streaming chat."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import wave
from pathlib import Path

from tests.services import ROOT, Served

ANSWER = ["Char kuey ", "teow dan ", "asam la", "ksa. Har", "ganya RM", "8.50 sahaja", "!"]


async def chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond like the streaming endpoint of an OpenAI-compatible chat."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for text in ANSWER:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        chunk["choices"] = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
        writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write(b"data: [DONE]\n\n")
    await writer.drain()
    writer.close()


async def test_it_works(served_service: Served, tmp_path: Path) -> None:
    server = await asyncio.start_server(chat, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    environment = {
        **os.environ,
        "VOICE_URL": served_service.url.replace("http", "ws") + "/ws/tts",
        "VOICE_KEY": served_service.key,
        "CHAT_URL": f"http://127.0.0.1:{port}/v1",
        "CHAT_MODEL": "m",
    }
    script = ROOT / "docs" / "examples" / "read_chat_aloud.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, "Apa yang sedap?", tmp_path / "a.wav", env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    server.close()
    assert process.returncode == 0
    assert output.decode().splitlines() == ["Char kuey teow dan asam laksa.", "Harganya RM8.50 sahaja!"]
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert 2 < file.getnframes() / file.getframerate() < 10
