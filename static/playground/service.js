// The service as the page sees it: the key, short-lived tokens, sockets, and what its errors mean to a person.

const KEY = "voice-key";

/** A failure in words that a person can act on. `retry`: trying again by itself may help. */
export class Problem extends Error {
  constructor(message, { retry = false, needsKey = false, cause = undefined } = {}) {
    super(message, { cause });
    this.retry = retry;
    this.needsKey = needsKey;
  }
}

const MESSAGES = {
  missing_credentials: ["Enter an API key first.", { needsKey: true }],
  invalid_api_key: ["This API key is not known here. Check it, or ask for a new one.", { needsKey: true }],
  expired_token: ["The connection's token has expired. Try again.", { retry: true }],
  voice_not_enabled: ["Voice is not switched on for you yet."],
  forbidden: ["This page may not connect to the service. Its operator can allow it."],
  rate_limit_exceeded: ["Too many requests just now. Wait a moment and try again."],
  quota_exceeded: ["This month's allowance is used up."],
  too_many_streams: ["Too many connections are open for you. Close another tab first."],
  over_capacity: ["The service is at its capacity right now.", { retry: true }],
  engine_unavailable: ["The speech engine is not available right now.", { retry: true }],
  idle_timeout: ["Nothing was heard for a while, so the connection was closed."],
};

/** @param {{code?: string, message?: string}} error the envelope's inside */
export function problemOf(error) {
  const [message, how] = MESSAGES[error?.code] ?? [error?.message ?? "Something went wrong. Try again."];
  return new Problem(message, how);
}

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
    throw new Problem("The service cannot be reached.", { retry: true });
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw problemOf(body.error);
  return body;
}

/**
 * Open a socket with a fresh short-lived token. Throws `Problem`. `onEvent` gets JSON, `onAudio` binary messages,
 * `onClose` the end of a socket that was open: null when all was well.
 * @param {string} path
 * @param {{onEvent: (event: any) => void, onAudio?: (buffer: ArrayBuffer) => void,
 *   onClose: (problem: Problem | null) => void}} handlers
 * @returns {Promise<WebSocket>}
 */
export async function openSocket(path, { onEvent, onAudio, onClose }) {
  const headers = { "Content-Type": "application/json" };
  const secret = await call("/v1/realtime/client_secrets", { method: "POST", body: "{}", headers });
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address, ["realtime", `openai-insecure-api-key.${secret.value}`]);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = () => reject(new Problem("The service cannot be reached.", { retry: true }));
  });
  let problem = null;
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return onAudio?.(data);
    const event = JSON.parse(data);
    if (event.type === "error") problem = problemOf(event.error);
    else onEvent(event);
  };
  socket.onclose = ({ code }) => {
    if (code !== 1000 && !problem) problem = new Problem("The connection was lost.", { retry: true });
    onClose(problem);
  };
  return socket;
}
