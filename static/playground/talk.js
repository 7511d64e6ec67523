// Talk mode: a conversation. The page answers aloud, and the answer stops as soon as the user speaks again.

import { $, milliseconds, say, showProblem } from "./page.js";
import { voice } from "./service.js";

const WORD_MS = 25; // time per word, about as fast as a language model writes

/** @type {import("../voice.js").Listening | null} */
let conversation = null;
/** @type {HTMLElement | null} */
let asking = null; // the line of the user's current utterance

const LATENCIES = { speech: "latency_noticed", final: "latency_final", sound: "latency_sound" };
const latencies = new Map();

function tellLatency(what, ms) {
  if (!LATENCIES[what]) return;
  latencies.set(what, say(LATENCIES[what], { time: milliseconds(ms) }));
  $("talk-latency").textContent = [...latencies.values()].join(" · ");
}

function state(name) {
  $("talk-state").textContent = name ? say(`talk_${name}`) : "";
  $("talk-state").dataset.state = name;
}

/** @type {import("../voice.js").ListenOptions} */
const heard = {
  onListening() {
    showProblem("talk-problem", null);
    state("listening");
  },
  onSpeech: () => state("hearing"),
  onPause: () => state("recognising"),
  onPartial: (text) => ((asking ??= turn("person")).textContent = text),
  onFinal(text, event) {
    asking ??= turn("person");
    asking.textContent = text;
    if (text) answer(text, event.language);
    else asking.remove();
    if (!text) state("listening");
    asking = null;
  },
  onLatency: tellLatency,
  onProblem(problem, seconds) {
    if (seconds === null) return showProblem("talk-problem", problem);
    state("");
    showProblem("talk-problem", { ...problem, message: say("trying_again", { problem: problem.message, seconds }) });
  },
  onEnd() {
    conversation = asking = null;
    voice.hush();
    state("");
    $("talk").setAttribute("aria-pressed", "false");
    $("talk").textContent = say("talk_start");
  },
};

async function answer(question, language) {
  const line = turn("service");
  let heardUpTo = 0; // index in the answer up to which it has been played
  const speech = voice.speak({
    voice: $("voice").value || undefined,
    onLatency: (ms) => tellLatency("sound", ms),
    onSentence(text) {
      state("speaking");
      const at = line.textContent.indexOf(text, heardUpTo);
      if (at >= 0) heardUpTo = at + text.length;
    },
    onProblem: (problem) => showProblem("talk-problem", problem),
    onEnd(finished) {
      line.dataset.end = finished ? "heard" : "interrupted";
      if (!conversation) return;
      if (finished) state("listening");
      else showInterrupted(line, heardUpTo);
    },
  });
  for await (const piece of reply(question, language)) {
    if (line.dataset.end) return; // interrupted; an application would stop its language model here
    line.append(piece);
    scrollDown();
    speech.write(piece);
  }
  speech.end();
}

/** Yield a fixed reply word by word, in place of a language model. */
async function* reply(question, language) {
  const words = say(language === "ms" ? "reply_ms" : "reply_en", { question });
  for (const word of words.split(/(?<= )/)) {
    await new Promise((resolve) => setTimeout(resolve, WORD_MS));
    yield word;
  }
}

function turn(who) {
  const line = document.createElement("p");
  line.className = who;
  $("turns").append(line);
  scrollDown();
  return line;
}

const scrollDown = () => ($("turns").scrollTop = $("turns").scrollHeight);

/** Strike out the part of an answer that was not played. A language model should not treat this part as said. */
function showInterrupted(line, heardUpTo) {
  const whole = line.textContent;
  const unheard = document.createElement("s");
  const mark = document.createElement("em");
  unheard.textContent = whole.slice(heardUpTo);
  mark.textContent = say("talk_interrupted");
  line.replaceChildren(whole.slice(0, heardUpTo), unheard, mark);
}

export const isTalking = () => conversation !== null;
export const stopTalking = () => conversation?.stop();

export function startTalking() {
  showProblem("talk-problem", null);
  latencies.clear();
  $("talk-latency").textContent = "";
  $("talk").setAttribute("aria-pressed", "true");
  $("talk").textContent = say("talk_stop");
  state("connecting");
  conversation = voice.listen({ ...heard, language: $("language").value });
}
