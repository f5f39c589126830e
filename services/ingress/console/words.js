// @ts-check
/** The engine's statuses in words and tones. One place, so that a status looks the same on every page. */

import { h, s } from "./dom.js";

/** @typedef {"rest" | "busy" | "wait" | "good" | "bad" | "undo"} Tone */

/** @type {Record<string, [string, Tone]>} of an execution */
const STATUSES = {
  RECEIVED: ["Received", "rest"],
  PLANNING: ["Planning", "busy"],
  PLANNED: ["Planned", "rest"],
  AWAITING_CONFIRMATION: ["Awaits a yes", "wait"],
  EXECUTING: ["Executing", "busy"],
  SUSPENDED: ["Suspended", "wait"],
  PAUSED: ["Paused", "wait"],
  COMPENSATING: ["Undoing", "undo"],
  COMPLETED: ["Completed", "good"],
  FAILED: ["Failed", "bad"],
  CANCELLED: ["Cancelled", "rest"],
  TIMED_OUT: ["Timed out", "bad"],
  COMPENSATED: ["Undone", "undo"],
  COMPENSATION_FAILED: ["Undo failed", "bad"],
  REJECTED: ["Rejected", "rest"],
};
export const STATUS_NAMES = Object.keys(STATUSES);
export const TERMINAL = new Set(["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "COMPENSATED", "COMPENSATION_FAILED", "REJECTED"]);
export const OPEN = STATUS_NAMES.filter((name) => !TERMINAL.has(name));
export const REASONS = [
  "back-off", "sleep", "event", "callback", "approval", "child", "slot", "map", "circuit", "settling", "unknown effect", "undeliverable", "quota",
];

/** @param {string} status */
export const statusText = (status) => STATUSES[status]?.[0] ?? status;
/** @param {string} status @returns {Tone} */
export const statusTone = (status) => STATUSES[status]?.[1] ?? "rest";

/** @type {Record<Tone, string>} the sign of a tone, so that colour never stands alone */
const SIGNS = {
  rest: "M3 6h6", // a dash
  busy: "M4 3l5 3-5 3z", // a triangle
  wait: "M4.500 3v6M7.500 3v6", // two bars
  good: "M3 6.200l2.200 2.300L9 4", // a tick
  bad: "M3.500 3.500l5 5M8.500 3.500l-5 5", // a cross
  undo: "M3.500 5h4a2 2 0 0 1 0 4h-2M5.500 3L3.500 5l2 2", // an arrow back
};

/** A word with its sign, in its tone. @param {string} text @param {Tone} tone @returns {HTMLElement} */
export function badge(text, tone) {
  const node = h("span", { class: "badge" }, s("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, s("path", {})), h("span"));
  rebadge(node, text, tone);
  return node;
}

/** Show another word. @param {HTMLElement} node @param {string} text @param {Tone} tone */
export function rebadge(node, text, tone) {
  if (node.dataset.tone !== tone) {
    node.dataset.tone = tone;
    node.querySelector("path")?.setAttribute("d", SIGNS[tone]);
  }
  const words = /** @type {HTMLElement} */ (node.lastElementChild);
  if (words.textContent !== text) words.textContent = text;
}

/** The badge of an execution's status. @param {string} status */
export const statusBadge = (status) => badge(statusText(status), statusTone(status));

/** An id's telling end. @param {string} id */
export const shortId = (id) => (id.length > 14 ? `…${id.slice(-8)}` : id);

/** `1 execution`, `3 executions`. @param {number} count @param {string} word @param {string} [plural] */
export const counted = (count, word, plural = `${word}s`) => `${count.toLocaleString("en")} ${count === 1 ? word : plural}`;
