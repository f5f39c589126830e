// @ts-check
/** The caller's executions, newest first. */

import { get } from "../api.js";
import { empty, faulty, loading } from "../dialogs.js";
import { fill, h, say } from "../dom.js";
import { onHappening } from "../feed.js";
import { shortcut } from "../keys.js";
import { go, to } from "../router.js";
import { ms, retime, span, when } from "../time.js";
import { windowed } from "../windowed.js";
import { rebadge, shortId, statusBadge, statusText, statusTone } from "../words.js";

const PAGE = 100;
const COLUMNS = 6;

/** @typedef {{id: string, status: string, reason: string | null, cause: string | null, text: string | null, userId: string, createdAt: string, endedAt: string | null}} Row */

/** @type {import("../router.js").Page} */
export const page = {
  title: "Executions",
  render(ctx) {
    const list = new List(ctx);
    list.begin(ctx.query);
    return { node: list.node, moved: (query) => list.begin(query) };
  },
};

class List {
  /** @param {import("../router.js").Context} ctx */
  constructor(ctx) {
    this.signal = ctx.signal;
    /** @type {Row[]} */
    this.rows = [];
    this.current = -1;
    /** @type {string | null} where the next page begins */
    this.next = null;
    this.busy = false;
    this.reading = new AbortController();
    this.table = h("table", { "aria-label": "Executions" }, h("thead", {}, h("tr", {}, ...["Status", "Execution", "What was asked", "User", "Started", "Took"]
      .map((name, n) => h("th", { scope: "col", class: CLASSES[n] }, name)))));
    this.place = h("div", {});
    this.foot = h("div", {});
    this.node = h("div", {}, h("div", { class: "head" }, h("h1", {}, "Executions")), this.place, this.foot);
    this.view = windowed(this.table, { items: () => this.rows, key: (row) => row.id, make, update, columns: COLUMNS, signal: ctx.signal,
      seen: (_, last) => this.near(last) });
    onHappening((one) => this.happened(one), ctx.signal, () => this.begin(this.query));
    shortcut("j", "next row", () => this.move(1), ctx.signal);
    shortcut("k", "row before", () => this.move(-1), ctx.signal);
    shortcut("Enter", "open the row", () => this.open(), ctx.signal);
    /** @type {URLSearchParams} */
    this.query = ctx.query;
  }

  /** Read from the start. @param {URLSearchParams} query */
  begin(query) {
    this.reading.abort();
    this.reading = new AbortController();
    this.signal.addEventListener("abort", () => this.reading.abort(), { once: true });
    Object.assign(this, { query, rows: [], next: "", current: -1, busy: false });
    fill(this.place, loading());
    fill(this.foot);
    return this.more();
  }

  /** Read the next page. */
  async more() {
    if (this.busy || this.next === null) return;
    this.busy = true;
    const { signal } = this.reading;
    try {
      const found = await get("api/executions", { ...Object.fromEntries(this.query), before: this.next, limit: PAGE }, signal);
      this.rows.push(...found.executions);
      this.next = found.next;
      this.drawn();
    } catch (error) {
      if (!signal.aborted) fill(this.rows.length ? this.foot : this.place, faulty(error, () => this.begin(this.query)));
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }

  drawn() {
    if (!this.rows.length) {
      fill(this.place, empty("Nothing has run yet.", h("p", {}, "Start something with ", h("code", {}, "POST /api/execute"), " or ", h("code", {}, "intention run"), ".")));
      return;
    }
    if (!this.table.isConnected) fill(this.place, h("div", { class: "panel rows" }, this.table));
    fill(this.foot);
    this.view.redraw();
  }

  /** @param {number} last the number of the last row that is shown */
  near(last) {
    if (last + PAGE / 2 > this.rows.length) this.more();
  }

  /** @param {import("../feed.js").Happening} one */
  happened(one) {
    const row = this.rows.find(({ id }) => id === one.executionId);
    if (!row || !one.status) return;
    row.status = one.status;
    this.view.redraw();
  }

  /** @param {number} by */
  move(by) {
    this.current = Math.max(0, Math.min(this.rows.length - 1, this.current + by));
    this.view.reach(this.current)?.focus({ preventScroll: true });
  }

  open() {
    const row = this.rows[this.current];
    if (row) go(`/executions/${row.id}`);
  }
}

const CLASSES = ["of-status", "of-id", "of-text", "of-user", "of-start", "of-span"];

/** @param {Row} row */
function make(row) {
  const cells = [statusBadge(row.status), h("a", { href: to(`/executions/${row.id}`), class: "mono", title: row.id }, shortId(row.id)), null, null, when(row.createdAt), null];
  return h("tr", { class: "row", tabindex: "-1" }, ...cells.map((cell, n) => h("td", { class: CLASSES[n] }, cell)));
}

/** @param {HTMLElement} node @param {Row} row */
function update(node, row) {
  const [status, , text, user, start, took] = /** @type {HTMLElement[]} */ ([...node.children]);
  rebadge(/** @type {HTMLElement} */ (status?.firstElementChild), row.reason && row.status === "SUSPENDED" ? `Waits: ${row.reason}` : statusText(row.status), statusTone(row.status));
  say(/** @type {HTMLElement} */ (text), row.text ?? "–");
  say(/** @type {HTMLElement} */ (user), row.userId ?? "–");
  retime(/** @type {HTMLElement} */ (start?.firstElementChild), row.createdAt);
  const begun = ms(row.createdAt) ?? 0;
  say(/** @type {HTMLElement} */ (took), span((ms(row.endedAt) ?? Date.now()) - begun));
}
