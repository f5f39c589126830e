// @ts-check
/** What there is to know of one step. Everything is a text node, whatever a tool has written. */

import { faulty, loading, toast } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { to } from "../router.js";
import { exact, span, when } from "../time.js";
import { badge, shortId } from "../words.js";
import { pretty } from "./acting.js";
import { ofStep, planned } from "./deeds.js";
import { KINDS, cellText, cellTone } from "./steps.js";
import { sums } from "./timeline.js";

/**
 * @typedef {import("./source.js").Source} Source
 * @typedef {import("./timeline.js").Row} Row
 * @typedef {{name: string, words: string, render: (of: Shown) => import("../dom.js").Children | Promise<import("../dom.js").Children>}} Tab
 * @typedef {{source: Source, row: Row, step: any}} Shown `step`: as the API shows it; an item of a map, too
 */

const MANY = 20_000; // characters that are shown at once

/** @type {Tab[]} */
const TABS = [
  { name: "input", words: "Input", render: input },
  { name: "output", words: "Output", render: output },
  { name: "attempts", words: "Attempts", render: attempts },
  { name: "effect", words: "Effect", render: effect },
  { name: "logs", words: "Logs", render: logs },
  { name: "raw", words: "Raw", render: ({ step }) => json(step) },
];

export class Panel {
  /** @param {{close: () => void, turned: (tab: string) => void, act: (source: Source, deed: import("./deeds.js").Deed, step: any) => void}} page */
  constructor(page) {
    this.page = page;
    this.tab = "input";
    /** @type {Shown | null} */
    this.of = null;
    this.seen = "";
    this.filledWith = "";
    this.asked = 0;
    this.title = h("h2", { id: "step-title" });
    this.badge = badge("", "rest");
    this.facts = h("div", { class: "body" });
    this.deeds = h("div", { class: "deeds" });
    this.tabs = TABS.map(({ name, words }) => h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "tab-panel",
      on: { click: () => this.turn(name) } }, words));
    this.list = h("div", { role: "tablist", "aria-label": "Of this step", class: "tabs",
      on: { keydown: (/** @type {KeyboardEvent} */ event) => this.key(event) } }, ...this.tabs);
    this.place = h("div", { role: "tabpanel", id: "tab-panel", tabindex: "0", class: "body" });
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close the step", title: "Close (Escape)", on: { click: () => page.close() } }, "×");
    this.node = h("section", { class: "panel step", "aria-labelledby": "step-title", hidden: true },
      h("div", { class: "title" }, this.badge, this.title, close), this.facts, this.deeds, this.list, this.place);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const now = TABS.findIndex(({ name }) => name === this.tab);
    const next = TABS[(now + by + TABS.length) % TABS.length];
    if (next) this.turn(next.name);
    this.tabs[TABS.findIndex(({ name }) => name === this.tab)]?.focus();
  }

  /** Which tab is shown, without a word to the page; one that there is none of is the first. @param {string} name */
  turned(name) {
    this.tab = TABS.some((one) => one.name === name) ? name : "input";
  }

  /** @param {string} name */
  turn(name) {
    this.turned(name);
    this.seen = "";
    this.page.turned(this.tab);
    this.draw();
  }

  /** Show a step; with nothing new about it, nothing is touched. @param {Source} source @param {Row} row @param {string} [tab] */
  async show(source, row, tab) {
    if (tab && TABS.some(({ name }) => name === tab)) this.tab = tab;
    const number = row.name.match(/^(.*)\.(\d+)$/);
    const asked = (this.asked += 1);
    const step = number ? await source.item(number[1] ?? "", Number(number[2])).catch(() => null) : source.steps.find(({ name }) => name === row.name);
    if (asked !== this.asked) return;
    this.of = { source, row, step: step ?? { name: row.name, status: row.status, tool: "" } };
    this.draw();
  }

  hide() {
    this.of = null;
    this.asked += 1;
    this.seen = this.filledWith = "";
    this.node.hidden = true;
  }

  draw() {
    const { of } = this;
    if (!of) return;
    const { source, row, step } = of;
    const { status, pausedBy, cause } = source.execution;
    const now = JSON.stringify([source.id, row.key, this.tab, step, row.segments, row.attempts, row.marks, row.asks, status, pausedBy, cause]);
    if (now === this.seen) return;
    this.seen = now;
    this.node.hidden = false;
    const { activeElement } = document;
    const focused = this.deeds.contains(activeElement) ? /** @type {HTMLElement} */ (activeElement).dataset.deed : null;
    fill(this.title, row.lane === "undo" ? `Undo of ${row.name}` : row.name);
    const words = badge(cellText(row.status, row.lane), cellTone(row.status, row.lane));
    this.badge.replaceWith(words);
    this.badge = words;
    fill(this.facts, ...facts(of));
    const deeds = source.live ? ofStep(source, step) : [];
    fill(this.deeds, ...deeds.map((deed) => h("button", { type: "button", class: deed.tone ?? "", data: { deed: deed.name }, "aria-keyshortcuts": deed.key ?? null,
      on: { click: () => this.page.act(source, deed, step) } }, deed.words)));
    this.deeds.hidden = deeds.length === 0;
    if (focused) /** @type {HTMLElement | null} */ (this.deeds.querySelector(`[data-deed="${focused}"]`))?.focus();
    for (const [n, one] of this.tabs.entries()) {
      const chosen = TABS[n]?.name === this.tab;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
    }
    this.place.setAttribute("aria-labelledby", `tab-${this.tab}`);
    // What somebody has loaded, scrolled or selected in a tab stays until what the tab is about has changed.
    const about = JSON.stringify([source.id, row.key, this.tab, step, Boolean(source.plan), this.tab === "attempts" && [row.segments, row.attempts]]);
    if (about === this.filledWith) return;
    this.filledWith = about;
    this.filled(of);
  }

  /** @param {Shown} of */
  async filled(of) {
    const { filledWith } = this;
    const tab = TABS.find(({ name }) => name === this.tab);
    let found;
    try {
      found = tab?.render(of) ?? [];
      if (found instanceof Promise) {
        fill(this.place, loading());
        found = await found;
      }
    } catch (error) {
      found = faulty(error);
    }
    if (filledWith === this.filledWith) fill(this.place, ...[found].flat());
  }
}

/** @param {Shown} of @returns {import("../dom.js").Child[]} */
function facts({ source, row, step }) {
  const one = planned(source.plan, step.name);
  const error = row.lane === "undo" ? step.undo?.error : step.error;
  const { hold } = step;
  /** @type {[string, import("../dom.js").Children][]} */
  const found = [];
  if (step.tool) found.push(["Tool", h("code", {}, step.tool)]);
  const asks = row.lane === "undo" ? "" : row.asks || hold?.message || one?.approve?.message;
  if (asks) found.push(["Asks", asks]);
  if (one?.when) found.push(["Only if", h("code", {}, one.when)]);
  if (hold?.kind && hold.kind !== "granted") found.push(["Waits for", waitsFor(hold)]);
  if (hold?.by) found.push(["Granted by", hold.by]);
  if (step.retryAt) found.push(["Tried again", when(step.retryAt)]);
  if (step.items) found.push(["Items", counts(step.items)]);
  if (row.child) found.push(["Runs as", h("a", { href: to(`/executions/${row.child}`), class: "mono", title: row.child }, shortId(row.child))]);
  if (step.undo && row.lane === "forward") found.push(["Its undo", undone(step.undo)]);
  for (const { at, text } of row.marks) found.push([exact(at), text]);
  return [
    error && h("div", { class: "notice", data: { tone: "bad" } }, h("p", {}, h("strong", {}, error.code), `: ${error.message}`)),
    found.length > 0 && h("dl", { class: "facts" }, ...found.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, ...[value].flat())])),
  ];
}

/** How many items stand where. @param {Record<string, any>} items */
function counts({ path: _, total, ...others }) {
  return Object.entries(others).map(([name, count]) => `${count} ${cellText(name).toLowerCase()}`).join(", ") || String(total);
}

/** @param {any} undo */
const undone = ({ status, by, error }) => [cellText(status, "undo"), by && `, by ${by}`, error && `: ${error.message}`].filter(Boolean).join("");

/** @param {any} hold */
function waitsFor(hold) {
  const until = hold.until ? [" until ", when(hold.until)] : [];
  const events = hold.events?.map((/** @type {any} */ { name, key }) => (key ? `${name}/${key}` : name)).join(" or ");
  return [events ? `the event ${events}` : hold.kind, ", since ", when(hold.since), ...until];
}

const SAID = ["sleep", "wait", "approve", "child", "args"]; // what a step that calls no tool is made of

/** @param {Shown} of */
function input({ source, step }) {
  const one = planned(source.plan, step.name);
  const shown = [];
  const known = step.input ?? step.hold?.args;
  if (known !== undefined && known !== null) shown.push(h("h3", {}, step.hold?.kind === "approval" ? "What is to be approved" : "As it was called"), json(known));
  if (one && step.tool) shown.push(h("h3", {}, "As the plan has it"), json(one.map ? { ...one.args, map: one.map } : one.args));
  else if (one) {
    const said = SAID.filter((name) => one[name] && Object.keys(one[name]).length).map((name) => [name, one[name]]);
    shown.push(h("h3", {}, "What the plan says"), json(Object.fromEntries(said)));
  }
  if (step.needs?.length) shown.push(h("h3", {}, "Needs"), h("p", {}, step.needs.join(", ")));
  return shown.length ? shown : nothing("It has not been called.");
}

/** @param {Shown} of */
function output({ source, step }) {
  if (step.largeOutput) return large(source, step);
  if (step.output === undefined || step.output === null) return nothing(step.status === "DONE" ? "It gave nothing." : "It has given nothing yet.");
  return json(step.output);
}

/** @param {Source} source @param {any} step */
function large(source, step) {
  const place = h("div", {});
  const load = h("button", { type: "button", on: { click: async () => {
    fill(place, loading());
    try {
      fill(place, json(await source.output(step.name)));
    } catch (error) {
      fill(place, faulty(error));
    }
  } } }, "Load it");
  fill(place, h("p", { class: "soft" }, `It is large${step.largeOutput.bytes ? ` (${step.largeOutput.bytes.toLocaleString("en")} bytes)` : ""}.`), load);
  return place;
}

/** @param {Shown} of */
function attempts({ row }) {
  const now = Date.now();
  const spent = Object.entries(sums(row, now)).filter(([, long]) => long >= 1);
  if (!row.attempts.length && !spent.length) return nothing("Nothing has happened yet.");
  const rows = row.attempts.map((one) => h("tr", {}, h("td", { class: "number" }, one.probe ? "asked" : String(one.number)), h("td", {}, exact(one.from)),
    h("td", { class: "number nowrap" }, span((one.to ?? now) - one.from)),
    h("td", {}, one.outcome || "runs", one.code && h("span", { class: "fault" }, ` ${one.code}`), one.message && h("p", { class: "soft" }, one.message))));
  const head = h("thead", {}, h("tr", {}, ...["Attempt", "Began", "Took", "Came to"].map((text) => h("th", { scope: "col" }, text))));
  return [
    spent.length > 0 && h("p", {}, spent.map(([kind, long]) => `${KINDS[/** @type {import("./timeline.js").Kind} */ (kind)]} ${span(long)}`).join(" · ")),
    rows.length > 0 && h("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Attempts" }, h("table", {}, head, h("tbody", {}, ...rows))),
  ];
}

/** @type {Record<string, string>} */
const EFFECTS = {
  pure: "pure: it changes nothing, and may be called again",
  idempotent: "idempotent: with the same key it happens once",
  probeable: "probeable: it can be asked whether a key happened",
  unsafe: "unsafe: only a person can say whether it happened",
};

/** @param {Shown} of */
function effect({ source, row, step }) {
  const contract = source.plan?.contracts?.[step.tool];
  const one = planned(source.plan, step.name);
  /** @type {[string, import("../dom.js").Children][]} */
  const found = [];
  if (contract) found.push(["Class", EFFECTS[contract.effect] ?? contract.effect], ["Version", contract.version || "–"]);
  if (step.key) found.push(["Key", h("code", {}, step.key)]);
  if (row.lane === "undo") for (const { key } of row.attempts.slice(-1)) found.push(["Undo's key", h("code", {}, key)]);
  if (step.status === "UNKNOWN") found.push(["Happened?", "Nobody knows. Look where it would show, then say so."]);
  const own = one?.undo?.leave ? "none: the plan wants it to stand" : one?.undo?.tool && `by ${one.undo.tool}`;
  if (contract) found.push(["Way back", own || (UNDOS[contract.undo] ?? contract.undo)]);
  if (step.undo) found.push(["Undo", cellText(step.undo.status, "undo")]);
  if (step.undo?.ended_ms) found.push(["Undone", when(step.undo.ended_ms)]);
  if (!found.length) return nothing("It calls nothing, so it has no effect.");
  return h("dl", { class: "facts" }, ...found.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, ...[value].flat())]));
}

/** @type {Record<string, string>} */
const UNDOS = {
  none: "none", tombstone: "by its key, at any time", settled: "by its key, once no late request can land", call: "by another call", child: "by its own execution",
};

/** What its calls have logged, or those of its undo. @param {Shown} of */
async function logs({ source, row, step }) {
  const found = await source.logs(step.name);
  const mine = found?.lines.filter(({ undo }) => Boolean(undo) === (row.lane === "undo")) ?? [];
  if (!mine.length) return nothing(source.live ? "There are no log lines." : "Log lines are not in the file.");
  return [
    found?.truncated && h("p", { class: "soft" }, "There were more lines than are kept."),
    h("ol", { class: "logs" }, ...mine.map(({ at_ms: at, attempt, level, message, fields }) => h("li", { data: { level } },
      h("time", { class: "soft", title: exact(at) }, new Date(at).toLocaleTimeString(undefined, { hour12: false })), h("span", { class: "level" }, level),
      h("span", {}, message), fields && Object.keys(fields).length > 0 && h("span", { class: "soft" }, JSON.stringify(fields)),
      attempt > 1 && h("span", { class: "soft" }, `attempt ${attempt}`)))),
  ];
}

/** @param {string} text */
const nothing = (text) => h("p", { class: "soft" }, text);

/** A value as JSON, with a button that copies all of it. @param {any} value */
export function json(value) {
  const text = pretty(value);
  const shown = h("pre", { class: "json" }, text.slice(0, MANY));
  const copy = h("button", { type: "button", class: "quiet copy", on: { click: () => copied(text) } }, "Copy");
  const whole = () => { shown.textContent = text; all.remove(); };
  const all = h("button", { type: "button", on: { click: whole } }, `Show all ${text.length.toLocaleString("en")} characters`);
  return h("div", { class: "code" }, copy, shown, text.length > MANY && all);
}

/** @param {string} text */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.", "good");
  } catch {
    toast("The browser does not let this page copy. Select the text instead.", "bad");
  }
}
