// The visitor's key, and what is asked with it. An application keeps its key on its own server instead.

import { problemOf } from "../voice.js";

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

/** A key in the address's fragment never leaves the browser; it is kept for this tab and taken out of sight. */
export function takeKeyFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    key.value = given;
    history.replaceState(null, "", location.pathname);
  }
}

/**
 * Fetch JSON with the key. Throws `Problem`.
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<any>}
 */
export async function call(path, options = {}) {
  if (!key.value) throw problemOf({ code: "missing_credentials" });
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${key.value}`, ...options.headers } });
  } catch {
    throw problemOf({ code: "unreachable" });
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw problemOf(body.error);
  return body;
}

/** The visitor's name for the service: this browser's, so that one key can serve many visitors. */
function visitor() {
  const kept = localStorage.getItem(VISITOR) ?? `playground-${crypto.randomUUID().slice(0, 8)}`;
  localStorage.setItem(VISITOR, kept);
  return kept;
}

/** A short-lived token, as an application's own server would fetch it for its pages. Throws `Problem`. */
export async function token() {
  const body = JSON.stringify({ user: visitor() });
  const headers = { "Content-Type": "application/json" };
  return (await call("/v1/realtime/client_secrets", { method: "POST", body, headers })).value;
}
