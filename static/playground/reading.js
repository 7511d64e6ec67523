// Text to speech: reads a text aloud and marks the current sentence, makes an audio file, and shows how the text will
// be spoken.

import { $, milliseconds, say, showProblem } from "./page.js";
import { call, fetchAudio, voice } from "./service.js";

/** @type {import("../voice.js").Speech | null} */
let reading = null;
let searchFrom = 0; // index in the text after the last sentence that was played

/** @type {import("../voice.js").SpeakOptions} */
const spoken = {
  onSentence(text) {
    const whole = $("text").value;
    const at = whole.indexOf(text, searchFrom);
    if (at < 0) return void ($("script").textContent = whole);
    searchFrom = at + text.length;
    const mark = document.createElement("mark");
    mark.textContent = text;
    $("script").replaceChildren(whole.slice(0, at), mark, whole.slice(searchFrom));
    $("script").scrollTop = mark.offsetTop - $("script").clientHeight / 3;
  },
  onLatency: (ms) => ($("speak-latency").textContent = say("latency_sound", { time: milliseconds(ms) })),
  onProblem: (problem) => showProblem("speak-problem", problem),
  onEnd() {
    reading = null;
    $("read").disabled = false;
    $("stop").disabled = true;
    $("script").hidden = true;
    $("text").hidden = false;
  },
};

const chosen = () => ({ voice: $("voice").value || undefined, speed: Number($("speed").value) });

export const stopReading = () => reading?.cancel();

$("read").onclick = () => {
  showProblem("speak-problem", null);
  const text = $("text").value.trim();
  if (!text) return $("text").focus();
  searchFrom = 0;
  $("read").disabled = true;
  $("stop").disabled = false;
  $("script").textContent = $("text").value;
  $("script").hidden = false;
  $("text").hidden = true;
  $("speak-latency").textContent = "";
  reading = voice.speak({ ...spoken, ...chosen(), player: $("player") });
  reading.write(text);
  reading.end();
};
$("stop").onclick = stopReading;
$("speed").oninput = () => ($("speed-shown").value = `${Number($("speed").value).toFixed(1)}×`);

$("download").onclick = async () => {
  showProblem("speak-problem", null);
  const input = $("text").value.trim();
  if (!input) return $("text").focus();
  const label = $("download").textContent;
  $("download").disabled = true;
  $("download").textContent = say("download_making");
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await fetchAudio({ input, ...chosen(), response_format: "mp3" }));
    link.download = "voice.mp3";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (problem) {
    showProblem("speak-problem", problem);
  } finally {
    $("download").disabled = false;
    $("download").textContent = label;
  }
};

const PAUSE_MS = 400; // pause in typing after which the spoken form is requested
let typing = 0;

async function showSaid() {
  const text = $("text").value;
  if (!$("said").open || !text.trim()) return $("said-lines").replaceChildren();
  const headers = { "Content-Type": "application/json" };
  try {
    const script = await call("/v1/audio/speech/script", { method: "POST", headers, body: JSON.stringify({ input: text }) });
    if (text === $("text").value) $("said-lines").replaceChildren(...script.data.map(saidLine));
  } catch (problem) {
    showProblem("speak-problem", problem);
  }
}

function saidLine({ text, spoken }) {
  const line = document.createElement("tr");
  for (const words of [text, spoken || say("said_nothing")]) line.insertCell().textContent = words;
  return line;
}
$("said").ontoggle = showSaid;
$("text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(showSaid, PAUSE_MS);
});
