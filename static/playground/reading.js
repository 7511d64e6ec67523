// Text to speech, live: text into `/ws/tts`, audio out of the loudspeaker, sentence by sentence.

import { Problem, openSocket } from "./service.js";

const SAMPLE_RATE = 24000;
const CUSHION_S = 0.06; // between arrival and playing, against hiccups

/** `tell` gets: sentence(text | null), latency(ms), problem(Problem), ended(). */
export class Reading {
  constructor(player, tell) {
    this.player = player;
    this.tell = tell;
    this.timers = [];
  }

  async start(text, { voice, speed }) {
    this.askedAt = performance.now();
    this.context = new AudioContext({ sampleRate: SAMPLE_RATE });
    this.output = this.context.createMediaStreamDestination();
    this.player.srcObject = this.output.stream;
    this.playing = this.player.play();
    this.nextAt = 0;
    this.beganAt = null;
    try {
      await this.playing;
      this.socket = await openSocket("/ws/tts", {
        onEvent: (event) => this.#event(event),
        onAudio: (buffer) => this.#audio(buffer),
        onClose: (problem) => this.#closed(problem),
      });
      if (this.over) return this.socket.close();
      const start = { type: "start", speed };
      if (voice) start.voice = voice;
      for (const message of [start, { type: "text", text }, { type: "end" }]) this.socket.send(JSON.stringify(message));
    } catch (error) {
      if (!this.over) this.#failed(error);
    }
  }

  /** Silence, at once. */
  stop() {
    if (this.over) return;
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "cancel" }));
      this.socket.close(1000);
    }
    this.#end();
  }

  #event(event) {
    if (event.type === "sentence") {
      const wait = this.beganAt === null ? 0 : this.beganAt + event.start_ms / 1000 - this.context.currentTime;
      this.timers.push(setTimeout(() => this.tell.sentence(event.text), Math.max(0, 1000 * wait)));
    } else if (event.type === "done") {
      const left = Math.max(0, this.nextAt - this.context.currentTime);
      this.timers.push(setTimeout(() => this.#end(), 1000 * left + 150));
    }
  }

  #audio(buffer) {
    if (this.over) return;
    const pcm = new Int16Array(buffer);
    const audio = this.context.createBuffer(1, pcm.length, SAMPLE_RATE);
    audio.getChannelData(0).set(Float32Array.from(pcm, (sample) => sample / 32768));
    const source = this.context.createBufferSource();
    source.buffer = audio;
    source.connect(this.output);
    const at = Math.max(this.nextAt, this.context.currentTime + CUSHION_S);
    source.start(at);
    this.nextAt = at + audio.duration;
    if (this.beganAt === null) {
      this.beganAt = at;
      this.tell.latency(performance.now() - this.askedAt);
    }
  }

  #closed(problem) {
    if (problem && !this.over) this.#failed(problem);
  }

  #failed(error) {
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
    this.tell.sentence(null);
    this.tell.ended();
  }
}
