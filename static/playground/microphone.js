// The microphone: permission, capture, level.

import { Problem } from "./service.js";

const REFUSED = {
  NotAllowedError: "The microphone is blocked. Allow it for this page in the browser's settings, then try again.",
  NotFoundError: "No microphone was found. Plug one in, then try again.",
  NotReadableError: "Another program is using the microphone. Close it, then try again.",
};

/** Start capturing. `onFrame(pcm: ArrayBuffer, level: number)` ten times a second. Throws `Problem`. */
export async function openMicrophone(onFrame) {
  if (!navigator.mediaDevices) throw new Problem("The microphone needs a secure page: use https or localhost.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new Problem(REFUSED[error.name] ?? "The microphone could not be opened.");
  }
  const context = new AudioContext();
  await context.audioWorklet.addModule(new URL("capture-worklet.js", import.meta.url));
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  capture.port.onmessage = ({ data }) => onFrame(data.pcm, data.level);
  context.createMediaStreamSource(stream).connect(capture);
  return {
    sampleRate: context.sampleRate,
    close() {
      capture.port.onmessage = null;
      for (const track of stream.getTracks()) track.stop();
      context.close();
    },
  };
}
