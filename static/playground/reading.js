// Text to speech, live: text into `/ws/tts`, audio out of the loudspeaker, sentence by sentence.

import { Problem, openSocket } from "./service.js";

const SAMPLE_RATE = 24000;
const CUSHION_S = 0.06; // between arrival and playing, against hiccups
const TAIL_MS = 150; // of the loudspeaker's own delay

/**
 * @typedef {object} ReadingTell what a `Reading` says
 * @property {(text: string) => void} sentence it begins to be heard
 * @property {(ms: number) => void} latency
 * @property {(problem: Problem) => void} problem
 * @property {() => void} ended
 */

/** One text, read aloud. */
export class Reading {
  /**
   * @param {HTMLAudioElement} player
   * @param {ReadingTell} tell
   */
  constructor(player, tell) {
    this.player = player;
    this.tell = tell;
    this.timers = [];
    this.upcoming = []; // sentences whose audio comes next
    this.nextAt = 0; // on the audio clock: when the audio that comes next will be heard
    this.over = false;
  }

  /**
   * @param {string} text
   * @param {{voice: string, speed: number}} how `voice`: an id, or empty for the default
   */
  async start(text, { voice, speed }) {
    this.askedAt = performance.now();
    this.context = new AudioContext({ sampleRate: SAMPLE_RATE });
    this.output = this.context.createMediaStreamDestination();
    this.player.srcObject = this.output.stream;
    try {
      await this.player.play();
      this.socket = await openSocket("/ws/tts", {
        onEvent: (event) => this.#event(event),
        onAudio: (buffer) => this.#audio(buffer),
        onClose: (problem) => problem && this.#failed(problem),
      });
      if (this.over) return this.socket.close(1000);
      const start = { type: "start", speed };
      if (voice) start.voice = voice;
      for (const message of [start, { type: "text", text }, { type: "end" }]) this.socket.send(JSON.stringify(message));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Silence, at once. */
  stop() {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "cancel" }));
      this.socket.close(1000);
    }
    this.#end();
  }

  #event(event) {
    if (event.type === "sentence") this.upcoming.push(event.text);
    if (event.type === "done") this.#at(this.nextAt, () => this.#end(), TAIL_MS);
  }

  #audio(buffer) {
    if (this.over) return;
    const pcm = new Int16Array(buffer);
    const audio = this.context.createBuffer(1, pcm.length, SAMPLE_RATE);
    audio.getChannelData(0).set(Float32Array.from(pcm, (sample) => sample / 32768));
    const source = this.context.createBufferSource();
    source.buffer = audio;
    source.connect(this.output);
    if (!this.nextAt) this.tell.latency(performance.now() - this.askedAt);
    const at = Math.max(this.nextAt, this.context.currentTime + CUSHION_S);
    source.start(at);
    this.nextAt = at + audio.duration;
    for (const text of this.upcoming.splice(0)) this.#at(at, () => this.tell.sentence(text));
  }

  #at(seconds, act, moreMs = 0) {
    const ms = 1000 * Math.max(0, seconds - this.context.currentTime);
    this.timers.push(setTimeout(act, ms + moreMs));
  }

  #failed(error) {
    if (this.over) return;
    this.tell.problem(error instanceof Problem ? error : new Problem("The sound could not be played."));
    this.#end();
  }

  #end() {
    if (this.over) return;
    this.over = true;
    for (const timer of this.timers) clearTimeout(timer);
    this.player.pause();
    this.player.srcObject = null;
    this.context.close();
    this.tell.ended();
  }
}
