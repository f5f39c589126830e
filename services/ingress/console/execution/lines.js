// @ts-check
/** The history of one execution, from a line on and as it grows. */

import { get } from "../api.js";

const PAGE = 500;
const PAUSE = 400;

/**
 * @typedef {object} How
 * @property {string} after the id of the last line that is known; empty for none
 * @property {(lines: import("./timeline.js").Line[]) => void} told new lines, in order
 * @property {() => void} reset what was told no longer holds: it comes anew
 * @property {() => boolean} over whether the execution has ended
 * @property {AbortSignal} signal
 */

/** Tell what happened, and what happens, until it is over. @param {string} id @param {How} how */
export async function lines(id, { after, told, over, signal }) {
  let last = after;
  while (!signal.aborted) {
    const ended = over();
    const found = await get(`api/executions/${encodeURIComponent(id)}/history`, { after: last || null, limit: PAGE }, signal);
    if (found.history.length) {
      last = found.history.at(-1).id;
      told(found.history);
    }
    if (found.next) continue;
    if (ended) return;
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}
