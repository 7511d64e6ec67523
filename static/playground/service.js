// The visitor's key, and the requests made with it. A real application keeps its key on its own server instead.

import { Voice, problemOf } from "../voice.js";

const KEY = "voice-key";
const VISITOR = "voice-visitor";

export const key = {
  get value() {
    return sessionStorage.getItem(KEY) ?? "";
  },
  set value(text) {
    sessionStorage.setItem(KEY, text.trim());
  },
};

/**
 * Take the key from the fragment of the page's address, if there is one, and remove it there. The browser never sends a
 * fragment to the server.
 */
export function takeKeyFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    key.value = given;
    history.replaceState(null, "", location.pathname);
  }
}

/**
 * Fetch with the key. Throws `Problem`.
 * @param {string} path
 * @param {RequestInit} [options]
 */
async function ask(path, options = {}) {
  if (!key.value) throw problemOf({ code: "missing_credentials" });
  const headers = { Authorization: `Bearer ${key.value}`, "Accept-Language": document.documentElement.lang };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  } catch {
    throw problemOf({ code: "unreachable" });
  }
  if (!answer.ok) throw problemOf((await answer.json().catch(() => ({}))).error);
  return answer;
}

/**
 * Fetch JSON with the key. Throws `Problem`.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
export const call = async (path, options) => (await ask(path, options)).json();

/**
 * Return speech as a file. Throws `Problem`.
 * @param {Record<string, unknown>} wanted
 */
export async function fetchAudio(wanted) {
  const headers = { "Content-Type": "application/json" };
  return (await ask("/v1/audio/speech", { method: "POST", headers, body: JSON.stringify(wanted) })).blob();
}

/** Return which features are on for this visitor. Throws `Problem`. */
export const availability = () => call("/v1/voice/availability", { headers: { "X-Voice-User": visitor() } });

/** Return a user id for this browser, so several visitors can share one key. */
function visitor() {
  const kept = localStorage.getItem(VISITOR) ?? `playground-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  localStorage.setItem(VISITOR, kept);
  return kept;
}

/** Return a short-lived token. In a real application, its own server would request the token. Throws `Problem`. */
async function token() {
  const body = JSON.stringify({ user: visitor() });
  const headers = { "Content-Type": "application/json" };
  return (await call("/v1/realtime/client_secrets", { method: "POST", body, headers })).value;
}

export const voice = new Voice({ token });
