// @ts-check
/** A hand on what may be called: questions, and the record of all that was done. */

import { get, send } from "./api.js";
import { ask, faulty, loading } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { when } from "./time.js";
import { badge } from "./words.js";

/** @type {import("./dialogs.js").Field} */
export const WHY = { name: "reason", label: "Reason", hint: "It is on record." };

/** Ask, and pause a tool for everybody; what to say, or an empty text for a no. @param {string} tool */
export async function pauseTool(tool) {
  const body = h("p", {}, "Nobody calls it until it is resumed. What runs goes on; what needs it waits.");
  const given = await ask({ title: `Pause ${tool} for everybody?`, body, fields: [WHY], yes: "Pause", danger: true });
  if (!given) return "";
  await send(`api/tools/${encodeURIComponent(tool)}/pause`, { reason: given.reason });
  return `${tool} is paused.`;
}

/** Ask, and call a tool again; its circuit is closed with it. @param {string} tool @param {string} [yes] */
export async function resumeTool(tool, yes = "Resume") {
  const given = await ask({ title: `Call ${tool} again?`, fields: [WHY], yes });
  if (!given) return "";
  await send(`api/tools/${encodeURIComponent(tool)}/resume`, { reason: given.reason });
  return `${tool} is called again.`;
}

/** @typedef {{id: string, at: string, what: "paused" | "resumed" | "opened" | "closed", kind: string, tool: string | null, tenant: string | null, actor: string | null, reason: string | null}} Line */

/** @type {Record<Line["what"], [string, import("./words.js").Tone]>} */
const WHAT = { paused: ["Paused", "wait"], resumed: ["Resumed", "good"], opened: ["Circuit opened", "bad"], closed: ["Circuit closed", "good"] };
const PAGE = 20;

/**
 * What was done, the latest first, page by page.
 * @param {AbortSignal} signal @returns {{node: HTMLElement, again: () => Promise<void>}}
 */
export function record(signal) {
  const list = h("ul", { class: "panel record", "aria-label": "On record" });
  const foot = h("div", { class: "foot" });
  const node = h("div", {}, loading());
  let turn = 0;

  /** @param {string} before */
  async function read(before) {
    const mine = (turn += 1);
    try {
      const { audit, next } = await get("api/gates/audit", { limit: PAGE, before }, signal);
      if (mine !== turn || signal.aborted) return;
      if (before) list.append(...audit.map(line));
      else fill(list, ...audit.map(line));
      fill(foot, next && h("button", { type: "button", on: { click: () => read(next) } }, "Show more"));
      fill(node, list.childElementCount ? [list, foot] : h("p", { class: "soft" }, "Nothing was paused yet, and no circuit has opened."));
    } catch (error) {
      if (mine === turn && !signal.aborted) fill(node, faulty(error, () => { fill(node, loading()); read(""); }));
    }
  }

  const again = () => read("");
  again();
  return { node, again };
}

/** @param {Line} of */
function line({ at, what, kind, tool, tenant, actor, reason }) {
  const [words, tone] = WHAT[what];
  const by = actor ? `by ${actor}` : what === "opened" || what === "closed" ? "by itself" : "";
  const name = tool ? h("span", { class: "mono" }, tool) : h("span", {}, `All calls of ${tenant}`);
  return h("li", {}, badge(kind === "circuit" && what === "resumed" ? "Circuit closed" : words, tone), name, reason && h("span", { class: "said" }, reason),
    h("span", { class: "soft end" }, by, by && ", ", when(at)));
}
