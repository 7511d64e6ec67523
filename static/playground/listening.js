// Speech to text, live: the microphone into `/ws/asr`, words out.

import { openMicrophone } from "./microphone.js";
import { Problem, openSocket } from "./service.js";

const RETRIES_S = [1, 2, 4, 8];
const MOST_UNSENT = 100; // frames kept while a connection is made: ten seconds
const FRAME_MS = 100;

/**
 * @typedef {object} ListeningTell what a `Listening` says
 * @property {(text: string) => void} state
 * @property {(level: number) => void} level from 0 to 1
 * @property {(text: string, stable: string) => void} partial `stable`: the beginning that will not change
 * @property {(text: string) => void} final
 * @property {(name: string, ms: number) => void} latency
 * @property {(problem: Problem | null) => void} problem
 * @property {() => void} ended
 */

/** One press of the microphone until the next. */
export class Listening {
  /**
   * @param {string} language a code, or empty: detect it
   * @param {ListeningTell} tell
   */
  constructor(language, tell) {
    this.language = language;
    this.tell = tell;
    this.unsent = [];
    this.attempt = 0;
    this.stopping = false;
    this.over = false;
  }

  async start() {
    try {
      const lost = () => this.#failed(new Problem("The microphone is gone. Connect it, then try again."));
      this.microphone = await openMicrophone((pcm, level) => this.#frame(pcm, level), lost);
      if (this.stopping) return this.#end();
      await this.#connect();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** No more speech: the last words come, then the end. */
  stop() {
    if (this.stopping) return;
    this.stopping = true;
    if (!this.ready) return this.#end();
    this.#hush();
    this.tell.state("Finishing …");
    this.#send({ type: "stop" });
  }

  async #connect() {
    this.tell.state("Connecting …");
    this.speechAt = 0;
    this.heard = false;
    this.socket = await openSocket("/ws/asr", {
      onEvent: (event) => this.#event(event),
      onClose: (problem) => this.#closed(problem),
    });
    if (this.over) return this.socket.close(1000);
    const start = { type: "start", sample_rate: this.microphone.sampleRate };
    if (this.language) start.language = this.language;
    this.#send(start);
  }

  #send(message) {
    this.socket.send(JSON.stringify(message));
  }

  #frame(pcm, level) {
    this.tell.level(level);
    const frame = { pcm, at: performance.now() - FRAME_MS };
    if (this.ready) this.#sendFrame(frame);
    else if (this.unsent.push(frame) > MOST_UNSENT) this.unsent.shift();
  }

  #sendFrame({ pcm, at }) {
    this.startedAt ??= at; // where the service's clock has its zero
    this.socket.send(pcm);
  }

  #event(event) {
    switch (event.type) {
      case "ready":
        this.ready = true;
        this.attempt = 0;
        this.startedAt = undefined;
        for (const frame of this.unsent.splice(0)) this.#sendFrame(frame);
        this.tell.state("Listening. Press again to stop.");
        break;
      case "speech_started":
        this.speechAt = event.at_ms;
        this.heard = false;
        break;
      case "partial":
        if (!this.heard && event.text) this.#late("first words", this.speechAt);
        this.heard ||= Boolean(event.text);
        this.tell.partial(event.text, event.stable);
        break;
      case "final":
        if (event.text) this.#late("final", event.end_ms);
        this.tell.final(event.text);
        break;
    }
  }

  #late(name, atMs) {
    this.tell.latency(name, performance.now() - this.startedAt - atMs);
  }

  #closed(problem) {
    this.ready = false;
    if (this.over) return;
    if (problem?.retry && !this.stopping && this.attempt < RETRIES_S.length) this.#retry(problem);
    else if (problem) this.#failed(problem);
    else this.#end();
  }

  #retry(problem) {
    const seconds = RETRIES_S[this.attempt++];
    this.tell.state("Not connected");
    this.tell.problem(new Problem(`${problem.message} Trying again in ${seconds} s …`));
    setTimeout(async () => {
      if (this.over) return;
      try {
        await this.#connect();
        this.tell.problem(null);
      } catch (error) {
        this.#closed(error);
      }
    }, 1000 * seconds);
  }

  #failed(error) {
    if (this.over) return;
    this.tell.problem(error instanceof Problem ? error : new Problem("Something went wrong. Try again."));
    this.#end();
  }

  #end() {
    this.#hush();
    if (this.over) return;
    this.over = this.stopping = true;
    this.ready = false;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.close(1000);
    this.tell.ended();
  }

  #hush() {
    this.microphone?.close();
    this.microphone = null;
    this.tell.level(0);
  }
}
