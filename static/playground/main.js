// The whole page: the key, which features are available, code samples, and which part uses the microphone.

import { isListening, startListening, stopListening } from "./listening.js";
import { $, askForKey, chooses, copies, showProblem } from "./page.js";
import { stopReading } from "./reading.js";
import { samples } from "./samples.js";
import { availability, call, key, takeKeyFromAddress } from "./service.js";
import { isTalking, startTalking, stopTalking } from "./talk.js";
import "./upload.js";

// --- The key, and the features that it allows -----------------------------------------------------------------------
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  key.value = $("key").value;
  $("key-form").hidden = true;
  begin();
};

const PLACES = { realtime: ["talk-problem", "listen-problem"], asr: ["file-problem"], tts: ["speak-problem"] };

async function begin() {
  showSample();
  if (!key.value) return askForKey();
  showProblem("key-problem", null);
  try {
    const { features } = await availability();
    for (const [feature, places] of Object.entries(PLACES)) {
      const { available, message } = features[feature];
      for (const place of places) showProblem(place, available ? null : { message });
    }
    await showVoices();
  } catch (problem) {
    showProblem("speak-problem", problem);
  }
}

async function showVoices() {
  const voices = await call("/v1/audio/voices");
  const chosen = $("voice").value;
  $("voice").replaceChildren(...voices.data.map((voice) => new Option(voice.name, voice.id, voice.default)));
  if (chosen) $("voice").value = chosen;
}

// --- The microphone: only one part of the page uses it at a time ----------------------------------------------------
$("microphone").onclick = () => {
  stopTalking();
  if (isListening()) stopListening();
  else startListening();
};
$("talk").onclick = () => {
  stopListening();
  stopReading();
  if (isTalking()) stopTalking();
  else startTalking();
};

chooses([...document.querySelectorAll("[data-source]")], ({ dataset }) => {
  stopListening();
  for (const source of ["live", "file"]) $(`source-${source}`).hidden = source !== dataset.source;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    stopListening();
    stopTalking();
    stopReading();
  }
  const free = event.target === document.body;
  if (event.code === "Space" && free && !event.repeat) {
    event.preventDefault();
    $("microphone").click();
  }
});

// --- Code samples ---------------------------------------------------------------------------------------------------
const choices = [...document.querySelectorAll("[data-sample]")];
function showSample() {
  const chosen = choices.find((choice) => choice.getAttribute("aria-pressed") === "true");
  $("sample").textContent = samples[chosen.dataset.sample](location.origin, key.value || "YOUR_KEY");
  $("talk-sample").textContent = samples.page(location.origin);
}
chooses(choices, showSample);
copies($("copy"), $("sample"));

$("talk-code").open = matchMedia("(min-width: 52rem)").matches; // if there is room beside the conversation
takeKeyFromAddress();
begin();
