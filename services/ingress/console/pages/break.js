// @ts-check
/** Break a part on purpose and watch it come back: what was held, who woke what, and how the channels stand meanwhile. */

import { send } from "../api.js";
import { empty } from "../dialogs.js";
import { fill, h, keyed, say } from "../dom.js";
import { deed } from "../lists.js";
import { to } from "../router.js";
import { clock, ms, span, when } from "../time.js";
import { badge, counted, shortId, statusBadge } from "../words.js";
import { BREAKABLE, CHANNELS, WAYS, known, recount, watch } from "../breaking/source.js";
import { channel, executor } from "../breaking/strip.js";

/** @typedef {import("../breaking/source.js").What} What @typedef {{node: HTMLElement, update: (now: ReturnType<typeof known>) => void}} Part */

const TIMES = /** @type {const} */ ([["10", "for 10 seconds"], ["20", "for 20 seconds"], ["60", "for a minute"], ["", "until I mend it"]]);

/** @type {import("../router.js").Page} */
export const page = {
  title: "Break it",
  render({ signal }) {
    if (!BREAKABLE) return { node: nothing() };
    const parts = [ofExecutor(), ofChannel("qstash"), ofChannel("ably"), sample(), held(), log()];
    const [one, two, three, ...others] = parts.map(({ node }) => node);
    const fault = h("p", { class: "fault", role: "alert", hidden: true });
    watch(() => {
      const now = known();
      fault.hidden = !now.fault;
      say(fault, now.fault);
      for (const { update } of parts) update(now);
    }, signal);
    return { node: h("div", { class: "breaking" }, h("div", { class: "head" }, h("h1", {}, "Break it")),
      h("p", { class: "soft lead" }, "This system runs on your machine, so its parts may be broken on purpose. What was accepted goes on, and each effect happens once."),
      fault, h("div", { class: "tiles" }, one, two, three), ...others) };
  },
};

const nothing = () => h("div", {}, h("div", { class: "head" }, h("h1", {}, "Break it")),
  empty("Nothing can be broken here.", h("p", {}, "Only a system that ", h("code", {}, "make run"), " started in local mode can be.")));

/** @param {string} name @param {import("../dom.js").Child[]} body @returns {HTMLElement} */
const panel = (name, ...body) => h("section", { class: "panel", "aria-label": name }, h("div", { class: "title" }, h("h2", {}, name)), h("div", { class: "body stack" }, ...body));

/** Names and values that change. @param {string[]} names */
function sheet(names) {
  const values = names.map((name) => ({ name, value: h("dd", {}, "–") }));
  return { node: h("dl", { class: "facts" }, ...values.flatMap(({ name, value }) => [h("dt", {}, name), value])),
    /** @param {string[]} texts */
    show: (texts) => values.forEach(({ value }, n) => say(value, texts[n] ?? "–")) };
}

/** @param {string | null} moment */
const at = (moment) => (moment ? clock(ms(moment) ?? 0) : "–");

/** @returns {Part} */
function ofExecutor() {
  const { sign, press, update } = executor();
  const told = sheet(["Process", "Killed at", "Back at", "Held"]);
  return {
    node: panel("Executor", h("div", { class: "beside" }, press, sign), told.node, h("p", { class: "hint" }, "SIGKILL, in the middle of what it does. The supervisor starts it again.")),
    update({ state }) {
      update();
      if (!state) return;
      const { pid, killedAt, backAt, held: of } = state.executor;
      const took = killedAt && backAt ? ` (after ${span((ms(backAt) ?? 0) - (ms(killedAt) ?? 0))})` : "";
      told.show([pid ? String(pid) : "none", at(killedAt), at(backAt) + took, killedAt ? counted(of.length, "execution") : "–"]);
    },
  };
}

const HINTS = { qstash: "New messages are refused with 503, and what waits to be delivered is lost.", ably: "Connections are cut and refused, events are refused and lost." };

/** @param {What} what @returns {Part} */
function ofChannel(what) {
  const id = `break-${what}`;
  const time = h("select", { id }, ...TIMES.map(([value, label]) => h("option", { value, selected: value === "20" }, label)));
  const { sign, press, update } = channel(what, () => (time.value ? Number(time.value) : null));
  const told = sheet(["Dropped at", "Mended at", "Refused or lost", "The engine says"]);
  return {
    node: panel(CHANNELS[what], h("div", { class: "beside" }, press, h("label", { class: "hide", for: id }, `How long ${CHANNELS[what]} is dropped`), time, sign), told.node, h("p", { class: "hint" }, HINTS[what])),
    update({ state }) {
      update();
      if (!state) return;
      const { since, endedAt, struck, there, error, dropped } = state[what];
      const says = there === null ? error ?? "not tried yet" : there ? "it is there" : `it is away: ${error}`;
      told.show([at(since), dropped ? "not yet" : at(endedAt), since ? String(struck) : "–", says]);
    },
  };
}

/** @param {number} count @param {(n: number) => any} step */
const chain = (count, step) => ({ steps: Array.from({ length: count }, (_, n) => ({ name: `s${n}`, ...step(n), needs: n ? [`s${n - 1}`] : [] })) });
/** @param {number} n @param {number} seconds */
const work = (n, seconds) => ({ tool: "do_work", args: { label: `job ${n}`, seconds } });
const SAMPLES = [chain(8, (n) => work(n, 1.5)), chain(8, (n) => work(n, 1.5)), chain(10, (n) => (n % 2 ? { sleep: { ms: 2_000 } } : work(n, 0.5)))];

/** @returns {Part} */
function sample() {
  const press = deed("Start three executions", async () => {
    for (const plan of SAMPLES) await send("api/execute", { plan, userId: "break-it" });
    return "Three executions run.";
  });
  return { node: panel("Something to watch", h("div", { class: "beside" }, press,
    h("a", { href: to("/executions", { text: "break-it" }) }, "Their list")), h("p", { class: "hint" }, "Two work for 12 seconds, one works and sleeps in turns.")), update() {} };
}

/** @returns {Part} */
function held() {
  const list = h("ul", { class: "lines" });
  const node = panel("What the killed executor held", list);
  node.hidden = true;
  const make = (/** @type {import("../breaking/source.js").Held} */ one) =>
    h("li", {}, h("a", { class: "mono", href: to(`/executions/${one.id}`), title: one.id }, shortId(one.id)), h("span", {}), h("span", {}));
  return {
    node,
    update({ state }) {
      const { killedAt, held: of } = state?.executor ?? { killedAt: null, held: [] };
      node.hidden = !killedAt;
      if (!killedAt) return;
      const none = !of.length && h("p", { class: "soft" }, "Nothing was under way.");
      if (none && !list.firstElementChild) fill(list, h("li", {}, none));
      if (of.length) keyed(list, of, ({ id }) => id, make, (row, one) => {
        const after = one.wentOnAt && `went on after ${span((ms(one.wentOnAt) ?? 0) - (ms(killedAt) ?? 0))}, woken by ${WAYS[one.by ?? "qstash"]}`;
        say(/** @type {Node} */ (row.children[1]), after || "has not gone on yet");
        if (row.dataset.status !== one.status) fill(/** @type {Element} */ (row.children[2]), statusBadge(one.status));
        row.dataset.status = one.status;
      });
      else if (list.querySelector("a")) fill(list, h("li", {}, none));
    },
  };
}

/** @returns {Part} */
function log() {
  const ways = /** @type {const} */ (["qstash", "ably", "watchdog", "executor"]).map((name) => ({ name, count: h("span", { class: "number big" }, "0") }));
  const rows = h("ol", { class: "happened" });
  const none = h("p", { class: "soft" }, "Nothing yet. Start executions, then break something.");
  const counting = h("div", { class: "beside" }, ...ways.map(({ name, count }) => h("span", { class: "counted", data: { by: name } }, count, h("span", { class: "soft" }, `by ${WAYS[name]}`))),
    h("button", { type: "button", class: "quiet", on: { click: recount } }, "Count anew"));
  /** @param {import("../breaking/source.js").Happened} one */
  const make = ({ at: moment, tone, text, execution }) => h("li", {}, h("time", { class: "soft number", title: when(moment).title }, clock(moment)),
    execution ? h("a", { class: "mono of", href: to(`/executions/${execution}`), title: execution }, shortId(execution)) : h("span", { class: "strong of" }, "System"), badge(text, tone));
  return {
    node: panel("What happens", h("h3", {}, "Who woke executions"), counting, none, rows),
    update({ happened, counts }) {
      for (const { name, count } of ways) say(count, String(counts[name]));
      none.hidden = happened.length > 0;
      keyed(rows, happened, (one) => `${one.at}/${one.execution ?? ""}/${one.text}`, make, () => {});
    },
  };
}
