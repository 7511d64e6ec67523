// Code samples to copy, which contain the address of this service and the visitor's key.

const python = (address, key) => `from openai import OpenAI

voice = OpenAI(base_url="${address}/v1", api_key="${key}")

speech = voice.audio.speech.create(model="tts-1", voice="alloy", input="Selamat pagi. Apa khabar?")
speech.write_to_file("pagi.mp3")

with open("pagi.mp3", "rb") as file:
    print(voice.audio.transcriptions.create(model="whisper-1", file=file, language="ms").text)`;

const curl = (address, key) => `curl ${address}/v1/audio/speech \\
  -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' \\
  -d '{"input": "Selamat pagi. Apa khabar?", "model": "tts-1", "voice": "alloy"}' -o pagi.mp3

curl ${address}/v1/audio/transcriptions \\
  -H 'Authorization: Bearer ${key}' \\
  -F file=@pagi.mp3 -F model=whisper-1 -F language=ms`;

const javascript = (address, key) => `import OpenAI from "openai";
import { createReadStream, writeFileSync } from "node:fs";

const voice = new OpenAI({ baseURL: "${address}/v1", apiKey: "${key}" });

const speech = await voice.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Selamat pagi. Apa khabar?" });
writeFileSync("pagi.mp3", Buffer.from(await speech.arrayBuffer()));

const words = await voice.audio.transcriptions.create({
  model: "whisper-1", file: createReadStream("pagi.mp3"), language: "ms",
});
console.log(words.text);`;

const page = (address) => `<script type="module">
  import { Voice } from "${address}/static/voice.js";

  const voice = new Voice({
    url: "${address}",
    token: async () => (await fetch("/voice-token")).text(), // your server: POST /v1/realtime/client_secrets
  });
  const { available } = await voice.availability();
  microphone.hidden = !available;
  microphone.onclick = () => voice.listen({
    language: "ms",
    onPartial: (text) => (question.value = text),
    onFinal: (text) => answer(text),
  });

  async function answer(text) {
    const speech = voice.speak(); // falls silent as soon as the person speaks again
    for await (const piece of askYourModel(text)) speech.write(piece);
    speech.end();
  }
</script>`;

export const samples = { curl, python, javascript, page };
