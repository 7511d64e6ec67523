// The page: elements, and what happens between them.

import { Listening } from "./listening.js";
import { Reading } from "./reading.js";
import { samples } from "./samples.js";
import { call, key, takeKeyFromAddress } from "./service.js";

const $ = (id) => document.getElementById(id);
const THEME = "voice-theme";
let listening = null;
let reading = null;

// --- light and dark ---------------------------------------------------------------------------------------------
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
function showTheme() {
  document.documentElement.dataset.theme = localStorage.getItem(THEME) ?? (prefersDark.matches ? "dark" : "light");
}
prefersDark.addEventListener("change", showTheme);
$("theme").onclick = () => {
  localStorage.setItem(THEME, document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  showTheme();
};

// --- problems and latencies ---------------------------------------------------------------------------------------
function showProblem(id, problem) {
  $(id).hidden = !problem;
  $(id).textContent = problem?.message ?? "";
  if (problem?.needsKey) askForKey();
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
const wordsTell = {
  state: (text) => ($("listen-state").textContent = text),
  level: (level) => document.documentElement.style.setProperty("--level", Math.min(1, 1.4 * Math.sqrt(level)).toFixed(2)),
  partial(text, stable) {
    const open = openLine();
    const sure = document.createElement("b");
    sure.textContent = stable;
    open.replaceChildren(sure, text.slice(stable.length));
    $("words").scrollTop = $("words").scrollHeight;
  },
  final(text) {
    const line = openLine();
    line.className = "";
    line.textContent = text;
    if (!text) line.remove();
  },
  latency(name, ms) {
    latencies.set(name, milliseconds(ms));
    $("listen-latency").textContent = [...latencies].map(([what, time]) => `${what} ${time}`).join(" · ");
  },
  problem: (problem) => showProblem("listen-problem", problem),
  ended() {
    listening = null;
    $("microphone").setAttribute("aria-pressed", "false");
    $("microphone").setAttribute("aria-label", "Speak");
    $("listen-state").innerHTML = 'Press to speak<span class="keys">, or <kbd>Space</kbd></span>';
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
  if (listening) return listening.stop();
  reading?.stop(); // whoever begins to speak wants silence
  showProblem("listen-problem", null);
  latencies.clear();
  $("listen-latency").textContent = "";
  $("microphone").setAttribute("aria-pressed", "true");
  $("microphone").setAttribute("aria-label", "Stop");
  listening = new Listening($("language").value, wordsTell);
  listening.start();
}
$("microphone").onclick = toggleMicrophone;

// --- text to speech -------------------------------------------------------------------------------------------------
let marked = 0; // how far into the text sentences have been found
const readTell = {
  sentence(text) {
    const whole = $("text").value;
    const at = text === null ? -1 : whole.indexOf(text, marked);
    if (at < 0) return void ($("script").textContent = whole);
    marked = at;
    const mark = document.createElement("mark");
    mark.textContent = text;
    $("script").replaceChildren(whole.slice(0, at), mark, whole.slice(at + text.length));
    mark.scrollIntoView({ block: "nearest" });
  },
  latency: (ms) => ($("speak-latency").textContent = `first sound ${milliseconds(ms)}`),
  problem: (problem) => showProblem("speak-problem", problem),
  ended() {
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
  marked = 0;
  $("read").disabled = true;
  $("stop").disabled = false;
  $("script").textContent = $("text").value;
  $("script").hidden = false;
  $("text").hidden = true;
  $("speak-latency").textContent = "";
  reading = new Reading($("player"), readTell);
  reading.start(text, { voice: $("voice").value, speed: Number($("speed").value) });
};
$("stop").onclick = () => reading?.stop();
$("speed").oninput = () => ($("speed-shown").value = `${Number($("speed").value).toFixed(1)}×`);

// --- code -----------------------------------------------------------------------------------------------------------
const tabs = [...document.querySelectorAll("[data-sample]")];
function showSample() {
  const chosen = tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
  $("sample").textContent = samples[chosen.dataset.sample](location.origin, key.value || "YOUR_KEY");
}
for (const tab of tabs) {
  tab.onclick = () => {
    for (const other of tabs) other.setAttribute("aria-selected", String(other === tab));
    showSample();
  };
}
$("copy").onclick = async () => {
  await navigator.clipboard.writeText($("sample").textContent);
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
};

// --- keyboard -------------------------------------------------------------------------------------------------------
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    listening?.stop();
    reading?.stop();
  }
  const free = event.target === document.body;
  if (event.code === "Space" && free && !event.repeat) {
    event.preventDefault();
    toggleMicrophone();
  }
});

showTheme();
takeKeyFromAddress();
begin();
