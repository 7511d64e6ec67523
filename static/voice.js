// Voice for a web page: live text from the microphone, speech from text as it is written, and one interrupting the other.
//
//   import { Voice } from "https://voice.example.com/static/voice.js";
//
//   const voice = new Voice({ url: "https://voice.example.com", token: async () => (await fetch("/voice-token")).text() });
//   const listening = voice.listen({ onPartial: show, onFinal: ask });
//   const speech = voice.speak();
//   for await (const piece of reply) speech.write(piece);
//   speech.end();
//
// `token` asks your own server for a short-lived `ek_…` token (POST /v1/realtime/client_secrets with your API key): the
// key itself never reaches the page. docs/frontend.md goes through it. No dependencies; copy this file if you like.

const FRAMES_PER_SECOND = 10;
const MICROPHONE_RATES = [8000, 16000, 24000, 44100, 48000]; // samples a second that `/ws/asr` takes
const SPEECH_RATE = 24000; // samples a second that `/ws/tts` sends
const MAX_UNSENT_FRAMES = 100; // kept while a connection is made: ten seconds
const RETRIES_S = [1, 2, 4, 8, 15, 15];
const CUSHION_S = 0.06; // between the arrival of audio and its playing, against hiccups
const TAIL_MS = 150; // of the loudspeaker's own delay

/** @typedef {"missing_credentials" | "invalid_api_key" | "expired_token" | "voice_not_enabled" | "forbidden" |
 *   "rate_limit_exceeded" | "quota_exceeded" | "too_many_streams" | "over_capacity" | "engine_unavailable" |
 *   "session_expired" | "idle_timeout" | "connection_lost" | "microphone" | "sound" | string} ProblemCode the service's error codes and some
 *   of the page's own: `microphone`, `sound`, `connection_lost` */

/** A failure in words that a person can act on. */
export class Problem extends Error {
  /**
   * @param {ProblemCode} code
   * @param {string} message
   * @param {{retry?: boolean, cause?: unknown}} [how] `retry`: the same may work in a moment
   */
  constructor(code, message, { retry = false, cause = undefined } = {}) {
    super(message, { cause });
    this.code = code;
    this.retry = retry;
  }
}

/** In which the same may work in a moment. */
const PASSING = ["expired_token", "session_expired", "over_capacity", "engine_unavailable", "connection_lost", "unreachable"];

/** @type {Record<string, Record<string, string>>} by language, then by code */
const MESSAGES = {
  en: {
    missing_credentials: "Enter an API key first.",
    invalid_api_key: "This API key is not known here. Check it, or ask for a new one.",
    expired_token: "The connection's token has expired. Try again.",
    voice_not_enabled: "Voice is not switched on for you yet.",
    forbidden: "This page may not connect to the service. Its operator can allow it.",
    rate_limit_exceeded: "Too many requests just now. Wait a moment and try again.",
    quota_exceeded: "This month's allowance is used up.",
    too_many_streams: "Too many connections are open for you. Close another tab first.",
    file_too_large: "This file is too large: 25 MB is the most.",
    over_capacity: "The service is at its capacity right now.",
    engine_unavailable: "The speech engine is not available right now.",
    session_expired: "This session has reached its longest duration.",
    idle_timeout: "Nothing was heard for a while, so the connection was closed.",
    connection_lost: "The connection was lost.",
    unreachable: "The service cannot be reached.",
    unknown: "Something went wrong. Try again.",
    sound: "The sound could not be played.",
    microphone: "The microphone could not be opened.",
    NotAllowedError: "The microphone is blocked. Allow it for this page in the browser's settings, then try again.",
    NotFoundError: "No microphone was found. Plug one in, then try again.",
    NotReadableError: "Another program is using the microphone. Close it, then try again.",
    microphone_gone: "The microphone is gone. Connect it, then try again.",
    microphone_insecure: "The microphone needs a secure page: use https or localhost.",
  },
  ms: {
    missing_credentials: "Masukkan kunci API dahulu.",
    invalid_api_key: "Kunci API ini tidak dikenali. Semak semula atau minta kunci baharu.",
    expired_token: "Token sambungan telah tamat tempoh. Cuba lagi.",
    voice_not_enabled: "Ciri suara belum dihidupkan untuk anda.",
    forbidden: "Halaman ini tidak dibenarkan menyambung ke perkhidmatan. Pengendalinya boleh membenarkannya.",
    rate_limit_exceeded: "Terlalu banyak permintaan buat masa ini. Tunggu sebentar, kemudian cuba lagi.",
    quota_exceeded: "Kuota bulan ini telah habis digunakan.",
    too_many_streams: "Terlalu banyak sambungan sedang dibuka. Tutup tab lain dahulu.",
    file_too_large: "Fail ini terlalu besar. Saiz maksimum ialah 25 MB.",
    over_capacity: "Perkhidmatan sedang penuh buat masa ini.",
    engine_unavailable: "Enjin pertuturan tidak tersedia buat masa ini.",
    session_expired: "Sesi ini telah mencapai had masanya.",
    idle_timeout: "Tiada apa-apa didengar untuk seketika, jadi sambungan ditutup.",
    connection_lost: "Sambungan terputus.",
    unreachable: "Perkhidmatan tidak dapat dihubungi.",
    unknown: "Ada yang tidak kena. Cuba lagi.",
    sound: "Bunyi tidak dapat dimainkan.",
    microphone: "Mikrofon tidak dapat dibuka.",
    NotAllowedError: "Mikrofon disekat. Benarkannya untuk halaman ini dalam tetapan pelayar, kemudian cuba lagi.",
    NotFoundError: "Tiada mikrofon ditemui. Sambungkan mikrofon, kemudian cuba lagi.",
    NotReadableError: "Program lain sedang menggunakan mikrofon. Tutup program itu, kemudian cuba lagi.",
    microphone_gone: "Mikrofon telah ditanggalkan. Sambungkannya semula, kemudian cuba lagi.",
    microphone_insecure: "Mikrofon memerlukan halaman yang selamat: gunakan https atau localhost.",
  },
};

/**
 * In the page's language (`<html lang>`), if that is one of these; English otherwise.
 * @param {string} name
 * @returns {string | undefined}
 */
function message(name) {
  const language = document.documentElement.lang.split("-")[0];
  return (MESSAGES[language] ?? MESSAGES.en)[name];
}

/**
 * @param {{code?: string, message?: string} | undefined} error the inside of the service's error envelope
 * @returns {Problem}
 */
export function problemOf(error) {
  const code = error?.code ?? "unknown";
  return new Problem(code, message(code) ?? error?.message ?? message("unknown") ?? "", { retry: PASSING.includes(code) });
}

/**
 * One with the microphone or the loudspeaker.
 * @param {"microphone" | "sound"} code
 * @param {string} [name] of its message, if there is a better one than the code's
 * @param {unknown} [cause]
 */
function deviceProblem(code, name = code, cause = undefined) {
  return new Problem(code, message(name) ?? message(code) ?? "", { cause });
}

/**
 * @typedef {object} VoiceOptions
 * @property {string} [url] where the service is; the page's own origin if left out
 * @property {() => Promise<string>} token a fresh short-lived token for the person at the page
 */

/**
 * @typedef {object} ListenOptions
 * @property {string} [language] what is spoken, such as `ms`; detected if left out
 * @property {boolean} [bargeIn] the person's speech silences what is being spoken; on unless false
 * @property {Record<string, unknown>} [start] more fields of the `start` message, such as `keywords`
 * @property {() => void} [onListening] the microphone is open and the service hears it
 * @property {() => void} [onSpeech] somebody has begun to speak
 * @property {() => void} [onPause] they have stopped; their words are being recognised
 * @property {(text: string, stable: string) => void} [onPartial] the words so far; `stable`: the beginning that stays
 * @property {(text: string, event: Record<string, any>) => void} [onFinal] an utterance, once it is complete
 * @property {(level: number) => void} [onLevel] of the microphone, 0 to 1, ten times a second
 * @property {(what: "speech" | "partial" | "final", ms: number) => void} [onLatency] how long after the speech it was
 *   noticed, after which what is being spoken is silent, and its text came
 * @property {(problem: Problem, secondsToRetry: number | null) => void} [onProblem] null: it has ended
 * @property {() => void} [onEnd]
 */

/**
 * @typedef {object} SpeakOptions
 * @property {string} [voice] a voice's id or name; the service's default if left out
 * @property {number} [speed] 0.25 to 4
 * @property {string} [language] of the text; told by the text itself if left out
 * @property {HTMLAudioElement} [player] plays it; one of its own if left out
 * @property {(text: string) => void} [onSentence] a sentence begins to be heard
 * @property {(ms: number) => void} [onLatency] from the first text to the first sound
 * @property {(problem: Problem) => void} [onProblem]
 * @property {(finished: boolean) => void} [onEnd] all has been heard, or it was cancelled
 */

/** The service, for one page and one person. */
export class Voice {
  /** @param {VoiceOptions} options */
  constructor({ url = location.origin, token }) {
    this.url = url.replace(/\/$/, "");
    this.token = token;
    /** @type {Set<Speech>} */
    this.speaking = new Set();
  }

  /**
   * Whether voice is on for this person, and why not: show or hide the microphone by it.
   * @returns {Promise<{available: boolean, features: Record<string, {available: boolean, code: string | null,
   *   message: string | null, retry_after_s: number | null}>}>}
   */
  async availability() {
    const answer = await this.#fetch("/v1/voice/availability", await this.#freshToken());
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw problemOf(body.error);
    return body;
  }

  /**
   * Open the microphone and tell what is said, until `stop`.
   * @param {ListenOptions} [options]
   */
  listen(options = {}) {
    const listening = new Listening(this, options);
    listening.start();
    return listening;
  }

  /**
   * Speak what is written to it, as it is written.
   * @param {SpeakOptions} [options]
   */
  speak(options = {}) {
    const speech = new Speech(this, options);
    this.speaking.add(speech);
    speech.start();
    return speech;
  }

  /** Silence everything that is being spoken. */
  hush() {
    for (const speech of [...this.speaking]) speech.cancel();
  }

  /**
   * Open one of the service's sockets. Throws `Problem`.
   * @param {string} path
   * @param {{onEvent: (event: any) => void, onAudio?: (buffer: ArrayBuffer) => void,
   *   onClose: (problem: Problem | null) => void}} handlers `onClose`: of a socket that was open; null if all was well
   * @returns {Promise<WebSocket>}
   */
  async connect(path, { onEvent, onAudio, onClose }) {
    const token = await this.#freshToken();
    const socket = new WebSocket(this.url.replace(/^http/, "ws") + path, [
      "realtime",
      `openai-insecure-api-key.${token}`,
    ]);
    socket.binaryType = "arraybuffer";
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onclose = () => reject(problemOf({ code: "unreachable" }));
    });
    /** @type {Problem | null} */
    let problem = null;
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") return onAudio?.(data);
      const event = JSON.parse(data);
      if (event.type === "error") problem = problemOf(event.error);
      else onEvent(event);
    };
    socket.onclose = ({ code }) => onClose(code === 1000 ? problem : (problem ?? problemOf({ code: "connection_lost" })));
    return socket;
  }

  /** Your server's answer. One that cannot be had now may be had in a moment. */
  async #freshToken() {
    let token;
    try {
      token = await this.token();
    } catch (cause) {
      throw cause instanceof Problem ? cause : problemOf({ code: "unreachable" });
    }
    if (/^\S+$/.test(token ?? "")) return token;
    throw problemOf({ code: "unreachable" });
  }

  /**
   * @param {string} path
   * @param {string} token
   */
  async #fetch(path, token) {
    try {
      return await fetch(this.url + path, { headers: { Authorization: `Bearer ${token}` } });
    } catch (cause) {
      throw problemOf({ code: "unreachable" });
    }
  }
}

/** One opening of the microphone. Lost connections are made again; what is said meanwhile is kept for ten seconds. */
export class Listening {
  /** @type {{pcm: ArrayBuffer, at: number}[]} */
  #unsent = [];
  #attempt = 0;
  #isReady = false;
  #isStopping = false;
  #isOver = false;
  #isHeard = false; // the first words of this utterance have come
  #speechAt = 0; // of this utterance, in ms on the service's clock
  /** @type {number | undefined} */
  #startedAt; // where the service's clock has its zero, on ours
  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {Microphone | null} */
  #microphone = null;

  /**
   * @param {Voice} voice
   * @param {ListenOptions} options
   */
  constructor(voice, options) {
    this.voice = voice;
    this.options = options;
  }

  async start() {
    try {
      const lost = () => this.#fail(deviceProblem("microphone", "microphone_gone"));
      this.#microphone = await openMicrophone((pcm, level) => this.#frame(pcm, level), lost);
      if (this.#isStopping) return this.#end();
      await this.#connect();
    } catch (error) {
      this.#closed(asProblem(error));
    }
  }

  /** No more speech: the last words come, then `onEnd`. */
  stop() {
    if (this.#isStopping) return;
    this.#isStopping = true;
    if (!this.#isReady) return this.#end();
    this.#closeMicrophone();
    this.#send({ type: "stop" });
  }

  async #connect() {
    this.#socket = await this.voice.connect("/ws/asr", {
      onEvent: (event) => this.#event(event),
      onClose: (problem) => this.#closed(problem),
    });
    if (this.#isOver || !this.#microphone) return this.#socket.close(1000);
    const { language, start } = this.options;
    const detected = language ? { language } : {};
    this.#send({ type: "start", sample_rate: this.#microphone.sampleRate, ...detected, ...start });
  }

  /** @param {Record<string, unknown>} message */
  #send(message) {
    this.#socket?.send(JSON.stringify(message));
  }

  /**
   * @param {ArrayBuffer} pcm
   * @param {number} level
   */
  #frame(pcm, level) {
    this.options.onLevel?.(level);
    const frame = { pcm, at: performance.now() - 1000 / FRAMES_PER_SECOND };
    if (this.#isReady) this.#sendFrame(frame);
    else if (this.#unsent.push(frame) > MAX_UNSENT_FRAMES) this.#unsent.shift();
  }

  /** @param {{pcm: ArrayBuffer, at: number}} frame */
  #sendFrame({ pcm, at }) {
    this.#startedAt ??= at;
    this.#socket?.send(pcm);
  }

  /** @param {any} event */
  #event(event) {
    const { onListening, onSpeech, onPause, onPartial, onFinal, bargeIn = true } = this.options;
    switch (event.type) {
      case "ready":
        this.#isReady = true;
        this.#attempt = 0;
        this.#startedAt = undefined;
        for (const frame of this.#unsent.splice(0)) this.#sendFrame(frame);
        onListening?.();
        break;
      case "speech_started":
        this.#speechAt = event.at_ms;
        this.#isHeard = false;
        if (bargeIn) this.voice.hush();
        this.#tellLatency("speech", event.at_ms);
        onSpeech?.();
        break;
      case "speech_stopped":
        onPause?.();
        break;
      case "partial":
        if (!this.#isHeard && event.text) this.#tellLatency("partial", this.#speechAt);
        this.#isHeard ||= Boolean(event.text);
        onPartial?.(event.text, event.stable);
        break;
      case "final":
        if (event.text) this.#tellLatency("final", event.end_ms);
        onFinal?.(event.text, event);
        break;
    }
  }

  /**
   * @param {"speech" | "partial" | "final"} what
   * @param {number} atMs
   */
  #tellLatency(what, atMs) {
    this.options.onLatency?.(what, performance.now() - (this.#startedAt ?? 0) - atMs);
  }

  /** @param {Problem | null} problem */
  #closed(problem) {
    this.#isReady = false;
    if (this.#isOver) return;
    if (!problem) return this.#end();
    if (!problem.retry || this.#isStopping || this.#attempt >= RETRIES_S.length) return this.#fail(problem);
    const seconds = RETRIES_S[this.#attempt++];
    this.options.onProblem?.(problem, seconds);
    setTimeout(async () => {
      if (this.#isOver) return;
      try {
        await this.#connect();
      } catch (error) {
        this.#closed(asProblem(error));
      }
    }, 1000 * seconds);
  }

  /** @param {Problem} problem */
  #fail(problem) {
    if (this.#isOver) return;
    this.options.onProblem?.(problem, null);
    this.#end();
  }

  #end() {
    this.#closeMicrophone();
    if (this.#isOver) return;
    this.#isOver = this.#isStopping = true;
    this.#isReady = false;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.close(1000);
    this.options.onEnd?.();
  }

  #closeMicrophone() {
    this.#microphone?.close();
    this.#microphone = null;
    this.options.onLevel?.(0);
  }
}

/** One reply, spoken while it is written. */
export class Speech {
  /** @type {Record<string, unknown>[]} */
  #unsent = [];
  /** @type {ReturnType<typeof setTimeout>[]} */
  #timers = [];
  /** @type {string[]} */
  #upcoming = []; // sentences whose audio comes next
  #nextAt = 0; // on the audio clock: when the audio that comes next will be heard
  #writtenAt = 0;
  #isOver = false;
  /** @type {WebSocket | undefined} */
  #socket;

  /**
   * @param {Voice} voice
   * @param {SpeakOptions} options
   */
  constructor(voice, options) {
    this.voice = voice;
    this.options = options;
    this.player = options.player ?? new Audio();
    this.context = new AudioContext({ sampleRate: SPEECH_RATE });
    // Through an element, not straight to the loudspeaker: then the browser's echo cancellation hears it, and the
    // microphone does not take the service's own voice for the person's.
    this.output = this.context.createMediaStreamDestination();
    this.player.srcObject = this.output.stream;
  }

  async start() {
    try {
      await this.player.play();
      this.#socket = await this.voice.connect("/ws/tts", {
        onEvent: (event) => this.#event(event),
        onAudio: (buffer) => this.#audio(buffer),
        onClose: (problem) => problem && this.#fail(problem),
      });
      if (this.#isOver) return this.#socket.close(1000);
      const { voice, speed, language } = this.options;
      this.#socket.send(JSON.stringify({ type: "start", voice, speed, language }));
      for (const message of this.#unsent.splice(0)) this.#socket.send(JSON.stringify(message));
    } catch (error) {
      this.#fail(error instanceof Problem ? error : deviceProblem("sound", "sound", error));
    }
  }

  /**
   * More text, split anywhere.
   * @param {string} text
   */
  write(text) {
    this.#writtenAt ||= performance.now();
    this.#send({ type: "text", text });
  }

  /** Speak what has been written so far, though its sentence is not complete. */
  flush() {
    this.#send({ type: "flush" });
  }

  /** No more text: the rest is spoken, then `onEnd(true)`. */
  end() {
    this.#send({ type: "end" });
  }

  /** Silence, at once; `onEnd(false)`. */
  cancel() {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ type: "cancel" }));
      this.#socket.close(1000);
    }
    this.#end(false);
  }

  /** @param {Record<string, unknown>} message */
  #send(message) {
    if (this.#isOver) return;
    if (this.#socket) this.#socket.send(JSON.stringify(message));
    else this.#unsent.push(message);
  }

  /** @param {any} event */
  #event(event) {
    if (event.type === "sentence") this.#upcoming.push(event.text);
    if (event.type === "done") this.#at(this.#nextAt, () => this.#end(true), TAIL_MS);
  }

  /** @param {ArrayBuffer} buffer */
  #audio(buffer) {
    if (this.#isOver) return;
    const pcm = new Int16Array(buffer);
    const audio = this.context.createBuffer(1, pcm.length, SPEECH_RATE);
    audio.getChannelData(0).set(Float32Array.from(pcm, (sample) => sample / 32768));
    const source = this.context.createBufferSource();
    source.buffer = audio;
    source.connect(this.output);
    if (!this.#nextAt) this.options.onLatency?.(performance.now() - this.#writtenAt);
    const at = Math.max(this.#nextAt, this.context.currentTime + CUSHION_S);
    source.start(at);
    this.#nextAt = at + audio.duration;
    for (const text of this.#upcoming.splice(0)) this.#at(at, () => this.options.onSentence?.(text));
  }

  /**
   * @param {number} seconds on the audio clock
   * @param {() => void} act
   * @param {number} [moreMs]
   */
  #at(seconds, act, moreMs = 0) {
    const ms = 1000 * Math.max(0, seconds - this.context.currentTime);
    this.#timers.push(setTimeout(act, ms + moreMs));
  }

  /** @param {Problem} problem */
  #fail(problem) {
    if (this.#isOver) return;
    this.options.onProblem?.(problem);
    this.#end(false);
  }

  /** @param {boolean} finished */
  #end(finished) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.voice.speaking.delete(this);
    for (const timer of this.#timers) clearTimeout(timer);
    this.player.pause();
    this.player.srcObject = null;
    this.context.close();
    this.options.onEnd?.(finished);
  }
}

// --- the microphone -------------------------------------------------------------------------------------------------

// Runs on the audio thread: samples become PCM16 frames of a tenth of a second, with their level.
const CAPTURE = `
registerProcessor("capture", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(Math.round(sampleRate / ${FRAMES_PER_SECOND}));
    this.filled = 0;
    this.peak = 0;
  }
  process([[samples]]) {
    for (const sample of samples ?? []) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.peak = Math.max(this.peak, Math.abs(clipped));
      this.frame[this.filled++] = Math.round(clipped * 32767);
      if (this.filled === this.frame.length) {
        this.port.postMessage({ pcm: this.frame.slice().buffer, level: this.peak });
        this.filled = this.peak = 0;
      }
    }
    return true;
  }
});`;

/** @typedef {{sampleRate: number, close: () => void}} Microphone */

/**
 * Start capturing. Throws `Problem`.
 * @param {(pcm: ArrayBuffer, level: number) => void} onFrame ten times a second: PCM16, and its peak from 0 to 1
 * @param {() => void} onLost the microphone has been unplugged, or its permission taken back
 * @returns {Promise<Microphone>}
 */
async function openMicrophone(onFrame, onLost) {
  if (!navigator.mediaDevices) {
    throw deviceProblem("microphone", "microphone_insecure");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw deviceProblem("microphone", error instanceof Error ? error.name : "", error);
  }
  const [track] = stream.getTracks();
  let context = new AudioContext();
  const source = URL.createObjectURL(new Blob([CAPTURE], { type: "text/javascript" }));
  try {
    if (!MICROPHONE_RATES.includes(context.sampleRate)) {
      context.close();
      context = new AudioContext({ sampleRate: 48000 });
    }
    await context.resume();
    await context.audioWorklet.addModule(source);
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }) => onFrame(data.pcm, data.level);
    context.createMediaStreamSource(stream).connect(capture);
  } catch (error) {
    track.stop();
    throw deviceProblem("microphone", "microphone", error);
  } finally {
    URL.revokeObjectURL(source);
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

/** @param {unknown} error */
function asProblem(error) {
  return error instanceof Problem ? error : new Problem("unknown", message("unknown") ?? "", { cause: error });
}
