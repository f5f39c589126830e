// @ts-check
/** Where a step stands, and what its time went to, in words, signs and tones. */

import { span } from "../time.js";

/** @type {Record<string, [string, import("../words.js").Tone]>} */
const CELLS = {
  IDLE: ["Not yet", "rest"],
  OPENING: ["Next", "rest"],
  READY: ["Ready", "rest"],
  GRANTED: ["Ready", "rest"],
  WAITING: ["Waits", "wait"],
  INTENDED: ["Runs", "busy"],
  BACKOFF: ["To be tried again", "wait"],
  SETTLING: ["In doubt", "wait"],
  UNKNOWN: ["Unknown", "bad"],
  DONE: ["Done", "good"],
  FAILED: ["Failed", "bad"],
  SKIPPED: ["Skipped", "rest"],
  LEFT: ["Stands", "wait"],
};

/** @param {string} status @param {string} [lane] */
export const cellText = (status, lane = "forward") => (lane === "undo" && status === "DONE" ? "Undone" : (CELLS[status]?.[0] ?? status));

/** @param {string} status @param {string} [lane] @returns {import("../words.js").Tone} */
export const cellTone = (status, lane = "forward") => (lane === "undo" && status === "DONE" ? "undo" : (CELLS[status]?.[1] ?? "rest"));

/** @type {Record<import("./timeline.js").Kind, string>} */
export const KINDS = { queue: "in line", run: "runs", backoff: "back-off", wait: "waits" };

/** One segment in words. @param {import("./timeline.js").Segment} segment @param {number} now */
export function told({ kind, from, to, text, failed }, now) {
  const long = span((to ?? now) - from);
  const open = to === null;
  if (kind === "run") return `${failed ? "failed after" : open ? "runs for" : "ran"} ${long}${text ? ` (${text})` : ""}`;
  if (kind === "wait") return `${open ? "waits" : "waited"} ${long}${text ? ` for ${text}` : ""}`;
  if (kind === "backoff") return `${open ? "backs off" : "backed off"} ${long}${text ? ` after ${text}` : ""}`;
  return `${open ? "stands" : "stood"} ${long} in line`;
}

const MOST = 8;

/** A row's story for those who do not see it. @param {import("./timeline.js").Row} row @param {number} now */
export function story(row, now) {
  const parts = row.segments.map((one) => told(one, now));
  const rest = parts.length - MOST;
  return [...parts.slice(0, MOST), ...(rest > 0 ? [`and ${rest} more`] : []), ...row.marks.slice(0, MOST).map(({ text }) => text)].join("; ") || "nothing yet";
}
