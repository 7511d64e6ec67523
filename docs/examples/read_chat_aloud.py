"""Read a chat answer aloud while the language model is still writing it.

    pip install openai websockets
    VOICE_KEY=vk_... CHAT_URL=https://chat.example/v1 CHAT_KEY=... CHAT_MODEL=... \\
        python read_chat_aloud.py "Apa makanan terkenal di Pulau Pinang?" answer.wav

Each sentence of the answer is printed when it is spoken. The audio is saved as a WAV file. A chat
product would play the audio instead.
"""

import asyncio
import json
import os
import sys
import wave

from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect

VOICE_URL = os.environ.get("VOICE_URL", "ws://127.0.0.1:8000/ws/tts")


async def write(voice: ClientConnection, question: str) -> None:
    """Send each piece of the answer to the service as it arrives. The service finds the sentences itself."""
    chat = AsyncOpenAI(base_url=os.environ["CHAT_URL"], api_key=os.environ.get("CHAT_KEY", "none"))
    stream = await chat.chat.completions.create(
        model=os.environ["CHAT_MODEL"], messages=[{"role": "user", "content": question}], stream=True
    )
    async for chunk in stream:
        if chunk.choices and (text := chunk.choices[0].delta.content):
            await voice.send(json.dumps({"type": "text", "text": text}))
    await voice.send(json.dumps({"type": "end"}))


async def listen(voice: ClientConnection, path: str) -> None:
    """Print each sentence when it is spoken, and write the audio to a WAV file."""
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", "not compressed"))
        async for message in voice:
            if isinstance(message, bytes):
                file.writeframes(message)
                continue
            event = json.loads(message)
            if event["type"] == "sentence":
                print(event["text"], flush=True)
            elif event["type"] == "error":
                raise SystemExit(event["error"]["message"])


async def main(question: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {os.environ['VOICE_KEY']}"}
    async with connect(VOICE_URL, additional_headers=headers) as voice:
        await voice.send(json.dumps({"type": "start", "voice": "alloy"}))
        writing = asyncio.create_task(write(voice, question))
        await listen(voice, path)  # returns when the service has spoken everything
        await writing


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
