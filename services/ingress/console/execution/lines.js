// @ts-check
/** The history of one execution, from a line on and as it grows: one stream, which begins again behind the last line if it breaks. */

import { follow } from "../api.js";

/**
 * @typedef {object} How
 * @property {string} after the id of the last line that is known; empty for none
 * @property {(lines: import("./timeline.js").Line[]) => void} told new lines, in order
 * @property {() => void} reset what was told no longer holds: it comes anew
 * @property {AbortSignal} signal
 */

/** Tell what happened, and what happens, until it is over. @param {string} id @param {How} how */
export async function lines(id, { after, told, reset, signal }) {
  /** @type {import("./timeline.js").Line[]} */
  let came = [];

  /** Many come at once: they are told together. */
  function tell() {
    if (!came.length || signal.aborted) return;
    const found = came;
    came = [];
    told(found);
  }

  await follow(`api/executions/${encodeURIComponent(id)}/events`, { after, signal, message: ({ event, data }) => {
    if (event === "reset") {
      came = [];
      reset();
    }
    if (event !== "message") return;
    if (!came.length) setTimeout(tell, 0);
    came.push(JSON.parse(data));
  } });
  tell();
}
