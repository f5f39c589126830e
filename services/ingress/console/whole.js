// @ts-check
/** One action upon all that fit a filter, however many: counted, asked, then done page by page, with a way to stop and to go on. */

import { get, send } from "./api.js";
import { ask, faultText } from "./dialogs.js";
import { fill, fresh, h, say } from "./dom.js";
import { counted, shortId } from "./words.js";

/**
 * @typedef {import("./bulk.js").Result} Result
 * @typedef {typeof import("./bulk.js").ACTIONS[number]} What
 * @typedef {{filter: Record<string, any>, count: number}} Whole all that fit, and how many they were
 * @typedef {{done: number, refused: number, reasons: Map<string, {count: number, example: Result}>, next: string | null}} Tally
 */

/**
 * How many fit now. What begins later is not among them: the filter that comes back says up to when.
 * @param {Record<string, any>} want @param {AbortSignal} signal @param {(count: number) => void} [sofar]
 * @returns {Promise<Whole>}
 */
export async function countAll(want, signal, sofar = () => {}) {
  let filter = want;
  let count = 0;
  /** @type {string | null} */
  let before = "";
  do {
    const found = await get("api/executions/count", { ...filter, before }, signal);
    filter = { ...filter, createdBefore: found.createdBefore };
    count += found.count;
    before = found.next;
    sofar(count);
  } while (before !== null);
  return { filter, count };
}

/** Ask and do. True if something was done. @param {What} what @param {Whole} whole @param {AbortSignal} signal */
export async function uponAll(what, whole, signal) {
  const { action } = what;
  const first = await send("api/executions/bulk", { action, filter: whole.filter, dryRun: true }, { signal });
  const having = await consent(what, whole, tallied(empty(), first));
  if (!having) return false;
  const sum = await run(what, whole, having, signal);
  return sum.done + sum.refused > 0;
}

/** @returns {Tally} */
const empty = () => ({ done: 0, refused: 0, reasons: new Map(), next: "" });

/** The same with one page more. @param {Tally} sum @param {{done: number, refused: number, results: Result[], next: string | null}} page @returns {Tally} */
function tallied(sum, page) {
  for (const one of page.results.filter(({ result }) => result === "refused")) {
    const known = sum.reasons.get(one.code ?? "");
    if (known) known.count += 1;
    else sum.reasons.set(one.code ?? "", { count: 1, example: one });
  }
  return { done: sum.done + page.done, refused: sum.refused + page.refused, reasons: sum.reasons, next: page.next };
}

/** Why some were refused, each reason once, with one of them. @param {Tally} sum @returns {HTMLElement} */
const reasons = (sum) => h("ul", {}, ...[...sum.reasons.values()].map(({ count, example: { id, message } }) =>
  h("li", {}, `${count.toLocaleString("en")}: `, h("span", { class: "mono" }, shortId(id)), `: ${message}`)));

/** What the action takes, or null for a no. @param {What} what @param {Whole} whole @param {Tally} seen of the first page */
function consent({ name, danger, fields }, { count }, seen) {
  const whole = seen.next === null;
  const tried = (seen.done + seen.refused).toLocaleString("en");
  const body = [
    !whole && h("p", {}, `Of the newest ${tried} it could be done to ${seen.done.toLocaleString("en")}. Each of the others is judged when its turn comes.`),
    seen.refused > 0 && h("p", {}, `${counted(seen.refused, "execution")} ${whole ? "" : "of these "}cannot be:`), seen.refused > 0 && reasons(seen),
    h("p", { class: "soft" }, "What begins from now on is left alone."),
  ];
  if (whole && !seen.done) return ask({ title: `${name}: nothing to do`, body });
  const many = whole ? seen.done : count;
  return ask({ title: `${name} ${whole ? "" : "up to "}${counted(many, "execution")}?`, body, danger, fields, yes: `${name} ${many.toLocaleString("en")}` });
}

/**
 * Page after page, told in a dialog, until all had their turn or somebody stops; what was stopped or broke off can go on.
 * @param {What} what @param {Whole} whole @param {Record<string, any>} having @param {AbortSignal} signal @returns {Promise<Tally>}
 */
function run({ action, name }, { filter, count }, having, signal) {
  return new Promise((ended) => {
    let sum = empty();
    let running = false;
    const bar = h("progress", { max: Math.max(1, count), value: 0, "aria-label": "Progress" });
    const told = h("p", { role: "status" });
    const more = h("div", {});
    const stop = h("button", { type: "button", on: { click: () => { running = false; stop.disabled = true; } } }, "Stop");
    const on = h("button", { type: "button", class: "primary", on: { click: () => work() } }, "Go on");
    const close = h("button", { type: "button", on: { click: () => dialog.close() } }, "Close");
    const title = h("h2", { id: fresh("title") }, `${name}: ${counted(count, "execution")}`);
    const dialog = h("dialog", { "aria-labelledby": title.id }, h("div", { class: "form" }, title, h("div", { class: "body" }, bar, told, more), h("div", { class: "buttons" }, stop, close, on)));
    dialog.addEventListener("cancel", (/** @type {Event} */ event) => { if (running) { event.preventDefault(); stop.click(); } });
    dialog.addEventListener("close", () => { dialog.remove(); ended(sum); });
    signal.addEventListener("abort", () => { running = false; dialog.close(); }, { once: true });
    document.body.append(dialog);
    dialog.showModal();
    work();

    async function work() {
      running = true;
      shown();
      stop.focus();
      try {
        while (running && sum.next !== null) {
          sum = tallied(sum, await send("api/executions/bulk", { action, filter, with: having, before: sum.next }, { signal }));
          shown();
        }
        running = false;
        shown();
      } catch (error) {
        running = false;
        if (!signal.aborted) shown(faultText(error));
      }
      if (!signal.aborted) (sum.next === null ? close : on).focus();
    }

    function shown(fault = "") {
      const over = sum.next === null;
      bar.value = over ? bar.max : Math.min(bar.max, sum.done + sum.refused);
      const sofar = `${sum.done.toLocaleString("en")} done, ${sum.refused.toLocaleString("en")} refused`;
      say(told, running ? `${sofar} …` : over ? `${sofar}.` : `Stopped: ${sofar}. The rest was not tried.`);
      fill(more, fault && h("p", { class: "fault", role: "alert" }, fault), sum.refused > 0 && [h("p", {}, "Refused:"), reasons(sum)]);
      stop.hidden = !running;
      stop.disabled = false;
      close.hidden = running;
      on.hidden = running || over;
    }
  });
}
