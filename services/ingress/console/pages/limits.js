// @ts-check
/** How much may still be done, and what may not be called now. */

import { get, send } from "../api.js";
import { ask, empty, faulty, loading } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { record, resumeTool, WHY } from "../gates.js";
import { deed, facts, heading, listed } from "../lists.js";
import { when } from "../time.js";
import { badge } from "../words.js";

/** @type {import("../router.js").Page} */
export const page = {
  title: "Limits",
  render({ signal }) {
    const quota = h("div", {}, loading());
    read(quota, signal);
    const gates = listed({ signal, label: "Closed gates", path: "api/gates", rows: "gates", key: (row) => row.gate, card: (of) => card(of, again),
      none: () => empty("Everything may be called.", h("p", {}, "Paused tools, open circuits and a pause of all your executions are listed here.")) });
    const done = record(signal);
    const again = async () => { await Promise.all([gates.again(), done.again()]); };
    const pause = deed("Pause all calls", async () => {
      const given = await ask({ title: "Pause all calls of your executions?", body: h("p", {}, "What runs goes on. What needs another call waits until you resume."), fields: [WHY], yes: "Pause", danger: true });
      if (!given) return "";
      await send("api/tenant/pause", { reason: given.reason });
      await again();
      return "No new call is made.";
    }, { class: "danger" });
    const tool = deed("Pause a tool", async () => {
      const given = await ask({ title: "Pause a tool for everybody?", fields: [{ name: "tool", label: "Tool", required: true }, WHY], yes: "Pause", danger: true });
      if (!given) return "";
      const name = given.tool.trim();
      await send(`api/tools/${encodeURIComponent(name)}/pause`, { reason: given.reason });
      await again();
      return `${name} is paused.`;
    });
    return { node: h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Limits")), h("section", {}, h("h2", {}, "Messages and executions"), quota),
      h("section", {}, h("div", { class: "bar" }, h("h2", {}, "What may not be called"), h("div", { class: "end" }, tool, pause)), gates.node),
      h("section", {}, h("h2", {}, "On record"), done.node)) };
  },
};

/** @param {HTMLElement} place @param {AbortSignal} signal */
async function read(place, signal) {
  try {
    const found = await get("api/quota", {}, signal);
    const { running, limit } = found.concurrent;
    fill(place, h("div", { class: "panel card" }, heading([h("h3", {}, found.tenant), badge(found.level, found.level === "normal" ? "good" : "wait")]),
      facts([...row("Today", found.day), ...row("This month", found.month), ["Run now", limit ? `${running} of ${limit}` : `${running}, no limit`], ["Wait for messages", String(found.waiting)]])));
  } catch (error) {
    if (!signal.aborted) fill(place, faulty(error, () => { fill(place, loading()); read(place, signal); }));
  }
}

/** @param {string} name @param {any} of @returns {[string, import("../dom.js").Child][]} */
const row = (name, of) => [[name, `${number(of.spent)} spent, ${number(of.reserved)} reserved, ${of.limit === null ? "no limit" : `${number(of.left)} left of ${number(of.limit)}`}`], [`${name}, anew`, when(of.resetsAt)]];

/** @param {number} value */
const number = (value) => value.toLocaleString("en");

/** @param {any} of @param {() => Promise<void>} again */
function card(of, again) {
  const circuit = of.kind === "circuit";
  const words = circuit ? "Close circuit" : "Resume";
  const resume = deed(words, async () => {
    const said = await (of.tool ? resumeTool(of.tool, words) : resumeAll(of.tenant));
    if (said) await again();
    return said;
  });
  return [heading([h("h3", {}, of.tool ?? `All calls of ${of.tenant}`), badge(circuit ? "Circuit open" : "Paused", circuit ? "bad" : "wait")], [resume]),
    facts([["Since", of.since && when(of.since)], ["Until", of.until && when(of.until)], ["Reason", of.reason], ["By", of.actor]])];
}

/** Ask, and end a tenant's own pause. @param {string} tenant */
async function resumeAll(tenant) {
  // an operator sees every tenant's pause, and the API ends only one's own
  if ((await get("api/quota")).tenant !== tenant) throw new Error(`Only ${tenant} itself can end this pause`);
  const given = await ask({ title: "Make calls again?", fields: [WHY], yes: "Resume" });
  if (!given) return "";
  await send("api/tenant/resume", { reason: given.reason });
  return "Calls are made again.";
}
