// Use the service with openai-node.
import assert from "node:assert/strict";
import fs from "node:fs";
import OpenAI from "openai";

const { CLIENT_URL, CLIENT_KEY, CLIENT_CLIP, CLIENT_SENTENCE } = process.env;
const client = new OpenAI({ baseURL: `${CLIENT_URL}/v1`, apiKey: CLIENT_KEY });
const file = () => fs.createReadStream(CLIENT_CLIP);

const text = await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: file(), language: "ms" });
assert.equal(text.text, CLIENT_SENTENCE);

const words = await client.audio.transcriptions.create({
  model: "whisper-1",
  file: file(),
  response_format: "verbose_json",
  timestamp_granularities: ["word", "segment"],
});
assert.equal(words.words.length, CLIENT_SENTENCE.split(" ").length);

const kinds = [];
const stream = await client.audio.transcriptions.create({
  model: "gpt-4o-transcribe-diarize",
  file: file(),
  response_format: "diarized_json",
  chunking_strategy: { type: "server_vad" },
  stream: true,
});
for await (const event of stream) kinds.push(event.type.split(".").at(-1));
assert.deepEqual(kinds, ["delta", "segment", "done"]);

const speech = await client.audio.speech.create({ model: "gpt-4o-mini-tts", voice: "coral", input: "Apa khabar?" });
assert.ok((await speech.arrayBuffer()).byteLength > 1000);

await assert.rejects(client.audio.transcriptions.create({ model: "chirp", file: file() }), { status: 404, code: "model_not_found" });
