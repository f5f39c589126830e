// @ts-check
/** One execution on a page: its header, why it waits, the waterfall, a step's panel, its history. Of the engine or of a file. */

import { faultText } from "../dialogs.js";
import { fill, h, say } from "../dom.js";
import { keepingFocus } from "../focus.js";
import { shortcut } from "../keys.js";
import { go, to } from "../router.js";
import { clock, exact, ms, span, when } from "../time.js";
import { TERMINAL, counted, rebadge, shortId, statusBadge, statusText, statusTone } from "../words.js";
import { Acting } from "./acting.js";
import { ofStep, ofWhole } from "./deeds.js";
import { Panel, copied, json } from "./panel.js";
import { momentOf } from "./timeline.js";
import { Waterfall } from "./waterfall.js";

/** @typedef {import("./source.js").Source} Source @typedef {import("./deeds.js").Deed} Deed */

const LEFT = /** @type {const} */ ([["failed", "could not be undone"], ["left", "stands, and cannot be undone"], ["unknown", "may stand: nobody knows"]]);

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const MOMENT = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00))/;

/** Moments in the engine's words as the reader's own time, and how far away that is. @param {string} text @returns {import("../dom.js").Child[]} */
const worded = (text) => text.split(MOMENT).flatMap((part, n) => (n % 2 ? [`${exact(part)} (`, when(part), ")"] : [part]));

/** What is said of a refusal. @param {any} error */
function refusal(error) {
  if (error.status !== 409) return faultText(error);
  if (error.code === "version_conflict") return "It changed meanwhile: look again. Nothing was done.";
  const why = `${capital(error.message)}.`;
  return error.code === "moot" ? `It changed meanwhile: look again. Nothing was done. ${why}` : why;
}

const LINES = 200; // of the history, at once

export class View {
  title = h("h1", {}, "");
  deeds = h("div", { class: "deeds end", role: "group", "aria-label": "What can be done" });
  why = h("div", { class: "notice why", role: "status", "aria-label": "Why it waits" });
  fault = h("div", { class: "refused" });
  facts = h("dl", { class: "strip" });
  outcome = h("div", {});
  list = h("ol", { class: "history" });
  more = h("button", { type: "button", hidden: true, on: { click: () => { this.lines += 1_000; this.history(); } } }, "Show earlier lines");
  past = h("details", { class: "panel past", on: { toggle: () => this.history() } }, h("summary", {}, "History"), h("div", { class: "body" }, this.more, this.list));

  /** @param {{source: Source, signal: AbortSignal, query: URLSearchParams, path: string | null}} of `path`: where the chosen step is kept; null for a file */
  constructor({ source, signal, query, path }) {
    this.source = source;
    this.signal = signal;
    this.path = path;
    this.query = query;
    /** @type {import("./waterfall.js").Entry | null} */
    this.entry = null;
    this.drawn = 0;
    this.lines = LINES;
    this.drawnOf = { why: "", strip: "", deeds: "", end: "", history: "" }; // what each part shows: it is touched only when that changes
    this.badge = statusBadge(source.execution.status);
    this.acting = new Acting({ told: (error, again) => this.refused(error, again), quiet: () => fill(this.fault), signal });
    this.panel = new Panel({ close: () => this.close(), turned: (tab) => this.keep({ tab }), act: (of, deed, step) => this.acting.act(of, deed, step) });
    this.fall = new Waterfall({ source, signal, chosen: (entry) => this.chosen(entry) });
    this.node = this.built();
    this.keys();
    this.refresh();
    this.moved(query);
  }

  built() {
    const { source } = this;
    const id = h("p", { class: "soft id" }, h("code", {}, source.id),
      h("button", { type: "button", class: "quiet", "aria-label": "Copy the id", on: { click: () => copied(source.id) } }, "Copy"));
    return h("div", { class: "execution" }, h("div", { class: "head" }, this.badge, this.title, this.deeds), id, this.fault, this.why, this.facts,
      h("div", { class: "lanes" }, h("div", { class: "main" }, this.fall.node, this.outcome, this.past), this.panel.node));
  }

  keys() {
    const { signal, fall } = this;
    const press = (/** @type {string} */ key, /** @type {string} */ does, /** @type {() => void} */ run) => shortcut(key, does, run, signal);
    press("j", "next step", () => fall.move(1));
    press("k", "step before", () => fall.move(-1));
    press("Enter", "open the step", () => fall.enter());
    press("Escape", "close the step", () => this.close());
    press("+", "zoom in", () => fall.zoom(0.5));
    press("=", "zoom in", () => fall.zoom(0.5));
    press("-", "zoom out", () => fall.zoom(2));
    press("0", "show all of the time", () => fall.fit());
    press("<", "earlier", () => fall.shift(-0.5));
    press(">", "later", () => fall.shift(0.5));
    if (!this.source.live) return;
    press("c", "cancel", () => this.pressed("c"));
    press("r", "retry", () => this.pressed("r"));
    press("a", "approve, or confirm the plan", () => this.pressed("a"));
    press("p", "pause or resume", () => this.pressed("p"));
  }

  /** A key does what has it: to the chosen step, to the only step it fits, or to the whole. @param {string} key */
  pressed(key) {
    const { source } = this;
    const chosen = this.panel.of;
    const mine = chosen && ofStep(chosen.source, chosen.step).find((deed) => deed.key === key);
    if (chosen && mine) return this.acting.act(chosen.source, mine, chosen.step);
    const whole = ofWhole(source).find((deed) => deed.key === key);
    if (whole) return this.acting.act(source, whole);
    const fitting = source.steps.filter((step) => ofStep(source, step).some((deed) => deed.key === key));
    const [only] = fitting;
    const deed = only && ofStep(source, only).find((one) => one.key === key);
    if (fitting.length === 1 && deed) return this.acting.act(source, deed, only);
    const why = fitting.length ? `${fitting.length} steps could be meant: choose one` : "Nothing of this kind can be done now";
    return this.refused({ message: why }, null);
  }

  /** The source has changed: at most once a frame. */
  changed() {
    if (this.drawn) return;
    this.drawn = requestAnimationFrame(() => {
      this.drawn = 0;
      if (!this.signal.aborted) this.refresh();
    });
  }

  refresh() {
    const { execution, why } = this.source;
    rebadge(this.badge, statusText(execution.status), statusTone(execution.status));
    say(this.title, execution.text || execution.plan.summary || `Plan of ${counted(execution.totalSteps, "step")}`);
    this.reasons(why);
    this.strip(execution);
    this.buttons();
    this.ending(execution);
    this.fall.refresh();
    this.history();
    if (this.entry?.row) this.shown();
  }

  /** @param {any} why */
  reasons(why) {
    this.why.hidden = !why;
    if (!why) return;
    const over = TERMINAL.has(this.source.execution.status);
    const tone = why.broken ? "bad" : why.waits?.some((/** @type {any} */ one) => one.owner === "person") ? "wait" : "rest";
    const names = [...new Set((why.waits ?? []).map((/** @type {any} */ one) => one.step).filter(Boolean))].slice(0, 5);
    const now = JSON.stringify([why.why, names, over]);
    if (now === this.drawnOf.why) return;
    this.drawnOf.why = now;
    this.why.dataset.tone = over ? "rest" : tone;
    fill(this.why, h("p", {}, !over && h("span", { class: "strong" }, "Why it waits: "), ...worded(over ? capital(why.why) : why.why)),
      names.length > 0 && h("p", { class: "links" }, ...names.map((name) =>
        h("button", { type: "button", class: "link", on: { click: () => this.pick(String(name)) } }, String(name)))));
  }

  /** @param {any} execution */
  strip(execution) {
    const { plan, source } = { plan: execution.plan, source: this.source };
    const begun = ms(execution.createdAt) ?? 0;
    const link = (/** @type {string} */ id) => h("a", { href: to(`/executions/${id}`), class: "mono", title: id }, shortId(id));
    /** @type {[string, import("../dom.js").Children][]} */
    const found = [["Started", when(execution.createdAt)]];
    if (execution.endedAt) found.push(["Took", span((ms(execution.endedAt) ?? begun) - begun)]);
    if (execution.endedAt) found.push(["Ended", when(execution.endedAt)]);
    if (execution.wakesAt) found.push(["Wakes", when(execution.wakesAt)]);
    found.push(["Deadline", execution.deadline ? when(execution.deadline) : "none"]);
    found.push(["Steps", `${execution.doneSteps} of ${execution.totalSteps}`], ["Phase", execution.phase]);
    found.push(["Version", String(execution.version)], ["Segments", String(execution.segment)]);
    if (execution.cause) found.push(["Stopped", execution.cause]);
    if (execution.pausedBy) found.push(["Paused by", execution.pausedBy]);
    if (execution.userId) found.push(["User", execution.userId]);
    if (execution.parent) found.push(["Part of", link(execution.parent)]);
    if (execution.origin?.from) found.push([execution.origin.kind === "fork" ? "Fork of" : "Run again from", link(execution.origin.from)]);
    if (plan.hash) found.push(["Plan", h("code", { title: plan.hash }, plan.hash.slice(0, 8))]);
    if (source.exportedAt) found.push(["Exported", exact(source.exportedAt)]);
    const now = JSON.stringify({ ...execution, output: null, input: null });
    if (now === this.drawnOf.strip) return;
    this.drawnOf.strip = now;
    fill(this.facts, ...found.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...[value].flat()))));
  }

  buttons() {
    const { source } = this;
    const deeds = source.live ? ofWhole(source) : [];
    const now = JSON.stringify(deeds);
    if (now === this.drawnOf.deeds) return;
    this.drawnOf.deeds = now;
    keepingFocus(this.deeds, () => fill(this.deeds, ...deeds.map((deed) => h("button", { type: "button", class: deed.tone ?? "", "aria-keyshortcuts": deed.key ?? null,
      title: deed.key ? `${deed.words} (${deed.key})` : null, on: { click: () => this.acting.act(source, deed) } }, deed.words))));
  }

  /** What came of it: its output, questions, and what its undoing left. @param {any} execution */
  ending(execution) {
    const now = JSON.stringify([execution.output, execution.questions, execution.undo]);
    if (now === this.drawnOf.end) return;
    this.drawnOf.end = now;
    const { undo, questions } = execution;
    const left = undo ? LEFT.filter(([name]) => undo[name].length) : [];
    const output = !questions && execution.output !== null && execution.output !== undefined;
    fill(this.outcome, ...left.map(([name, text]) => h("div", { class: "notice", data: { tone: "wait" } },
      h("p", {}, h("span", { class: "strong" }, undo[name].slice(0, 20).join(", ")), ` ${text}.`))),
    questions?.length > 0 && h("div", { class: "notice" }, h("p", { class: "strong" }, "What has to be known first:"),
      h("ul", {}, ...questions.map((/** @type {any} */ one) => h("li", {}, one.question ?? one.text ?? JSON.stringify(one))))),
    output && h("details", { class: "panel past" }, h("summary", {}, "Output"), h("div", { class: "body" }, json(execution.output))));
  }

  /** The latest lines, the newest last; read only while they are unfolded. */
  history() {
    if (!this.past.open) return;
    const { history } = this.source;
    const shown = history.slice(-this.lines);
    this.more.hidden = shown.length === history.length;
    const last = `${this.lines}/${history.at(-1)?.id}`;
    if (last === this.drawnOf.history) return;
    this.drawnOf.history = last;
    fill(this.list, ...shown.map((line) => h("li", {}, h("time", { class: "soft", title: exact(momentOf(line)) }, clock(momentOf(line))), h("code", {}, line.event),
      h("span", {}, line.step ?? ""), h("span", { class: "soft detail" }, line.detail && Object.keys(line.detail).length ? JSON.stringify(line.detail) : ""))));
  }

  // --- the chosen step

  /** The address says which step is looked at. @param {URLSearchParams} query */
  moved(query) {
    this.query = query;
    const name = query.get("step") ?? "";
    const key = this.entry?.source === this.source ? (this.entry?.row?.key ?? "").replace(/^forward\//, "") : "";
    if (name && name !== key) {
      this.panel.turned(query.get("tab") ?? this.panel.tab);
      this.entry = this.fall.pick(name);
      if (this.entry) this.shown();
    } else if (!name && key) this.drop();
  }

  /** @param {string} name */
  pick(name) {
    const entry = this.fall.pick(name);
    if (entry) this.chosen(entry);
  }

  /** @param {import("./waterfall.js").Entry | null} entry */
  chosen(entry) {
    this.entry = entry;
    if (!entry?.row) return;
    this.shown();
    if (entry.source === this.source) this.keep({ step: entry.row.key.replace(/^forward\//, ""), tab: this.panel.tab });
  }

  shown() {
    const { entry } = this;
    if (!entry?.row || !entry.source) return;
    const fresh = this.fall.entries.find(({ key }) => key === entry.key) ?? entry;
    if (fresh.row) this.panel.show(entry.source, fresh.row);
    if (this.node.dataset.step) return;
    this.node.dataset.step = "open";
    requestAnimationFrame(() => this.fall.table.querySelector("tr[aria-selected=true]")?.scrollIntoView({ block: "nearest" })); // not behind the panel
  }

  close() {
    if (!this.entry) return;
    this.drop();
    this.keep({ step: null, tab: null });
    const index = this.fall.entries.findIndex(({ key }) => key === this.fall.current);
    if (index >= 0) this.fall.go(index);
  }

  drop() {
    this.entry = null;
    this.panel.hide();
    delete this.node.dataset.step;
  }

  /** What is looked at stands in the address. @param {Record<string, string | null>} what */
  keep(what) {
    if (this.path === null) return;
    const query = { ...Object.fromEntries(this.query), ...what };
    this.query = new URLSearchParams(Object.entries(query).filter(([, value]) => value).map(([name, value]) => [name, String(value)]));
    go(this.path, query, { replace: true });
  }

  async again() {
    fill(this.fault);
    try {
      await this.source.reload();
    } catch (error) {
      this.refused(error, null);
    }
  }

  /** @param {any} error @param {(() => void) | null} again */
  refused(error, again) {
    const conflict = error.status === 409;
    const words = refusal(error);
    const node = h("div", { class: "notice", role: "alert", data: { tone: conflict ? "wait" : "bad" } }, h("p", {}, ...worded(words)),
      h("div", { class: "deeds" }, again && h("button", { type: "button", on: { click: () => { fill(this.fault); again(); } } }, "Ask again"),
        h("button", { type: "button", on: { click: () => this.again() } }, "Look again")));
    fill(this.fault, node);
    node.scrollIntoView({ block: "nearest" });
  }
}
