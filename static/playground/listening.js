// Speech to text, live: the microphone into `/ws/asr`, words out.

import { openMicrophone } from "./microphone.js";
import { Problem, openSocket } from "./service.js";

const RETRIES_S = [1, 2, 4, 8];
const MOST_UNSENT = 100; // frames kept while a connection is made: ten seconds

/**
 * One press of the microphone until the next. `tell` gets: state(text), level(0–1), partial(text, stable), final(text),
 * latency(name, ms), problem(Problem), ended().
 */
export class Listening {
  constructor(language, tell) {
    this.language = language;
    this.tell = tell;
    this.unsent = [];
    this.socket = null;
    this.stopping = false;
    this.attempt = 0;
  }

  async start() {
    try {
      this.microphone = await openMicrophone((pcm, level) => this.#frame(pcm, level));
      await this.#connect();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** No more speech: the last words come, then the end. */
  stop() {
    if (this.stopping) return;
    this.stopping = true;
    this.#hush();
    if (this.ready) {
      this.tell.state("Finishing …");
      this.socket.send(JSON.stringify({ type: "stop" }));
    } else {
      this.#end();
    }
  }

  async #connect() {
    this.tell.state("Connecting …");
    this.heard = false;
    this.socket = await openSocket("/ws/asr", {
      onEvent: (event) => this.#event(event),
      onClose: (problem) => this.#closed(problem),
    });
    const start = { type: "start", sample_rate: this.microphone.sampleRate };
    if (this.language) start.language = this.language;
    this.socket.send(JSON.stringify(start));
  }

  #frame(pcm, level) {
    this.tell.level(level);
    if (this.ready) this.#send(pcm);
    else if (this.unsent.push(pcm) > MOST_UNSENT) this.unsent.shift();
  }

  #send(pcm) {
    this.startedAt ??= performance.now() - 100; // the frame's first sample is a tenth of a second old
    this.socket.send(pcm);
  }

  #event(event) {
    switch (event.type) {
      case "ready":
        this.ready = true;
        this.attempt = 0;
        this.startedAt = undefined;
        for (const pcm of this.unsent.splice(0)) this.#send(pcm);
        this.tell.state("Listening. Press again to stop.");
        if (this.stopping) this.socket.send(JSON.stringify({ type: "stop" }));
        break;
      case "speech_started":
        this.speechAt = event.at_ms;
        this.heard = false;
        break;
      case "partial":
        if (!this.heard && event.text) {
          this.heard = true;
          this.#late("first words", this.speechAt ?? 0);
        }
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
    if (problem?.retry && !this.stopping && this.attempt < RETRIES_S.length) this.#retry(problem);
    else if (problem) this.#failed(problem);
    else this.#end();
  }

  #retry(problem) {
    const seconds = RETRIES_S[this.attempt++];
    this.tell.problem(new Problem(`${problem.message} Trying again in ${seconds} s …`));
    setTimeout(async () => {
      if (this.stopping) return;
      try {
        await this.#connect();
        this.tell.problem(null);
      } catch (error) {
        this.#closed(error);
      }
    }, 1000 * seconds);
  }

  #failed(error) {
    this.tell.problem(error instanceof Problem ? error : new Problem("Something went wrong. Try again."));
    this.#end();
  }

  #end() {
    this.stopping = true;
    this.ready = false;
    this.#hush();
    this.tell.ended();
  }

  #hush() {
    this.microphone?.close();
    this.microphone = null;
    this.tell.level(0);
  }
}
