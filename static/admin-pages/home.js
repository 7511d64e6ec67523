// Keeps the admin's first page fresh: every few seconds what moves quickly, every minute all of it. A part of the page
// is replaced only when it differs, so nothing flickers, and never under a finger that presses it.

import { Curve } from "./curve.js";

const SLOW_EVERY = 12; // of the quick refreshes

const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");

const given = read("home-renewal");
const drawn = read("home-chart"); // none for who may not see it
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
  if (part.matches(":active")) return; // a press is not lost; the next round brings it
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

/** Gives whether there is any use in asking again. */
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
  wantsAll = curve ? !curve.take(answer.curve) : false; // another day has begun
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
