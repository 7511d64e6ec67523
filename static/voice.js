// Voice for a web page: live transcription of the microphone, and speech from text while the text is still being
// written. When the user begins to speak, the speech stops.
//
//   import { Voice } from "https://voice.example.com/static/voice.js";
//
//   const voice = new Voice({ url: "https://voice.example.com", token: async () => (await fetch("/voice-token")).text() });
//   const listening = voice.listen({ onPartial: show, onFinal: ask });
//   const speech = voice.speak();
//   for await (const piece of reply) speech.write(piece);
//   speech.end();
//
// `token` gets a short-lived `ek_…` token from your own server, which requests it with POST /v1/realtime/client_secrets
// and your API key. So the key never reaches the page. docs/frontend.md explains every step. This file has no
// dependencies and may be copied.

const FRAMES_PER_SECOND = 10;
const MICROPHONE_RATES = [8000, 16000, 24000, 44100, 48000]; // sample rates that `/ws/asr` accepts, in Hz
const SPEECH_RATE = 24000; // sample rate of the audio from `/ws/tts`, in Hz
const MAX_UNSENT_FRAMES = 100; // ten seconds of audio, kept until the connection is open
const RETRIES_S = [1, 2, 4, 8, 15, 15];
const CUSHION_S = 0.06; // delay between the arrival of audio and its playback, against gaps
const TAIL_MS = 150; // delay of the loudspeaker

/** @typedef {"missing_credentials" | "invalid_api_key" | "expired_token" | "voice_not_enabled" | "forbidden" |
 *   "rate_limit_exceeded" | "quota_exceeded" | "too_many_streams" | "over_capacity" | "engine_unavailable" |
 *   "session_expired" | "idle_timeout" | "connection_lost" | "microphone" | "sound" | "unreachable" | "unknown" |
 *   string} ProblemCode an error code of the service, or one that only this file uses: `microphone`, `sound`,
 *   `connection_lost`, `unreachable`, `unknown` */

/** An error whose message tells the user what to do. */
export class Problem extends Error {
  /**
   * @param {ProblemCode} code
   * @param {string} message
   * @param {{retry?: boolean, cause?: unknown}} [how] `retry`: whether another attempt may soon succeed
   */
  constructor(code, message, { retry = false, cause = undefined } = {}) {
    super(message, { cause });
    this.code = code;
    this.retry = retry;
  }
}

/** The codes after which another attempt may soon succeed. */
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
 * Return a message in the language of the page (`<html lang>`), or in English if there is no translation.
 * @param {string} name
 * @returns {string | undefined}
 */
function message(name) {
  const language = document.documentElement.lang.split("-")[0];
  return (MESSAGES[language] ?? MESSAGES.en)[name];
}

/**
 * Return the problem that an error response of the service describes.
 * @param {{code?: string, message?: string} | undefined} error the `error` object in the body of the response
 * @returns {Problem}
 */
export function problemOf(error) {
  const code = error?.code ?? "unknown";
  return new Problem(code, message(code) ?? error?.message ?? message("unknown") ?? "", { retry: PASSING.includes(code) });
}

/**
 * Return a problem of the microphone or the loudspeaker.
 * @param {"microphone" | "sound"} code
 * @param {string} [name] the name of the message, if there is a more specific one than that of the code
 * @param {unknown} [cause]
 */
function deviceProblem(code, name = code, cause = undefined) {
  return new Problem(code, message(name) ?? message(code) ?? "", { cause });
}

/**
 * @typedef {object} VoiceOptions
 * @property {string} [url] the address of the service; by default the origin of the page
 * @property {() => Promise<string>} token returns a new short-lived token for the user of the page
 */

/**
 * @typedef {object} ListenOptions
 * @property {string} [language] the spoken language, such as `ms`; detected by default
 * @property {boolean} [bargeIn] whether the user's speech stops all speech of the page; true by default
 * @property {Record<string, unknown>} [start] additional fields of the `start` message, such as `keywords`
 * @property {() => void} [onListening] called when the microphone is open and the service receives audio
 * @property {() => void} [onSpeech] called when the user begins to speak
 * @property {() => void} [onPause] called when the user has stopped; the final text is then being recognised
 * @property {(text: string, stable: string) => void} [onPartial] called with the text so far; `stable` is the
 *   beginning of the text that will not change
 * @property {(text: string, event: Record<string, any>) => void} [onFinal] called with the text of each complete
 *   utterance
 * @property {(level: number) => void} [onLevel] called ten times a second with the microphone's level, 0 to 1
 * @property {(what: "speech" | "partial" | "final", ms: number) => void} [onLatency] called with a measured latency:
 *   `speech`: from the beginning of speech until it was detected, which stops speech of the page; `partial`: from the
 *   beginning of speech to its first text; `final`: from the end of speech to its final text
 * @property {(problem: Problem, secondsToRetry: number | null) => void} [onProblem] called with a problem and the
 *   seconds until the next attempt; null means that there will be none
 * @property {() => void} [onEnd] called when listening has ended
 */

/**
 * @typedef {object} SpeakOptions
 * @property {string} [voice] the id or name of a voice; by default the service's default voice
 * @property {number} [speed] 0.25 to 4
 * @property {string} [language] the language of the text; detected by default
 * @property {HTMLAudioElement} [player] the element that plays the audio; by default a new one
 * @property {(text: string) => void} [onSentence] called when a sentence begins to play
 * @property {(ms: number) => void} [onLatency] called with the time from the first text to the first sound
 * @property {(problem: Problem) => void} [onProblem] called when speech fails
 * @property {(finished: boolean) => void} [onEnd] called with true when all has been played, with false after a
 *   cancellation or a failure
 */

/** The service, for one page and one user. */
export class Voice {
  /** @param {VoiceOptions} options */
  constructor({ url = location.origin, token }) {
    this.url = url.replace(/\/$/, "");
    this.token = token;
    /** @type {Set<Speech>} */
    this.speaking = new Set();
  }

  /**
   * Return whether the user has voice, and for each feature the reason if not. Show or hide the microphone accordingly.
   * Throws `Problem`.
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
   * Open the microphone and report what the user says, until `stop` is called.
   * @param {ListenOptions} [options]
   */
  listen(options = {}) {
    const listening = new Listening(this, options);
    listening.start();
    return listening;
  }

  /**
   * Start speech. Text is spoken as it is written to the result.
   * @param {SpeakOptions} [options]
   */
  speak(options = {}) {
    const speech = new Speech(this, options);
    this.speaking.add(speech);
    speech.start();
    return speech;
  }

  /** Stop all speech of this page. */
  hush() {
    for (const speech of [...this.speaking]) speech.cancel();
  }

  /**
   * Open one of the service's WebSockets. Throws `Problem`.
   * @param {string} path
   * @param {{onEvent: (event: any) => void, onAudio?: (buffer: ArrayBuffer) => void,
   *   onClose: (problem: Problem | null) => void}} handlers `onClose` is called when the open WebSocket closes; its
   *   argument is null if there was no problem
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

  /** Get a token from your server. Throws a `Problem` with `retry` if that fails, because it may soon succeed. */
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

/**
 * Live recognition from one opening of the microphone. After a lost connection it connects again, and keeps up to ten
 * seconds of the speech meanwhile.
 */
export class Listening {
  /** @type {{pcm: ArrayBuffer, at: number}[]} */
  #unsent = [];
  #attempt = 0;
  #isReady = false;
  #isStopping = false;
  #isOver = false;
  #isHeard = false; // whether the first words of this utterance have arrived
  #speechAt = 0; // the beginning of this utterance, in ms since the start of the stream
  /** @type {number | undefined} */
  #startedAt; // the start of the stream, in the time of `performance.now()`
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

  /** Stop listening. The last final text still arrives, then `onEnd` is called. */
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

/** One reply, which is spoken while it is being written. */
export class Speech {
  /** @type {Record<string, unknown>[]} */
  #unsent = [];
  /** @type {ReturnType<typeof setTimeout>[]} */
  #timers = [];
  /** @type {string[]} */
  #upcoming = []; // sentences whose audio has not arrived yet
  #nextAt = 0; // when the next audio will begin to play, on the clock of the audio context
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
    // The audio goes through an element instead of directly to the loudspeaker. So the browser's echo cancellation
    // includes it, and the microphone does not take the service's voice for the user's.
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
   * Add text to be spoken. It may be split anywhere.
   * @param {string} text
   */
  write(text) {
    this.#writtenAt ||= performance.now();
    this.#send({ type: "text", text });
  }

  /** Speak all text written so far, even if its last sentence is incomplete. */
  flush() {
    this.#send({ type: "flush" });
  }

  /** Declare the text complete. The rest is spoken, then `onEnd(true)` is called. */
  end() {
    this.#send({ type: "end" });
  }

  /** Stop speech immediately, and call `onEnd(false)`. */
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
   * Call a function at a time on the clock of the audio context.
   * @param {number} seconds the time on this clock
   * @param {() => void} act
   * @param {number} [moreMs] an additional delay in ms
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

// --- The microphone -------------------------------------------------------------------------------------------------

// This code runs on the audio thread. It makes PCM16 frames of a tenth of a second, each with its peak level.
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
 * Open the microphone. Throws `Problem`.
 * @param {(pcm: ArrayBuffer, level: number) => void} onFrame called ten times a second with PCM16 and its peak, 0 to 1
 * @param {() => void} onLost called when the microphone is unplugged or its permission is revoked
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
