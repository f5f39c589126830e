// @ts-check
/** The waterfall: a tree of steps, one row each, of which only what is seen is in the document. */

import { fill, h, s, say } from "../dom.js";
import { exact, span } from "../time.js";
import { windowed } from "../windowed.js";
import { badge, rebadge } from "../words.js";
import { KINDS, cellText, cellTone, story, told } from "./steps.js";
import { ticks, timeline, tookOf } from "./timeline.js";

/**
 * @typedef {import("./timeline.js").Row} Row
 * @typedef {import("./source.js").Source} Source
 * @typedef {object} Entry one line of the table
 * @property {string} key
 * @property {number} level
 * @property {"lane" | "row" | "note"} kind
 * @property {string} [text] of a lane or a note
 * @property {Row} [row]
 * @property {Source} [source] whose row it is
 * @property {boolean | null} [expanded] null where there is nothing to unfold
 *
 * @typedef {{source: Source | null, fault: string, leave: AbortController}} Kid
 */

const COLUMNS = 3;
const DRAG = 6; // px that make a press a drag
const CLOSEST = 5; // ms: no zoom shows less

export class Waterfall {
  table = h("table", { role: "treegrid", "aria-label": "Steps, and what they did when" });
  axis = h("div", { class: "axis", "aria-hidden": "true" });
  brush = h("div", { class: "brush", hidden: true });
  range = h("span", { class: "soft nowrap", role: "status" });
  wrap = h("div", { class: "fall" }, this.table, this.brush);

  /**
   * @param {{source: Source, signal: AbortSignal, chosen: (entry: Entry | null) => void}} of `chosen`: a row was selected
   */
  constructor({ source, signal, chosen }) {
    this.source = source;
    this.signal = signal;
    this.chosen = chosen;
    /** @type {import("./timeline.js").Timeline | null} */
    this.time = null;
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {Set<string>} */
    this.folded = new Set();
    /** @type {Set<string>} */
    this.unfolded = new Set();
    /** @type {Map<string, Kid>} */
    this.kids = new Map();
    this.current = "";
    /** @type {{from: number, to: number} | null} null: all of it */
    this.zoomed = null;
    this.width = 600;
    this.dragged = false;
    this.view = windowed(this.table, { items: () => this.entries, key: ({ key }) => key, make: (entry) => this.make(entry),
      update: (node, entry) => this.update(node, entry), columns: COLUMNS, signal });
    this.node = this.built();
    this.listen();
  }

  built() {
    this.table.prepend(h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "of-step" }, "Step"),
      h("th", { scope: "col", class: "of-track" }, h("span", { class: "hide" }, "Timeline"), this.axis), h("th", { scope: "col", class: "of-took number" }, "Took"))));
    const bar = h("div", { class: "bar" }, legend(), h("div", { class: "end" }, this.range, ...this.buttons()));
    return h("section", { "aria-label": "Timeline" }, bar, h("div", { class: "panel" }, this.wrap));
  }

  buttons() {
    const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ click) =>
      h("button", { type: "button", "aria-label": label, title: label, on: { click } }, text);
    return [button("−", "Zoom out (-)", () => this.zoom(2)), button("+", "Zoom in (+)", () => this.zoom(0.5)), button("Fit", "Show all of it (0)", () => this.fit())];
  }

  listen() {
    const { signal } = this;
    this.wrap.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.at(event.clientX));
    }, { passive: false, signal });
    this.wrap.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.drag(event), { signal });
    this.table.addEventListener("click", (/** @type {MouseEvent} */ event) => this.click(event), { signal });
    this.table.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event), { signal });
    const watch = new ResizeObserver(([one]) => {
      const width = one?.contentRect.width ?? 0;
      if (width && Math.abs(width - this.width) > 1) { this.width = width; this.draw(); }
    });
    watch.observe(this.axis);
    const clock = setInterval(() => { if (this.time?.end === null && !document.hidden) this.draw(); }, 1_000);
    signal.addEventListener("abort", () => { watch.disconnect(); clearInterval(clock); for (const { leave } of this.kids.values()) leave.abort(); }, { once: true });
  }

  /** The source has changed. */
  refresh() {
    this.time = timeline(this.source);
    this.list();
    this.draw();
  }

  /** What is to be seen, by what is folded. */
  list() {
    const { time } = this;
    if (!time) return;
    const { forward, undo } = time;
    this.entries = [];
    this.lane("forward", "Forward", forward, `${forward.filter(({ status }) => status === "DONE").length} of ${forward.length} done`);
    if (undo.length) this.lane("undo", "Undo", undo, `${undo.filter(({ status }) => status === "DONE").length} of ${undo.length} undone`);
    this.table.setAttribute("aria-rowcount", String(this.entries.length + 1));
  }

  /** @param {string} name @param {string} text @param {Row[]} rows @param {string} count */
  lane(name, text, rows, count) {
    const key = `lane/${name}`;
    const expanded = !this.folded.has(key);
    const failed = rows.filter(({ status }) => status === "FAILED" || status === "UNKNOWN").length;
    this.entries.push({ key, kind: "lane", level: 1, expanded, text: `${text} · ${count}${failed ? ` · ${failed} failed or unknown` : ""}` });
    if (expanded && this.time) this.rows(this.source, this.time, rows, 2, "");
  }

  /** @param {Source} source @param {import("./timeline.js").Timeline} time @param {Row[]} rows @param {number} level @param {string} prefix */
  rows(source, time, rows, level, prefix) {
    for (const row of rows) {
      const key = prefix + row.key;
      const expanded = row.items || row.child ? this.unfolded.has(key) : null;
      this.entries.push({ key, kind: "row", level, row, source, expanded });
      if (!expanded) continue;
      for (let n = 0; n < row.items; n += 1) {
        const item = time.item(row.name, n);
        this.entries.push({ key: prefix + item.key, kind: "row", level: level + 1, row: item, source, expanded: null });
      }
      if (row.child) this.kid(row.child, level + 1, `${key}|`);
    }
  }

  /** The rows of a child execution, which is read when it is first unfolded. @param {string} id @param {number} level @param {string} prefix */
  kid(id, level, prefix) {
    const kid = this.kids.get(id) ?? this.fetch(id);
    if (!kid.source) {
      this.entries.push({ key: `${prefix}note`, kind: "note", level, text: kid.fault || "Loading …" });
      return;
    }
    const time = timeline(kid.source);
    this.rows(kid.source, time, [...time.forward, ...time.undo], level, prefix);
  }

  /** @param {string} id @returns {Kid} */
  fetch(id) {
    const leave = new AbortController();
    /** @type {Kid} */
    const kid = { source: null, fault: "", leave };
    this.kids.set(id, kid);
    this.source.child(id, leave.signal, () => { if (kid.source) this.relist(); })
      .then((source) => { kid.source = source; }, (error) => { kid.fault = error.message; })
      .finally(() => { if (!this.signal.aborted) this.relist(); });
    return kid;
  }

  relist() {
    this.list();
    this.draw();
  }

  // --- time

  /** What is shown of time. @returns {{from: number, to: number, now: number}} */
  get shown() {
    const now = Math.max(Date.now(), this.time?.begin ?? 0);
    const from = this.time?.begin ?? 0;
    const last = this.source.live ? now : Date.parse(this.source.exportedAt ?? "") || now;
    const end = Math.max(this.time?.end ?? last, from + CLOSEST);
    return { ...(this.zoomed ?? { from, to: end + (end - from) * 0.02 }), now: this.source.live ? now : last };
  }

  /** The moment at a place on the screen. @param {number} x */
  at(x) {
    const { left, width } = this.axis.getBoundingClientRect();
    const { from, to } = this.shown;
    return from + Math.max(0, Math.min(1, (x - left) / Math.max(1, width))) * (to - from);
  }

  /** @param {number} factor more than 1 shows more @param {number} [around] a moment that stays where it is */
  zoom(factor, around) {
    const { from, to } = this.shown;
    const middle = around ?? (from + to) / 2;
    this.window(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  /** Show from one moment to another; more than all of it is all of it. @param {number} from @param {number} to */
  window(from, to) {
    if (to - from < CLOSEST) return;
    this.zoomed = null;
    const all = this.shown;
    if (to - from < all.to - all.from) {
      const shift = Math.max(0, all.from - from) - Math.max(0, to - all.to);
      this.zoomed = { from: from + shift, to: to + shift };
    }
    this.draw();
  }

  /** @param {number} by of what is shown */
  shift(by) {
    if (!this.zoomed) return;
    const { from, to } = this.zoomed;
    this.window(from + (to - from) * by, to + (to - from) * by);
  }

  fit() {
    this.zoomed = null;
    this.draw();
  }

  /** A press on the timeline that moves chooses what is shown. @param {PointerEvent} event */
  drag(event) {
    const track = /** @type {Element} */ (event.target).closest(".track, .axis");
    if (!track || event.button !== 0 || event.pointerType === "touch") return;
    const home = this.wrap.getBoundingClientRect();
    const begun = event.clientX;
    const stop = new AbortController();
    const move = (/** @type {PointerEvent} */ { clientX }) => {
      this.brush.hidden = Math.abs(clientX - begun) < DRAG;
      this.brush.style.setProperty("left", `${Math.min(clientX, begun) - home.left}px`);
      this.brush.style.setProperty("width", `${Math.abs(clientX - begun)}px`);
    };
    const up = (/** @type {PointerEvent} */ { clientX }) => {
      stop.abort();
      this.dragged = !this.brush.hidden;
      this.brush.hidden = true;
      if (this.dragged) this.window(this.at(Math.min(clientX, begun)), this.at(Math.max(clientX, begun)));
    };
    window.addEventListener("pointermove", move, { signal: stop.signal });
    window.addEventListener("pointerup", up, { signal: stop.signal });
    window.addEventListener("pointercancel", () => { stop.abort(); this.brush.hidden = true; }, { signal: stop.signal });
  }

  // --- choosing

  /** @param {MouseEvent} event */
  click(event) {
    if (this.dragged) { this.dragged = false; return; }
    const target = /** @type {Element} */ (event.target);
    const entry = this.entryOf(target);
    if (!entry) return;
    if (entry.kind !== "row" || target.closest(".twist")) this.turn(entry);
    else this.choose(entry);
  }

  /** @param {Element} node @returns {Entry | undefined} */
  entryOf(node) {
    const key = /** @type {HTMLElement | null} */ (node.closest("tr.row"))?.dataset.key;
    return this.entries.find((entry) => entry.key === key);
  }

  /** @param {Entry} entry @param {boolean} [open] */
  turn(entry, open = !entry.expanded) {
    if (entry.expanded === null || entry.expanded === undefined || entry.expanded === open) return;
    if (entry.kind === "lane") this.folded[open ? "delete" : "add"](entry.key);
    else this.unfolded[open ? "add" : "delete"](entry.key);
    this.current = entry.key;
    this.relist();
  }

  /** @param {Entry} entry */
  choose(entry) {
    this.current = entry.key;
    this.draw();
    this.chosen(entry);
  }

  /** Select by the name of a step; `undo/` before it for its undo. @param {string} name @returns {Entry | null} */
  pick(name) {
    const key = name.startsWith("undo/") ? name : `forward/${name}`;
    const map = key.replace(/\.\d+$/, "");
    if (map !== key && !this.unfolded.has(map)) { this.unfolded.add(map); this.list(); }
    const found = this.entries.find((entry) => entry.key === key) ?? null;
    this.current = found?.key ?? "";
    this.draw();
    return found;
  }

  /** The keys of a tree. @param {KeyboardEvent} event */
  key(event) {
    const entry = this.entryOf(/** @type {Element} */ (event.target));
    if (!entry || event.ctrlKey || event.altKey || event.metaKey) return;
    const does = /** @type {Record<string, () => void>} */ ({
      ArrowDown: () => this.move(1), ArrowUp: () => this.move(-1),
      ArrowRight: () => (entry.expanded === false ? this.turn(entry, true) : this.move(1)),
      ArrowLeft: () => (entry.expanded ? this.turn(entry, false) : this.parent(entry)),
      Home: () => this.go(0), End: () => this.go(this.entries.length - 1),
    })[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  /** @param {Entry} entry */
  parent(entry) {
    for (let n = this.entries.indexOf(entry); n >= 0; n -= 1) if ((this.entries[n]?.level ?? 0) < entry.level) return this.go(n);
    return undefined;
  }

  /** @param {number} by */
  move(by) {
    const now = this.entries.findIndex(({ key }) => key === this.current);
    this.go(now < 0 ? 0 : Math.max(0, Math.min(this.entries.length - 1, now + by)));
  }

  /** Put the focus on a row. @param {number} index */
  go(index) {
    this.current = this.entries[index]?.key ?? "";
    this.view.reach(index)?.focus({ preventScroll: true });
  }

  /** What Enter does: unfold a lane, open a row. */
  enter() {
    const entry = this.entries.find(({ key }) => key === this.current);
    if (entry?.kind === "row") this.choose(entry);
    else if (entry) this.turn(entry);
  }

  // --- drawing

  draw() {
    if (this.signal.aborted || !this.time) return;
    const { begin } = this.time;
    const { from, to } = this.shown;
    const scale = this.width / (to - from);
    const found = ticks(begin, from, to, Math.max(2, this.width / 80));
    const gap = found.length > 1 ? /** @type {number} */ (found[1]) - /** @type {number} */ (found[0]) : to - from;
    this.wrap.style.setProperty("--gap-of-ticks", `${gap * scale}px`);
    this.wrap.style.setProperty("--first-tick", `${(begin + (found[0] ?? 0) - from) * scale}px`);
    const whole = (/** @type {number} */ at) => (begin + at - from) * scale + 8 * label(at).length < this.width; // half a word says nothing
    fill(this.axis, ...found.filter(whole).map((at) =>
      h("span", { class: "tickmark", style: { left: `${(begin + at - from) * scale}px` }, title: exact(begin + at) }, label(at))));
    say(this.range, this.zoomed ? `${span(to - from)} of it` : "");
    this.view.redraw();
  }

  /** @param {Entry} entry */
  make(entry) {
    if (entry.kind !== "row") return h("tr", { class: `row ${entry.kind}`, tabindex: "-1" }, h("td", { colspan: COLUMNS }, twist(), h("span")));
    const sign = badge("", "rest");
    sign.classList.add("sign");
    return h("tr", { class: "row", tabindex: "-1" },
      h("td", { class: "of-step" }, twist(), sign, " ", h("span", { class: "name" }), " ", h("span", { class: "does soft" })),
      h("td", { class: "of-track" }, h("div", { class: "track", role: "img" })),
      h("td", { class: "of-took number" }));
  }

  /** @param {HTMLElement} node @param {Entry} entry */
  update(node, entry) {
    node.setAttribute("aria-level", String(entry.level));
    if (entry.expanded === null || entry.expanded === undefined) node.removeAttribute("aria-expanded");
    else node.setAttribute("aria-expanded", String(entry.expanded));
    const here = entry.key === this.current || (!this.current && entry === this.entries[0]);
    node.tabIndex = here ? 0 : -1;
    node.setAttribute("aria-selected", String(entry.key === this.current && entry.kind === "row"));
    node.style.setProperty("--level", String(entry.level - 1));
    if (entry.row) this.updateRow(node, entry.row);
    else say(/** @type {Element} */ (node.firstElementChild?.lastElementChild), entry.text ?? "");
  }

  /** @param {HTMLElement} node @param {Row} row */
  updateRow(node, row) {
    const [step, trackCell, took] = /** @type {HTMLElement[]} */ ([...node.children]);
    const [, sign, name, does] = /** @type {HTMLElement[]} */ ([...(step?.children ?? [])]);
    const words = cellText(row.status, row.lane);
    rebadge(/** @type {HTMLElement} */ (sign), words, cellTone(row.status, row.lane));
    /** @type {HTMLElement} */ (sign).title = words;
    say(/** @type {HTMLElement} */ (name), row.name);
    say(/** @type {HTMLElement} */ (does), row.lane === "undo" ? "undo" : row.items ? `${row.does} · ${row.items} items` : row.does);
    const { now } = this.shown;
    const long = tookOf(row, now);
    say(/** @type {HTMLElement} */ (took), long === null ? "" : span(long));
    this.updateTrack(/** @type {HTMLElement} */ (trackCell?.firstElementChild), row, now);
  }

  /** Segments as they are seen now: nodes are used again, and nothing is measured. @param {HTMLElement} track @param {Row} row @param {number} now */
  updateTrack(track, row, now) {
    const { from, to } = this.shown;
    const per = 100 / (to - from);
    const seen = row.segments.filter((one) => (one.to ?? now) >= from && one.from <= to);
    const marks = row.marks.filter(({ at }) => at >= from && at <= to);
    while (track.children.length > seen.length + marks.length) track.lastElementChild?.remove();
    while (track.children.length < seen.length + marks.length) track.append(h("span", {}));
    for (const [n, one] of seen.entries()) {
      const left = Math.max(0, one.from - from) * per;
      const right = Math.min(to - from, (one.to ?? now) - from) * per;
      const kind = `seg ${one.kind}${one.failed ? " failed" : ""}${one.to === null ? " open" : ""}${row.lane === "undo" ? " back" : ""}`;
      put(/** @type {HTMLElement} */ (track.children[n]), kind, left, right - left, one.kind === "wait" ? one.text : "", told(one, now));
    }
    for (const [n, { at, text }] of marks.entries()) {
      put(/** @type {HTMLElement} */ (track.children[seen.length + n]), "mark", (at - from) * per, 0, "", `${text}, ${exact(at)}`);
    }
    const words = story(row, now);
    if (track.getAttribute("aria-label") !== words) track.setAttribute("aria-label", words);
  }
}

/** @param {HTMLElement} node @param {string} kind @param {number} left in % @param {number} width in % @param {string} text @param {string} title */
function put(node, kind, left, width, text, title) {
  if (node.className !== kind) node.className = kind;
  node.style.setProperty("left", `${left.toFixed(3)}%`);
  node.style.setProperty("width", kind === "mark" ? "" : `${width.toFixed(3)}%`);
  if (node.title !== title) node.title = title;
  say(node, text);
}

const twist = () => h("span", { class: "twist", "aria-hidden": "true" }, s("svg", { viewBox: "0 0 12 12" }, s("path", { d: "M4 2.500L8 6l-4 3.500" })));

/** @param {number} at ms since the beginning */
const label = (at) => (at === 0 ? "0" : `+${span(at).replace(/\.0 s$/, " s")}`);

function legend() {
  const one = (/** @type {string} */ kind, /** @type {string} */ text) => h("li", {}, h("span", { class: `seg ${kind}`, "aria-hidden": "true" }), text);
  return h("ul", { class: "legend", "aria-label": "What the bars mean" }, ...Object.entries(KINDS).map(([kind, text]) => one(kind, text)), one("run failed", "failed"));
}
