// @ts-check
/** The caller's executions, newest first. */

import { get } from "../api.js";
import { ACTIONS, upon } from "../bulk.js";
import { empty, faulty, faultText, loading, toast } from "../dialogs.js";
import { fill, h, say } from "../dom.js";
import { onHappening } from "../feed.js";
import { filters, wanted } from "../filters.js";
import { shortcut } from "../keys.js";
import { go, to } from "../router.js";
import { ms, retime, span, when } from "../time.js";
import { windowed } from "../windowed.js";
import { countAll, uponAll } from "../whole.js";
import { counted, rebadge, shortId, statusBadge, statusText, statusTone, TERMINAL } from "../words.js";

const PAGE = 100;
const REST = 500; // ms between two looks for what is new
const COLUMNS = 7;

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
    /** the id of the row that the keyboard is at */
    this.current = "";
    /** @type {string | null} where the next page begins */
    this.next = null;
    this.busy = false;
    this.late = 0;
    this.reading = new AbortController();
    /** @type {Set<string>} ids that an action is for */
    this.chosen = new Set();
    this.all = h("input", { type: "checkbox", "aria-label": "Choose all that are listed", on: { change: () => this.chooseAll() } });
    /** @type {import("../whole.js").Whole | null} all that fit the filter, once somebody has chosen that */
    this.whole = null;
    this.fitting = h("button", { type: "button", hidden: true, title: "An action for all that fit the filter, listed here or not", on: { click: () => this.chooseWhole() } }, "All that fit");
    this.told = h("span", { class: "strong", role: "status" });
    this.acts = h("div", { class: "bar acts", role: "toolbar", "aria-label": "Actions", hidden: true }, this.told,
      ...ACTIONS.map((what) => h("button", { type: "button", class: what.danger ? "danger" : null, on: { click: () => this.act(what) } }, what.name)),
      h("button", { type: "button", class: "quiet", on: { click: () => this.choose([], true) } }, "Choose none"));
    this.table = h("table", { "aria-label": "Executions" }, h("thead", {}, h("tr", {}, h("th", { class: "tick" }, this.all), ...["Status", "Execution", "What was asked", "User", "Started", "Took"]
      .map((name, n) => h("th", { scope: "col", class: CLASSES[n] }, name)))));
    this.place = h("div", {});
    this.foot = h("div", {});
    this.filters = filters("/executions", ctx.signal);
    this.node = h("div", {}, h("div", { class: "head" }, h("h1", {}, "Executions"), h("span", { class: "end" }, this.fitting)), this.filters.node, this.acts, this.place, this.foot);
    this.view = windowed(this.table, { items: () => this.rows, key: (row) => row.id, make: (row) => make(row, (on) => this.choose([row.id], false, on)),
      update: (node, row) => update(node, row, this.chosen.has(row.id)), columns: COLUMNS, signal: ctx.signal,
      seen: (_, last) => this.near(last) });
    onHappening((one) => this.happened(one), ctx.signal, () => this.again());
    shortcut("j", "next row", () => this.move(1), ctx.signal);
    shortcut("k", "row before", () => this.move(-1), ctx.signal);
    shortcut("x", "choose the row", () => this.current && this.choose([this.current], false, !this.chosen.has(this.current)), ctx.signal);
    shortcut("Enter", "open the row", () => this.open(), ctx.signal);
    ctx.signal.addEventListener("abort", () => { clearTimeout(this.late); this.reading.abort(); }, { once: true });
    /** @type {URLSearchParams} */
    this.query = ctx.query;
    /** @type {Record<string, any>} */
    this.want = {};
  }

  /** Read from the start. @param {URLSearchParams} query */
  begin(query) {
    this.reading.abort();
    clearTimeout(this.late);
    this.reading = new AbortController();
    Object.assign(this, { query, want: wanted(query), rows: [], next: "", current: "", busy: false, late: 0 });
    this.filters.show(query);
    this.choose([], true);
    fill(this.place, loading());
    fill(this.foot);
    return this.more();
  }

  /** Read the next page; on to the one after it where nothing on this one fits. */
  async more() {
    if (this.busy || this.next === null) return;
    this.busy = true;
    const { signal } = this.reading;
    try {
      do {
        const found = await get("api/executions", { ...this.want, before: this.next, limit: PAGE }, signal);
        const known = new Set(this.rows.map(({ id }) => id));
        this.rows.push(...found.executions.filter((/** @type {Row} */ { id }) => !known.has(id)));
        this.next = found.next;
      } while (!this.rows.length && this.next !== null);
      this.drawn();
    } catch (error) {
      if (!signal.aborted) fill(this.rows.length ? this.foot : this.place, faulty(error, () => this.begin(this.query)));
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }

  /** Something was missed: read what is listed again, and leave the reader where they are. */
  async again() {
    if (!this.rows.length || this.busy) return this.begin(this.query);
    this.busy = true;
    const { signal } = this.reading;
    try {
      /** @type {Row[]} */
      const rows = [];
      /** @type {string | null} */
      let next = "";
      do {
        const found = await get("api/executions", { ...this.want, before: next, limit: PAGE }, signal);
        rows.push(...found.executions);
        next = found.next;
      } while (rows.length < this.rows.length && next !== null);
      Object.assign(this, { rows, next });
      const there = new Set(rows.map(({ id }) => id));
      this.choose([...this.chosen].filter((id) => !there.has(id)), false, false);
      this.drawn();
    } catch {
      if (!signal.aborted) this.soon(); // what is listed stays until it can be read
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }

  drawn() {
    this.fitting.hidden = !this.rows.length || !Object.keys(this.want).length; // without a filter it would be everything
    if (!this.rows.length) {
      fill(this.place, Object.keys(this.want).length ? empty("Nothing fits this filter.") : empty("Nothing has run yet.",
        h("p", {}, "Start something with ", h("code", {}, "POST /api/execute"), " or ", h("code", {}, "intention run"), ".")));
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
    const fits = !one.status || !this.want.status || this.want.status.includes(one.status);
    const row = this.rows.find(({ id }) => id === one.executionId);
    if (!row || one.status === "SUSPENDED") return fits ? this.soon() : undefined;
    if (!one.status) return;
    if (!fits) {
      this.rows = this.rows.filter((other) => other !== row);
      this.choose([row.id], false, false); // nothing is done to what is not seen
    }
    row.status = one.status;
    if (TERMINAL.has(row.status)) row.endedAt ??= new Date(parseInt(one.id, 10)).toISOString();
    this.drawn();
  }

  /** Look at the newest page again, once in a while however much happens. */
  soon() {
    this.late ||= window.setTimeout(() => this.refresh(), REST);
  }

  async refresh() {
    const { signal } = this.reading;
    const found = await get("api/executions", { ...this.want, limit: PAGE }, signal).catch(() => null);
    if (signal.aborted) return;
    this.late = 0;
    if (found && !this.busy) this.merge(found.executions, found.next);
    else if (found) this.soon();
  }

  /** Take in the newest rows; what is looked at stays where it is. @param {Row[]} newest @param {string | null} next */
  merge(newest, next) {
    const known = new Map(this.rows.map((row) => [row.id, row]));
    const top = this.rows[0];
    const bottom = this.next === null ? "" : age(this.rows.at(-1));
    if (top && next !== null && newest.every((row) => age(row) > age(top))) { // more than a page is new
      this.begin(this.query);
      return;
    }
    const added = newest.filter((row) => !known.has(row.id) && age(row) > bottom);
    for (const row of newest) Object.assign(known.get(row.id) ?? {}, row);
    this.rows = [...added, ...this.rows].sort((a, b) => (age(a) < age(b) ? 1 : -1));
    if (!this.rows.length) return;
    this.drawn();
    if (window.scrollY > 0) window.scrollBy(0, added.length * this.view.height());
  }

  /** @param {string[]} ids @param {boolean} only and no others @param {boolean} [on] */
  choose(ids, only, on = true) {
    if (only || on) this.whole = null; // somebody chose; a row that went by itself changes nothing of that
    if (only) this.chosen.clear();
    for (const id of ids) on ? this.chosen.add(id) : this.chosen.delete(id);
    const { size } = this.chosen;
    this.acts.hidden = !size && !this.whole;
    if (!this.whole) say(this.told, `${size.toLocaleString("en")} chosen`);
    this.all.checked = size > 0 && size >= this.rows.length;
    this.all.indeterminate = size > 0 && size < this.rows.length;
    this.view?.redraw();
  }

  chooseAll() {
    this.choose(this.all.checked ? this.rows.map(({ id }) => id) : [], true);
  }

  /** Count all that fit; the actions are for all of them then. */
  async chooseWhole() {
    const { signal } = this.reading;
    this.choose([], true);
    this.acts.hidden = false;
    this.enable(false);
    try {
      this.whole = await countAll(this.want, signal, (count) => say(this.told, `${count.toLocaleString("en")} …`));
      say(this.told, counted(this.whole.count, "execution fits this filter", "executions fit this filter"));
    } catch (error) {
      if (signal.aborted) return;
      this.choose([], true);
      toast(faultText(error), "bad");
    } finally {
      this.enable(true);
    }
  }

  /** @param {boolean} on */
  enable(on) {
    for (const button of [this.fitting, .../** @type {NodeListOf<HTMLButtonElement>} */ (this.acts.querySelectorAll("button"))]) button.disabled = !on;
  }

  /** @param {typeof ACTIONS[number]} what */
  async act(what) {
    this.enable(false);
    const done = this.whole ? await this.actWhole(what, this.whole) : await upon(what, [...this.chosen], this.signal);
    this.enable(true);
    if (done) this.choose([], true);
    if (document.activeElement === document.body) this.move(0); // the button that had the focus is gone, or could not keep it
  }

  /** @param {typeof ACTIONS[number]} what @param {import("../whole.js").Whole} whole */
  async actWhole(what, whole) {
    try {
      return await uponAll(what, whole, this.signal);
    } catch (error) {
      if (!this.signal.aborted) toast(faultText(error), "bad");
      return false;
    }
  }

  /** @param {number} by */
  move(by) {
    const at = this.rows.findIndex(({ id }) => id === this.current);
    const index = Math.max(0, Math.min(this.rows.length - 1, at + by));
    this.current = this.rows[index]?.id ?? "";
    this.view.reach(index)?.focus({ preventScroll: true });
  }

  open() {
    if (this.current) go(`/executions/${this.current}`);
  }
}

/** The part of an id that sorts by time. @param {Row | undefined} row */
const age = (row) => row?.id.split("_")[2] ?? "";

const CLASSES = ["of-status", "of-id", "of-text", "of-user", "of-start", "of-span"];

/** @param {Row} row @param {(on: boolean) => void} choose */
function make(row, choose) {
  const box = h("input", { type: "checkbox", "aria-label": `Choose ${shortId(row.id)}`, on: { change: () => choose(box.checked) } });
  const cells = [statusBadge(row.status), h("a", { href: to(`/executions/${row.id}`), class: "mono", title: row.id }, shortId(row.id)), null, null, when(row.createdAt), null];
  return h("tr", { class: "row", tabindex: "-1" }, h("td", { class: "tick" }, box), ...cells.map((cell, n) => h("td", { class: CLASSES[n] }, cell)));
}

/** @param {HTMLElement} node @param {Row} row @param {boolean} chosen */
function update(node, row, chosen) {
  node.dataset.chosen = String(chosen);
  const [tick, status, , text, user, start, took] = /** @type {HTMLElement[]} */ ([...node.children]);
  /** @type {HTMLInputElement} */ (tick?.firstElementChild).checked = chosen;
  rebadge(/** @type {HTMLElement} */ (status?.firstElementChild), row.reason && row.status === "SUSPENDED" ? `Waits: ${row.reason}` : statusText(row.status), statusTone(row.status));
  say(/** @type {HTMLElement} */ (text), row.text ?? "–");
  say(/** @type {HTMLElement} */ (user), row.userId ?? "–");
  retime(/** @type {HTMLElement} */ (start?.firstElementChild), row.createdAt);
  const begun = ms(row.createdAt) ?? 0;
  if (row.endedAt) delete took?.dataset.since;
  else if (took) took.dataset.since = String(begun); // it goes on with the clock
  say(/** @type {HTMLElement} */ (took), span((ms(row.endedAt) ?? Date.now()) - begun));
}
