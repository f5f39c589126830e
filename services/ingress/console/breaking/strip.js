// @ts-check
/** Three buttons that break parts of the system on purpose, and how each stands: on any page. Nothing where nothing can be broken. */

import { h, say } from "../dom.js";
import { deed } from "../lists.js";
import { to } from "../router.js";
import { ms, span } from "../time.js";
import { badge, rebadge } from "../words.js";
import { BREAKABLE, CHANNELS, drop, kill, known, mend, watch } from "./source.js";

/** @typedef {import("./source.js").What} What */

const FOR = 20; // seconds, where nobody is asked

/** @param {AbortSignal} signal @returns {HTMLElement | false} */
export function strip(signal) {
  if (!BREAKABLE) return false;
  const parts = [executor(), channel("qstash", () => FOR), channel("ably", () => FOR)];
  const node = h("section", { class: "panel breaks", "aria-label": "Break it" }, h("a", { class: "strong", href: to("/break") }, "Break it"),
    ...parts.map(({ sign, press }) => h("span", { class: "pair" }, press, sign)));
  watch(() => { for (const { update } of parts) update(); }, signal);
  return node;
}

/** @typedef {{sign: HTMLElement, press: HTMLElement, update: () => void}} Part @returns {Part} */
export function executor() {
  const sign = badge("…", "rest");
  const press = deed("Kill executor", async () => { await kill(); return "The executor was killed."; }, { class: "danger" });
  return { sign, press, update() {
    const { state } = known();
    if (!state) return;
    const { pid, killedAt, backAt } = state.executor;
    const up = pid && (!killedAt || backAt);
    rebadge(sign, up ? "Runs" : killedAt && !backAt ? `Down for ${span(Date.now() - (ms(killedAt) ?? 0))}` : "Down", up ? "good" : "bad");
  } };
}

/** @param {What} what @param {() => number | null} seconds how long it is dropped @returns {Part} */
export function channel(what, seconds) {
  const name = CHANNELS[what];
  const sign = badge("…", "rest");
  const words = h("span", {}, `Drop ${name}`);
  const press = deed("", async () => {
    const dropped = known().state?.[what].dropped;
    await (dropped ? mend(what) : drop(what, seconds()));
    return dropped ? `${name} works again.` : `${name} drops everything.`;
  }, { class: "danger", "aria-pressed": "false" });
  press.append(words);
  return { sign, press, update() {
    const { state } = known();
    if (!state) return;
    const { here, dropped, until, there } = state[what];
    const left = until ? ` (${Math.max(0, Math.ceil(((ms(until) ?? 0) - Date.now()) / 1_000))} s left)` : "";
    say(words, dropped ? `Mend ${name}` : `Drop ${name}`);
    press.setAttribute("aria-pressed", String(dropped));
    press.classList.toggle("danger", !dropped);
    press.hidden = !here;
    const [text, tone] = !here ? ["Not on this machine", /** @type {const} */ ("rest")] : dropped ? [`Dropped${left}`, /** @type {const} */ ("bad")]
      : there === false ? ["Away", /** @type {const} */ ("wait")] : there ? ["There", /** @type {const} */ ("good")] : ["Not tried yet", /** @type {const} */ ("rest")];
    rebadge(sign, text, tone);
  } };
}
