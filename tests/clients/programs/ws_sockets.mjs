// Connect to all three WebSockets with Node's ws library, and to a path that is not a WebSocket.
import assert from "node:assert/strict";
import fs from "node:fs";
import WebSocket from "ws";

const { CLIENT_URL, CLIENT_KEY, CLIENT_CLIP, CLIENT_SENTENCE } = process.env;
const address = CLIENT_URL.replace("http", "ws");
const headers = { Authorization: `Bearer ${CLIENT_KEY}` };
const audio = fs.readFileSync(CLIENT_CLIP).subarray(44);

function talk(path, opened, heard, options = { headers }, protocols = []) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address + path, protocols, options);
    const send = (message) => socket.send(JSON.stringify(message));
    socket.on("open", () => opened(send, socket));
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`closed with ${code}`)));
    socket.on("message", (data, isBinary) => {
      const done = heard(isBinary ? data : JSON.parse(data), send);
      if (done === undefined) return;
      socket.removeAllListeners("close");
      socket.close();
      resolve(done);
    });
  });
}

const final = await talk(
  "/ws/asr",
  (send, socket) => {
    send({ type: "start", sample_rate: 24000, language: "ms" });
    for (let at = 0; at < audio.length; at += 4800) socket.send(audio.subarray(at, at + 4800));
    send({ type: "stop" });
  },
  (message) => (message.type === "final" ? message.text : undefined),
);
assert.equal(final, CLIENT_SENTENCE);

let bytes = 0;
await talk(
  "/ws/tts",
  (send) => [{ type: "start" }, { type: "text", text: "Apa khabar?" }, { type: "end" }].forEach(send),
  (message) => {
    if (Buffer.isBuffer(message)) bytes += message.length;
    return message.type === "done" ? true : undefined;
  },
);
assert.ok(bytes > 20000);

const completed = await talk(
  "/v1/realtime?intent=transcription",
  () => {},
  (event, send) => {
    if (event.type === "session.created") {
      send({ type: "session.update", session: { type: "transcription", audio: { input: { turn_detection: null } } } });
      send({ type: "input_audio_buffer.append", audio: audio.toString("base64") });
      send({ type: "input_audio_buffer.commit" });
    }
    assert.notEqual(event.type, "error");
    return event.type.endsWith("transcription.completed") ? event.transcript : undefined;
  },
  {},
  ["realtime", `openai-insecure-api-key.${CLIENT_KEY}`],
);
assert.equal(completed, CLIENT_SENTENCE);

await assert.rejects(talk("/ws/nowhere", () => {}, () => undefined), /404/);
