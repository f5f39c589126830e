// @ts-check
/** What happens to all of the caller's executions, live: one stream a tab (`GET /api/events`), told to every page that listens. */

import { follow } from "./api.js";

/**
 * @typedef {{executionId: string, status?: string, version?: number, [name: string]: any}} Happening
 * @typedef {"idle" | "connecting" | "live" | "waiting" | "off"} State idle: no page has asked yet
 */

/** @type {Set<(one: Happening) => void>} */
const listeners = new Set();
/** @type {Set<() => void>} */
const resets = new Set();
/** @type {Set<(state: State) => void>} */
const watchers = new Set();
/** @type {State} */
let state = "idle";
let running = false;
let broken = false; // it was up or was tried, and is not yet again

/**
 * Be told of everything that happens until the signal. `reset`: something may have been missed, read anew.
 * @param {(one: Happening) => void} told @param {AbortSignal} signal @param {() => void} [reset]
 */
export function onHappening(told, signal, reset) {
  listeners.add(told);
  if (reset) resets.add(reset);
  signal.addEventListener("abort", () => {
    listeners.delete(told);
    if (reset) resets.delete(reset);
  }, { once: true });
  if (!running) start();
}

/** Be told whether the stream is up, at once and at every change. @param {(state: State) => void} told */
export function onState(told) {
  watchers.add(told);
  told(state);
}

/** @param {State} now */
function become(now) {
  if (now === "live" && broken) for (const reset of resets) reset();
  if (now !== "connecting") broken = now === "waiting";
  state = now;
  for (const told of watchers) told(now);
}

async function start() {
  running = true;
  try {
    await follow("api/events", { message, state: become, signal: new AbortController().signal });
    become("off");
  } catch {
    become("off"); // it is not to be had: pages read anew when asked
  }
}

/** @param {import("./sse.js").Message} one */
function message(one) {
  if (one.event === "reset") for (const reset of resets) reset();
  if (one.event !== "message") return;
  const found = JSON.parse(one.data);
  for (const told of listeners) told(found);
}
