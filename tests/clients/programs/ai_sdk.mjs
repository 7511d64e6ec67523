// Transcribe a recording and generate speech with the AI SDK.
import assert from "node:assert/strict";
import fs from "node:fs";
import * as ai from "ai";
import { createOpenAI } from "@ai-sdk/openai";

const { CLIENT_URL, CLIENT_KEY, CLIENT_CLIP, CLIENT_SENTENCE } = process.env;
const provider = createOpenAI({ baseURL: `${CLIENT_URL}/v1`, apiKey: CLIENT_KEY });
const transcribe = ai.transcribe ?? ai.experimental_transcribe;
const generateSpeech = ai.generateSpeech ?? ai.experimental_generateSpeech;

for (const model of ["whisper-1", "gpt-4o-mini-transcribe"]) {
  const heard = await transcribe({ model: provider.transcription(model), audio: fs.readFileSync(CLIENT_CLIP) });
  assert.equal(heard.text, CLIENT_SENTENCE);
}
const spoken = await generateSpeech({ model: provider.speech("gpt-4o-mini-tts"), text: "Apa khabar?", voice: "alloy" });
assert.ok(spoken.audio.uint8Array.length > 1000);
