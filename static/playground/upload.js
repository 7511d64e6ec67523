// Speech to text from a file: shows each word with its time. Pressing a word plays the recording from there.

import { problemOf } from "../voice.js";
import { $, copies, say, showProblem } from "./page.js";
import { call } from "./service.js";

const MAX_BYTES = 25 * 1024 * 1024;
const HINT = $("file-state").textContent;
const recording = $("recording");

/** @type {{start: number, end: number, button: HTMLElement}[]} */
let timed = [];
let running = 0; // number of the newest upload; results of earlier uploads are ignored

async function transcribe(file) {
  const mine = ++running;
  showProblem("file-problem", null);
  clear();
  if (file.size > MAX_BYTES) return showProblem("file-problem", problemOf({ code: "file_too_large" }));
  recording.src = URL.createObjectURL(file);
  recording.hidden = false;
  $("file-state").textContent = say("file_recognising", { name: file.name });
  $("drop").setAttribute("aria-busy", "true");
  try {
    const transcript = await call("/v1/audio/transcriptions", { method: "POST", body: form(file) });
    if (mine === running) show(transcript, file.name);
  } catch (problem) {
    if (mine === running) {
      showProblem("file-problem", problem);
      $("file-state").textContent = HINT;
      clear();
    }
  } finally {
    if (mine === running) $("drop").removeAttribute("aria-busy");
  }
}

function form(file) {
  const form = new FormData();
  form.append("file", file);
  form.append("response_format", "verbose_json");
  for (const wanted of ["word", "segment"]) form.append("timestamp_granularities[]", wanted);
  if ($("language").value) form.append("language", $("language").value);
  return form;
}

function clear() {
  if (recording.src) URL.revokeObjectURL(recording.src);
  recording.removeAttribute("src");
  for (const id of ["recording", "timed", "file-facts"]) $(id).hidden = true;
  $("timed").replaceChildren();
  $("copy-file").disabled = true;
  timed = [];
}

function show(transcript, name) {
  $("file-state").textContent = name;
  if (!transcript.text) return showProblem("file-problem", { message: say("file_no_speech") });
  const words = transcript.words.map(timedWord);
  timed = words;
  $("timed").replaceChildren(...words.flatMap(({ button }) => [button, " "]));
  const values = { language: languageOf(transcript), seconds: transcript.duration.toFixed(1), words: words.length };
  $("file-facts").textContent = say("file_facts", values);
  $("timed").hidden = $("file-facts").hidden = false;
  $("copy-file").disabled = false;
  plain.textContent = transcript.text;
}

/** Return the name of the transcript's language in the language of the page. */
function languageOf({ language, languages }) {
  const names = new Intl.DisplayNames([document.documentElement.lang], { type: "language" });
  return languages.length ? names.of(languages[0].code) : language;
}

function timedWord({ word, start, end }) {
  const button = document.createElement("button");
  const time = document.createElement("small");
  button.type = "button";
  button.className = "word";
  time.textContent = start.toFixed(2);
  button.append(word, time);
  button.setAttribute("aria-label", say("file_word", { word, seconds: start.toFixed(2) }));
  button.onclick = () => {
    recording.currentTime = start;
    recording.play();
  };
  return { start, end, button };
}

recording.ontimeupdate = () => {
  const now = recording.currentTime;
  for (const { start, end, button } of timed) button.classList.toggle("now", !recording.paused && now >= start && now < end);
};

$("file").onchange = () => {
  const [file] = $("file").files;
  $("file").value = ""; // otherwise choosing the same file again would have no effect
  if (file) transcribe(file);
};
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    const file = kind === "drop" && event.dataTransfer?.files[0];
    if (file) transcribe(file);
  });
}

const plain = document.createElement("p"); // the text without times, for the copy button
plain.className = "visually-hidden";
plain.setAttribute("aria-hidden", "true");
$("timed").after(plain);
copies($("copy-file"), plain);
