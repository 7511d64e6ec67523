// The microphone: permission, capture, level.

import { Problem } from "./service.js";

const REFUSED = {
  NotAllowedError: "The microphone is blocked. Allow it for this page in the browser's settings, then try again.",
  NotFoundError: "No microphone was found. Plug one in, then try again.",
  NotReadableError: "Another program is using the microphone. Close it, then try again.",
};
const SAMPLE_RATES = [8000, 16000, 24000, 44100, 48000]; // what `/ws/asr` takes

/**
 * Start capturing. Throws `Problem`.
 * @param {(pcm: ArrayBuffer, level: number) => void} onFrame ten times a second: PCM16, and its peak from 0 to 1
 * @param {() => void} onLost the microphone has been unplugged, or its permission taken back
 * @returns {Promise<{sampleRate: number, close: () => void}>}
 */
export async function openMicrophone(onFrame, onLost) {
  if (!navigator.mediaDevices) throw new Problem("The microphone needs a secure page: use https or localhost.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new Problem(REFUSED[error.name] ?? "The microphone could not be opened.");
  }
  const [track] = stream.getTracks();
  let context = new AudioContext();
  try {
    if (!SAMPLE_RATES.includes(context.sampleRate)) {
      context.close();
      context = new AudioContext({ sampleRate: 48000 });
    }
    await context.resume();
    await context.audioWorklet.addModule(new URL("capture-worklet.js", import.meta.url));
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }) => onFrame(data.pcm, data.level);
    context.createMediaStreamSource(stream).connect(capture);
  } catch (error) {
    track.stop();
    throw new Problem("The microphone could not be opened.", { cause: error });
  }
  track.onended = onLost;
  return {
    sampleRate: context.sampleRate,
    close() {
      track.onended = null;
      track.stop();
      context.close();
    },
  };
}
