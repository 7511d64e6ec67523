// Updates the admin's first page: every few seconds the figures that change quickly, every minute all of it. A part of
// the page is replaced only if it differs, so nothing flickers. A part that is being pressed is not replaced.

import { Curve } from "./curve.js";

const SLOW_EVERY = 12; // every twelfth refresh updates the whole page

const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");

const given = read("home-renewal");
const drawn = read("home-chart"); // null if the user may not see the chart
const curve = drawn && new Curve(document.getElementById("curve"), document.getElementById("curve-at"), drawn);
const updated = document.getElementById("home-updated");
const problem = document.getElementById("home-problem");

let round = 1;
let wantsAll = false;

function replace(name, html) {
  const part = document.querySelector(`[data-part="${name}"]`);
  const wanted = document.createElement("template");
  wanted.innerHTML = html;
  if (!part || part.innerHTML.trim() === wanted.innerHTML.trim()) return;
  if (part.matches(":active")) return; // it is being pressed; the next refresh updates it
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  part.replaceChildren(wanted.content);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function say(text, link) {
  problem.hidden = !text;
  problem.textContent = text;
  if (link) {
    const anchor = Object.assign(document.createElement("a"), { href: link, textContent: "Sign in" });
    problem.append(" ", anchor);
  }
}

/** Refresh the page. Returns false if the user is signed out, so further refreshes would fail too. */
async function refresh() {
  const isSlow = wantsAll || round % SLOW_EVERY === 0;
  const query = new URLSearchParams({ step: isSlow || !curve ? 0 : curve.lastStep });
  if (isSlow) query.set("slow", "");
  let answer;
  try {
    const response = await fetch(`${given.fresh}?${query}`, {
      redirect: "manual",
      cache: "no-store",
      signal: AbortSignal.timeout(10_000),
    });
    if (response.type === "opaqueredirect") {
      say("You are signed out, so this page stands still.", location.href);
      return false;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    answer = await response.json();
  } catch {
    say("The service does not answer; trying again.");
    return true;
  }
  say("");
  wantsAll = curve ? !curve.take(answer.curve) : false; // true if a new day has begun
  for (const [name, html] of Object.entries(answer.parts)) replace(name, html);
  updated.textContent = answer.at;
  return true;
}

async function loop() {
  const isWorthIt = document.hidden || (await refresh());
  round += 1;
  if (isWorthIt) setTimeout(loop, given.refresh_s * 1000);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) wantsAll = true;
});
setTimeout(loop, given.refresh_s * 1000);
