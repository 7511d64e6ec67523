// The page: elements, and what happens between them.

import { Voice } from "../voice.js";
import { samples } from "./samples.js";
import { call, key, takeKeyFromAddress, token } from "./service.js";

const $ = (id) => document.getElementById(id);
const HINT = $("listen-state").innerHTML;

const NEEDS_KEY = ["missing_credentials", "invalid_api_key"];

const voice = new Voice({ token });
/** @type {import("../voice.js").Listening | null} */
let listening = null;
/** @type {import("../voice.js").Speech | null} */
let reading = null;

// --- problems and latencies -----------------------------------------------------------------------------------------
function showProblem(id, problem) {
  $(id).hidden = !problem;
  $(id).textContent = problem?.message ?? "";
  if (NEEDS_KEY.includes(problem?.code)) askForKey();
}
const milliseconds = (ms) => `${Math.max(0, Math.round(ms))} ms`;

// --- the key --------------------------------------------------------------------------------------------------------
function askForKey() {
  $("key-form").hidden = false;
}
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  key.value = $("key").value;
  $("key-form").hidden = true;
  begin();
};

async function begin() {
  showSample();
  if (!key.value) return askForKey();
  try {
    const voices = await call("/v1/audio/voices");
    const chosen = $("voice").value;
    $("voice").replaceChildren(...voices.data.map((voice) => new Option(voice.name, voice.id, voice.default)));
    if (chosen) $("voice").value = chosen;
    showProblem("speak-problem", null);
  } catch (problem) {
    showProblem("speak-problem", problem);
  }
}

// --- speech to text -------------------------------------------------------------------------------------------------
const latencies = new Map();

const LATENCIES = { partial: "first words", final: "final" };
const state = (text) => ($("listen-state").textContent = text);

/** @type {import("../voice.js").ListenOptions} */
const heard = {
  onListening() {
    showProblem("listen-problem", null);
    state("Listening. Press again to stop.");
  },
  onSpeech: () => state("Hearing you …"),
  onPause: () => state("Recognising …"),
  onLevel: (level) => document.documentElement.style.setProperty("--level", Math.min(1, 1.4 * Math.sqrt(level)).toFixed(2)),
  onPartial(text, stable) {
    const open = openLine();
    const sure = document.createElement("b");
    sure.textContent = stable;
    open.replaceChildren(sure, text.slice(stable.length));
    $("words").scrollTop = $("words").scrollHeight;
  },
  onFinal(text) {
    const line = openLine();
    line.className = "";
    line.textContent = text;
    if (!text) line.remove();
    $("words").scrollTop = $("words").scrollHeight;
    state("Listening. Press again to stop.");
  },
  onLatency(what, ms) {
    latencies.set(LATENCIES[what], milliseconds(ms));
    $("listen-latency").textContent = [...latencies].map(([name, time]) => `${name} ${time}`).join(" · ");
  },
  onProblem(problem, seconds) {
    if (seconds === null) return showProblem("listen-problem", problem);
    state("Not connected");
    showProblem("listen-problem", { ...problem, message: `${problem.message} Trying again in ${seconds} s …` });
  },
  onEnd() {
    listening = null;
    $("words").querySelector(".open")?.classList.remove("open");
    $("microphone").setAttribute("aria-pressed", "false");
    $("microphone").setAttribute("aria-label", "Speak");
    $("listen-state").innerHTML = HINT;
  },
};

function openLine() {
  const last = $("words").lastElementChild;
  if (last?.className === "open") return last;
  const line = document.createElement("p");
  line.className = "open";
  $("words").append(line);
  return line;
}

function toggleMicrophone() {
  if (listening) {
    state("Finishing …");
    return listening.stop();
  }
  showProblem("listen-problem", null);
  latencies.clear();
  $("listen-latency").textContent = "";
  $("microphone").setAttribute("aria-pressed", "true");
  $("microphone").setAttribute("aria-label", "Stop");
  state("Connecting …");
  listening = voice.listen({ ...heard, language: $("language").value });
}
$("microphone").onclick = toggleMicrophone;

// --- text to speech -------------------------------------------------------------------------------------------------
let searchFrom = 0; // in the text, after the sentence that was heard last

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
  onLatency: (ms) => ($("speak-latency").textContent = `first sound ${milliseconds(ms)}`),
  onProblem: (problem) => showProblem("speak-problem", problem),
  onEnd() {
    reading = null;
    $("read").disabled = false;
    $("stop").disabled = true;
    $("script").hidden = true;
    $("text").hidden = false;
  },
};

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
  const speed = Number($("speed").value);
  reading = voice.speak({ ...spoken, voice: $("voice").value || undefined, speed, player: $("player") });
  reading.write(text);
  reading.end();
};
$("stop").onclick = () => reading?.cancel();
$("speed").oninput = () => ($("speed-shown").value = `${Number($("speed").value).toFixed(1)}×`);

// --- what will be said ----------------------------------------------------------------------------------------------
const PAUSE_MS = 400; // in typing, before the words are asked for
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
  for (const words of [text, spoken || "(nothing)"]) line.insertCell().textContent = words;
  return line;
}
$("said").ontoggle = showSaid;
$("text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(showSaid, PAUSE_MS);
});

// --- code -----------------------------------------------------------------------------------------------------------
const choices = [...document.querySelectorAll("[data-sample]")];
function showSample() {
  const chosen = choices.find((choice) => choice.getAttribute("aria-pressed") === "true");
  $("sample").textContent = samples[chosen.dataset.sample](location.origin, key.value || "YOUR_KEY");
}
for (const choice of choices) {
  choice.onclick = () => {
    for (const other of choices) other.setAttribute("aria-pressed", String(other === choice));
    showSample();
  };
}
$("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText($("sample").textContent);
    $("copy").textContent = "Copied";
  } catch {
    // Without permission, or on a page that is not secure: the visitor copies what is now selected.
    getSelection().selectAllChildren($("sample"));
    $("copy").textContent = "Press Ctrl+C";
  }
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
};

// --- keyboard -------------------------------------------------------------------------------------------------------
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    listening?.stop();
    reading?.cancel();
  }
  const free = event.target === document.body;
  if (event.code === "Space" && free && !event.repeat) {
    event.preventDefault();
    toggleMicrophone();
  }
});

takeKeyFromAddress();
begin();
