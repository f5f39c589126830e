// @ts-check
/** One action upon many executions: what would come of it is looked up and asked first, then done, in requests of a bounded size. */

import { send } from "./api.js";
import { ask, faultText, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { counted, shortId } from "./words.js";

const MOST = 200; // of one request
const SHOWN = 5; // refusals that are told one by one

/** @typedef {{id: string, result: string, code?: string, message?: string}} Result */

/** @type {import("./dialogs.js").Field[]} what a cancellation takes, as the API names it */
const OF_CANCEL = [
  { name: "reason", label: "Reason", hint: "It stands in the history. May be left out." },
  { name: "undo", label: "Undo what was done", type: "checkbox", value: true },
];

/** @type {{action: string, name: string, danger?: boolean, fields?: import("./dialogs.js").Field[]}[]} */
export const ACTIONS = [
  { action: "cancel", name: "Cancel", danger: true, fields: OF_CANCEL },
  { action: "pause", name: "Pause" },
  { action: "resume", name: "Resume" },
  { action: "retry", name: "Retry" },
  { action: "compensate", name: "Undo", danger: true },
  { action: "restart", name: "Restart" },
];

/**
 * Send it for all of these, one request after the other.
 * @param {string} action @param {string[]} ids @param {{dryRun: boolean, having?: Record<string, any>, signal: AbortSignal}} how
 * @returns {Promise<Result[]>}
 */
async function each(action, ids, { dryRun, having = {}, signal }) {
  /** @type {Result[]} */
  const results = [];
  for (let from = 0; from < ids.length; from += MOST) {
    const found = await send("api/executions/bulk", { action, filter: { ids: ids.slice(from, from + MOST) }, with: having, dryRun }, { signal });
    results.push(...found.results);
  }
  return results;
}

/**
 * Ask and do. True if something was done: the choice is used up.
 * @param {typeof ACTIONS[number]} what @param {string[]} ids @param {AbortSignal} signal
 */
export async function upon(what, ids, signal) {
  const { action, name } = what;
  try {
    const plan = await each(action, ids, { dryRun: true, signal });
    const possible = plan.filter(({ result }) => result === "would").map(({ id }) => id);
    const having = await consent(what, possible.length, plan.filter(({ result }) => result === "refused"));
    if (!having || !possible.length) return false;
    const done = await each(action, possible, { dryRun: false, having, signal });
    const refused = done.filter(({ result }) => result === "refused");
    toast(`${name}: ${counted(done.length - refused.length, "execution")}${refused.length ? `, ${refused.length} refused: ${refused[0]?.message}` : ""}.`, refused.length ? "bad" : "good");
    return true;
  } catch (error) {
    if (!signal.aborted) toast(faultText(error), "bad");
    return false;
  }
}

/** What the action takes, or null for a no. @param {typeof ACTIONS[number]} what @param {number} count @param {Result[]} refused */
function consent({ name, danger, fields }, count, refused) {
  const told = refused.length ? [h("p", {}, `${counted(refused.length, "execution")} cannot be:`),
    h("ul", {}, ...refused.slice(0, SHOWN).map(({ id, message }) => h("li", {}, h("span", { class: "mono" }, shortId(id)), `: ${message}`)),
      refused.length > SHOWN && h("li", {}, `and ${refused.length - SHOWN} more`))] : [];
  if (!count) return ask({ title: `${name}: nothing to do`, body: told });
  return ask({ title: `${name} ${counted(count, "execution")}?`, body: told, danger, fields, yes: `${name} ${count.toLocaleString("en")}` });
}
