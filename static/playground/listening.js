// Speech to text from the microphone: shows the words while they are being said.

import { $, copies, milliseconds, say, showProblem } from "./page.js";
import { voice } from "./service.js";

const HINT = $("listen-state").innerHTML;

/** @type {import("../voice.js").Listening | null} */
let listening = null;

const LATENCIES = { partial: "latency_first_words", final: "latency_final" };
const latencies = new Map();
const state = (text) => ($("listen-state").textContent = text);

/** @type {import("../voice.js").ListenOptions} */
const heard = {
  onListening() {
    showProblem("listen-problem", null);
    state(say("listening"));
  },
  onSpeech: () => state(say("hearing")),
  onPause: () => state(say("recognising")),
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
    $("copy-words").disabled = !$("words").textContent;
    $("words").scrollTop = $("words").scrollHeight;
    state(say("listening"));
  },
  onLatency(what, ms) {
    if (!LATENCIES[what]) return;
    latencies.set(what, say(LATENCIES[what], { time: milliseconds(ms) }));
    $("listen-latency").textContent = [...latencies.values()].join(" · ");
  },
  onProblem(problem, seconds) {
    if (seconds === null) return showProblem("listen-problem", problem);
    state(say("not_connected"));
    showProblem("listen-problem", { ...problem, message: say("trying_again", { problem: problem.message, seconds }) });
  },
  onEnd() {
    listening = null;
    $("words").querySelector(".open")?.classList.remove("open");
    $("microphone").setAttribute("aria-pressed", "false");
    $("microphone").setAttribute("aria-label", say("speak"));
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

export const isListening = () => listening !== null;

export function stopListening() {
  if (!listening) return;
  state(say("finishing"));
  listening.stop();
}

export function startListening() {
  showProblem("listen-problem", null);
  latencies.clear();
  $("listen-latency").textContent = "";
  $("microphone").setAttribute("aria-pressed", "true");
  $("microphone").setAttribute("aria-label", say("stop"));
  state(say("connecting"));
  listening = voice.listen({ ...heard, language: $("language").value });
}

copies($("copy-words"), $("words"));
