// @ts-check
/** What steps can do, how long that takes, and whether it is called now. */

import { get } from "../api.js";
import { empty, faulty, loading } from "../dialogs.js";
import { fill, h, keyed } from "../dom.js";
import { pauseTool, resumeTool } from "../gates.js";
import { deed, facts, heading, json, wander } from "../lists.js";
import { to } from "../router.js";
import { span, when } from "../time.js";
import { badge, counted } from "../words.js";

const POLL = 5_000; // ms between two looks at how they do

/** @typedef {{p50Ms: number, p95Ms: number | null, p99Ms: number | null, calls: number, at: string | null}} Latency */
/** @typedef {{name: string, state: "closed" | "open" | "half-open", since: string | null, until: string | null, reason: string | null, times: number, failuresInARow: number, failed: number, ofCalls: number}} Breaker */
/** @typedef {{since: string | null, reason: string | null, actor: string | null}} Pause */
/** @typedef {{name: string, latency: Latency | null, breaker: Breaker, paused: Pause | null}} State */

/** @type {import("../router.js").Page} */
export const page = {
  title: "Tools",
  render({ signal }) {
    const tools = new Tools(signal);
    tools.begin();
    return { node: tools.node };
  },
};

class Tools {
  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.signal = signal;
    /** @type {any[]} what they are: this changes with a restart only */
    this.rows = [];
    /** @type {Map<string, State>} how they do */
    this.states = new Map();
    this.operates = false;
    this.list = h("ul", { class: "cards", "aria-label": "Tools" });
    this.place = h("div", {}, loading());
    this.fault = h("div", {});
    this.told = h("div", {});
    this.node = h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Tools"),
      h("span", { class: "end" }, h("a", { href: to("/quota") }, "What was paused, by whom and why"))), this.fault, this.told, this.place);
    wander(signal);
    const poll = setInterval(() => { if (!document.hidden && this.rows.length) this.look(); }, POLL);
    signal.addEventListener("abort", () => clearInterval(poll), { once: true });
  }

  async begin() {
    try {
      const { tools } = await get("api/tools", {}, this.signal);
      this.rows = tools;
      await this.look();
      fill(this.place, tools.length ? this.list
        : empty("There is no tool.", h("p", {}, "Name the modules of your tools in the setting ", h("code", {}, "TOOLS"), ".")));
    } catch (error) {
      if (!this.signal.aborted) fill(this.place, faulty(error, () => { fill(this.place, loading()); this.begin(); }));
    }
  }

  /** How they do now; where nobody tells, what was known stays. */
  async look() {
    try {
      const found = await get("api/tools/state", {}, this.signal);
      this.operates = found.operates;
      this.states = new Map(found.tools.map((/** @type {State} */ one) => [one.name, one]));
      fill(this.told, found.paused && h("div", { class: "notice", data: { tone: "wait" } }, h("p", {}, "All your calls are paused. ", h("a", { href: to("/quota") }, "Limits"), " has the button that resumes them.")));
      fill(this.fault);
    } catch (error) {
      if (!this.signal.aborted) fill(this.fault, faulty(error, () => this.look()));
    }
    if (!this.signal.aborted) keyed(this.list, this.rows, (row) => row.name, card, (node, row) => this.update(node, row));
  }

  /** Only what has changed is written: what somebody has in hand stays. @param {HTMLElement} node @param {any} row */
  update(node, row) {
    const state = this.states.get(row.name);
    const said = JSON.stringify([state, this.operates]);
    if (!state || node.dataset.said === said) return;
    node.dataset.said = said;
    const [signs, buttons, how] = ["signs", "end", "how"].map((name) => /** @type {HTMLElement} */ (node.querySelector(`.${name}`)));
    const focused = buttons?.contains(document.activeElement);
    fill(/** @type {HTMLElement} */ (signs), ...standing(state));
    fill(/** @type {HTMLElement} */ (buttons), ...(this.operates ? this.buttons(state) : []));
    fill(/** @type {HTMLElement} */ (how), facts([["Calls take", latency(state.latency)], ["Circuit", circuit(state.breaker)], ["Paused", pause(state.paused)]]));
    if (focused) /** @type {HTMLElement | null} */ (buttons?.querySelector("button"))?.focus();
  }

  /** @param {State} state */
  buttons({ name, breaker, paused }) {
    const done = (/** @type {string} */ said) => this.look().then(() => said);
    if (paused) return [deed("Resume", () => resumeTool(name).then(done))];
    const stop = deed("Pause", () => pauseTool(name).then(done));
    return breaker.state === "closed" ? [stop] : [deed("Close circuit", () => resumeTool(name, "Close circuit").then(done)), stop];
  }
}

/** What does not change of a card. @param {any} row */
function card({ name, summary, contract, args, versions }) {
  const { cost } = contract;
  const told = facts([["Undo", contract.undo], ["Cost", cost ? `${cost.amount}${cost.failed ? ", also when it fails" : ""}` : "nothing"],
    ["Time-out", span(contract.timeout_ms)], ["Attempts", contract.retry.attempts],
    ["Other versions", versions.filter((/** @type {string} */ one) => one !== contract.version).join(", ")]]);
  return h("li", { class: "panel card", tabindex: "-1" },
    heading([h("h3", { class: "mono" }, name), h("span", { class: "soft" }, `version ${contract.version}`), badge(contract.effect, "rest"), h("span", { class: "signs" })], [""]),
    h("p", {}, summary), h("div", { class: "pair" }, h("div", { class: "how" }), told),
    h("details", {}, h("summary", {}, "Arguments"), json(args)));
}

/** @param {State} state */
function standing({ breaker, paused }) {
  const signs = [];
  if (paused) signs.push(badge("Paused", "wait"));
  if (breaker.state === "open") signs.push(badge("Circuit open", "bad"));
  if (breaker.state === "half-open") signs.push(badge("Circuit half-open", "wait"));
  return signs;
}

/** @param {Latency | null} of */
function latency(of) {
  if (!of) return h("span", { class: "soft" }, "not measured yet");
  const numbers = [["p50", of.p50Ms], ["p95", of.p95Ms], ["p99", of.p99Ms]].filter(([, value]) => value !== null);
  return h("span", {}, numbers.map(([name, value]) => `${name} ${span(Number(value))}`).join(", "), " ",
    of.calls > 0 && h("span", { class: "soft" }, `(${counted(of.calls, "call")}, `, when(of.at), ")"));
}

/** @param {Breaker} of */
function circuit({ name, state, since, until, reason, times, failuresInARow, failed, ofCalls }) {
  const parts = /** @type {import("../dom.js").Child[]} */ ([state === "open" ? "" : state]);
  if (since) parts.push({ closed: ", again ", open: "opened ", "half-open": ", opened " }[state], when(since));
  if (reason) parts.push(`: ${reason}`);
  if (until) parts.push(", tried again ", when(until));
  if (state === "half-open") parts.push(", one call tries it");
  if (times > 1) parts.push(`, ${times} times in a row`);
  if (failuresInARow) parts.push(`, ${counted(failuresInARow, "failure")} in a row`);
  if (failed) parts.push(`, ${failed} of ${counted(ofCalls, "call")} failed lately`);
  return h("span", { title: `shared by all tools of ${name}` }, parts);
}

/** @param {Pause | null} of */
const pause = (of) => of && h("span", {}, "since ", when(of.since), of.reason && `: ${of.reason}`, of.actor && h("span", { class: "soft" }, ` by ${of.actor}`));
