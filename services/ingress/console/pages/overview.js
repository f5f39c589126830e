// @ts-check
/** Where everything stands, in one look: what runs, who waits longest, the latest minutes, the channels, and the quota. */

import { get } from "../api.js";
import { strip } from "../breaking/strip.js";
import { faulty, loading } from "../dialogs.js";
import { fill, h, keyed, say } from "../dom.js";
import { onHappening } from "../feed.js";
import { to } from "../router.js";
import { redraw, spark } from "../spark.js";
import { ms, retime, when } from "../time.js";
import { badge, counted, rebadge, shortId, STATUS_NAMES, statusBadge } from "../words.js";

const POLL = 15_000; // channels and quota change without a happening
const REST = 1_000; // between two readings, however much happens

/** @typedef {{there: boolean | null, error?: string | null, awayMs?: number | null}} Way */

/** @type {import("../router.js").Page} */
export const page = {
  title: "Overview",
  render({ signal }) {
    const view = new Overview(signal);
    view.read();
    return { node: view.node, moved: () => view.soon() };
  },
};

class Overview {
  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.signal = signal;
    this.busy = false;
    this.stale = false;
    this.parts = [statuses(), waiting(), channels(), quota(), minutes()];
    this.place = h("div", {}, loading());
    this.fault = h("div", {});
    this.grid = h("div", { class: "tiles" }, ...this.parts.map(({ node }) => node));
    this.node = h("div", {}, h("div", { class: "head" }, h("h1", {}, "Overview")), strip(signal), this.fault, this.place);
    const poll = setInterval(() => this.soon(), POLL);
    signal.addEventListener("abort", () => clearInterval(poll), { once: true });
    onHappening(() => this.soon(), signal, () => this.soon());
  }

  /** Read again: now, or once the reading under way and its rest are over. */
  soon() {
    if (this.busy) this.stale = true;
    else this.read();
  }

  async read() {
    Object.assign(this, { busy: true, stale: false });
    try {
      const found = await get("api/overview", {}, this.signal);
      for (const { update } of this.parts) update(found);
      fill(this.fault);
      if (!this.grid.isConnected) fill(this.place, this.grid);
    } catch (error) {
      if (this.signal.aborted) return;
      if (!this.grid.isConnected) fill(this.place);
      fill(this.fault, faulty(error, () => this.soon()));
    }
    setTimeout(() => {
      this.busy = false;
      if (this.stale && !this.signal.aborted) this.read();
    }, REST);
  }
}

/**
 * @typedef {{node: HTMLElement, update: (found: any) => void}} Part
 * @param {string} name @param {Node} body @param {string} [kind]
 */
function panel(name, body, kind = "") {
  return h("section", { class: `panel ${kind}`, "aria-label": name }, h("div", { class: "title" }, h("h2", {}, name)), h("div", { class: "body" }, body));
}

/** @returns {Part} */
function statuses() {
  const list = h("ul", { class: "lines" });
  const none = h("p", { class: "soft", hidden: true }, "Nothing has run yet.");
  const make = (/** @type {[string, number]} */ [name]) =>
    h("li", {}, h("a", { href: to("/executions", { status: name }) }, statusBadge(name)), h("span", { class: "number" }));
  return {
    node: panel("Executions by status", h("div", {}, list, none)),
    update({ executions }) {
      none.hidden = executions.total > 0;
      const rows = /** @type {[string, number][]} */ (STATUS_NAMES.map((name) => [name, executions.byStatus[name] ?? 0]).filter(([, count]) => count));
      keyed(list, rows, ([name]) => name, make, (node, [, count]) => say(/** @type {Node} */ (node.lastElementChild), count.toLocaleString("en")));
    },
  };
}

/** @returns {Part} */
function waiting() {
  const count = h("p", { class: "big" });
  const link = h("a", { class: "mono" });
  const since = when(null);
  const why = h("dd", {});
  const text = h("dd", {});
  const all = h("a", { href: to("/executions", { status: ["SUSPENDED", "PAUSED", "AWAITING_CONFIRMATION"] }) }, "All that wait");
  const oldest = h("div", { class: "stack" }, h("dl", { class: "facts" }, h("dt", {}, "The oldest"), h("dd", {}, link), h("dt", {}, "Since"), h("dd", {}, since),
    h("dt", {}, "Waits for"), why, h("dt", {}, "Asked"), text), all);
  return {
    node: panel("Waiting", h("div", { class: "stack" }, count, oldest)),
    update({ waiting: { count: number, oldest: one } }) {
      say(count, number ? `${counted(number, "execution waits", "executions wait")}` : "Nothing waits.");
      oldest.hidden = !one;
      if (!one) return;
      link.href = to(`/executions/${one.id}`);
      link.title = one.id;
      say(link, shortId(one.id));
      retime(since, one.since);
      say(why, one.reason ?? ({ PAUSED: "somebody to resume it", AWAITING_CONFIRMATION: "a yes" })[/** @type {"PAUSED"} */ (one.status)] ?? "–");
      say(text, one.text ?? "–");
    },
  };
}

const SERIES = /** @type {const} */ ([["ended", "Ended"], ["failed", "Failed"], ["started", "Started"]]);

/** @returns {Part} */
function minutes() {
  const rows = SERIES.map(([name, label]) => ({ name, label, picture: spark(), sum: h("span", { class: "number" }), rate: h("span", { class: "soft nowrap" }) }));
  const node = h("div", { class: "series" }, ...rows.map(({ name, label, picture, sum, rate }) =>
    h("div", { class: "serie", data: { name } }, h("div", {}, h("h3", {}, label), sum, rate), picture)));
  return {
    node: panel("The latest 30 minutes", node, "wide"),
    update({ minutes: all }) {
      for (const { name, label, picture, sum, rate } of rows) {
        const counts = all.map((/** @type {any} */ one) => one[name]);
        const total = counts.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0);
        const most = Math.max(0, ...counts);
        say(sum, total.toLocaleString("en"));
        say(rate, `${most} a minute at most`);
        redraw(picture, counts, `${label} by minute: ${total} in ${counts.length} minutes, ${most} in one at most, ${counts.at(-1) ?? 0} in this one`);
      }
    },
  };
}

const WAYS = /** @type {const} */ ([["qstash", "QStash"], ["ably", "Ably"], ["watchdog", "Watchdog"], ["executor", "Executor"]]);

/** @returns {Part} */
function channels() {
  const rows = WAYS.map(([name, label]) => ({ name, label, sign: badge("", "rest"), more: h("span", { class: "soft" }) }));
  const list = h("ul", { class: "lines" }, ...rows.map(({ name, label, sign, more }) => h("li", { data: { channel: name } }, h("span", { class: "strong" }, label), more, sign)));
  return {
    node: panel("Channels", list),
    update({ channels: found }) {
      for (const { name, sign, more } of rows) {
        const [words, tone] = stands(found[name]);
        rebadge(sign, words, tone);
        say(more, detail(name, found[name]));
      }
    },
  };
}

/** @param {Way & {configured?: boolean}} way @returns {[string, import("../words.js").Tone]} */
function stands(way) {
  if (way.configured === false) return ["Not used", "rest"];
  if (way.there === null) return ["Not tried yet", "rest"];
  return way.there ? ["There", "good"] : ["Away", "bad"];
}

/** @param {string} name @param {any} way */
function detail(name, way) {
  const said = [];
  if (way.error) said.push(way.error);
  if (way.waitingMessages) said.push(`${counted(way.waitingMessages, "message waits", "messages wait")}`);
  if (name === "ably" && way.subscriber && !way.subscriber.there) said.push("nobody listens");
  if (name === "watchdog" && !way.sweptAt) said.push("no round yet");
  return said.join(", ");
}

const WINDOWS = /** @type {const} */ ([["day", "Today"], ["month", "This month"]]);

/** @returns {Part} */
function quota() {
  const level = badge("", "rest");
  const rows = WINDOWS.map(([name, label]) => ({ name, label, time: when(null), left: h("span", {}),
    again: h("span", { class: "soft" }), bar: h("meter", { "aria-label": `Messages left: ${label.toLowerCase()}` }) }));
  const list = h("ul", { class: "lines" }, h("li", {}, h("span", { class: "strong" }, "Level"), level),
    ...rows.map(({ name, label, bar, left, again }) => h("li", { data: { window: name } }, h("span", { class: "strong" }, label), left, bar, again)));
  for (const { again, time } of rows) fill(again, "begins anew ", time);
  return {
    node: panel("Quota of messages", list),
    update({ quota: found }) {
      rebadge(level, found.level.charAt(0).toUpperCase() + found.level.slice(1), found.level === "normal" ? "good" : "wait");
      for (const { name, bar, left, again, time } of rows) {
        const { limit, spent, left: rest, resetsAt } = found[name];
        bar.hidden = again.hidden = limit === null;
        say(left, limit === null ? `${spent.toLocaleString("en")} spent, no limit` : `${rest.toLocaleString("en")} of ${limit.toLocaleString("en")} left`);
        if (limit === null) continue;
        Object.assign(bar, { min: 0, max: limit, low: limit * 0.15, high: limit * 0.25, optimum: limit, value: rest });
        if (ms(resetsAt) !== null) retime(time, resetsAt);
      }
    },
  };
}
