// @ts-check
/** A list of cards that a request gives: read page by page, read anew in place, moved through by keyboard. */

import { get } from "./api.js";
import { faulty, faultText, loading, toast } from "./dialogs.js";
import { fill, h, keyed } from "./dom.js";
import { onHappening } from "./feed.js";
import { keepingFocus } from "./focus.js";
import { shortcut } from "./keys.js";

const LOOKS = 20; // pages without a row that are passed over before somebody must ask for more
const PAUSE = 400; // ms in which happenings are gathered before the list is read anew

/**
 * @typedef {object} Of
 * @property {AbortSignal} signal
 * @property {string} label of the list, for ears
 * @property {string} path
 * @property {Record<string, any>} [query]
 * @property {string} rows the field of the answer that holds the rows
 * @property {(row: any) => string} key
 * @property {(row: any, again: () => Promise<void>) => import("./dom.js").Child[]} card what a card holds
 * @property {() => Node} none shown where there is nothing
 * @property {(rows: any[], more: boolean) => void} [drawn]
 * @property {boolean} [live] read anew when something happens to an execution
 */

/** @param {Of} of */
export function listed(of) {
  const { signal } = of;
  const list = h("ul", { class: "cards", "aria-label": of.label });
  const foot = h("div", { class: "foot" });
  const node = h("div", {}, loading());
  const held = new WeakMap();
  /** @type {any[]} */
  let rows = [];
  let turn = 0;

  /** @param {any[]} before @param {string} place */
  async function read(before, place) {
    const mine = (turn += 1);
    try {
      const [found, next] = await page(of, place);
      if (mine !== turn || signal.aborted) return;
      rows = [...before, ...found];
      draw(next);
    } catch (error) {
      if (mine === turn && !signal.aborted) fill(node, faulty(error, () => { fill(node, loading()); again(); }));
    }
  }

  /** @param {string | null} next */
  function draw(next) {
    const at = [...list.children].findIndex((one) => one.contains(document.activeElement));
    const cards = () => {
      keyed(list, rows, of.key, () => h("li", { class: "panel card", tabindex: "-1" }), (one, row) => {
        const said = JSON.stringify(row);
        if (held.get(one) === said) return;
        held.set(one, said);
        keepingFocus(one, () => fill(one, ...of.card(row, again)));
      });
      fill(foot, next && h("button", { type: "button", on: { click: () => read(rows, next) } }, "Show more"));
      const shown = rows.length || next ? [list, foot] : [];
      if (!shown.length) fill(node, of.none());
      else if (!list.isConnected) fill(node, ...shown); // moving it would take the focus out of it
    };
    keepingFocus(node, cards, () => /** @type {HTMLElement | undefined} */ (list.children[at < 0 ? list.children.length - 1 : Math.min(at, list.children.length - 1)]));
    of.drawn?.(rows, Boolean(next));
  }

  const again = () => read([], "");
  wander(signal);
  if (of.live) gathered(again, signal);
  again();
  return { node, again };
}

/** `j` and `k` go through the cards of the page. @param {AbortSignal} signal */
export function wander(signal) {
  /** @param {number} by */
  function move(by) {
    const cards = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("main .cards > .card")]); // of every list of the page
    const at = cards.findIndex((card) => card.contains(document.activeElement));
    cards[Math.max(0, Math.min(cards.length - 1, at + by))]?.focus();
  }
  shortcut("j", "next of the list", () => move(1), signal);
  shortcut("k", "the one before", () => move(-1), signal);
}

/** The first page with rows from a place on, and where the next one begins. @param {Of} of @param {string} place @returns {Promise<[any[], string | null]>} */
async function page({ path, query = {}, rows, signal }, place) {
  let found = await get(path, { ...query, before: place }, signal);
  for (let n = 1; n < LOOKS && !found[rows].length && found.next; n += 1) found = await get(path, { ...query, before: found.next }, signal);
  return [found[rows], found.next ?? null];
}

/** Read anew after what happens, once for many happenings. @param {() => void} again @param {AbortSignal} signal */
function gathered(again, signal) {
  /** @type {ReturnType<typeof setTimeout> | null} */
  let timer = null;
  const soon = () => { timer ??= setTimeout(() => { timer = null; if (!signal.aborted) again(); }, PAUSE); };
  onHappening(soon, signal, soon);
}

/** A button that does something, says so and cannot be pressed twice meanwhile. `run` gives what to say, or an empty text for nothing.
 * @param {string} words @param {() => Promise<string>} run @param {Record<string, any>} [props] @returns {HTMLElement} */
export function deed(words, run, props = {}) {
  const node = h("button", { type: "button", ...props, on: { click: press } }, words);
  let busy = false;
  /** It is not disabled meanwhile: that would take the focus from whoever pressed it. */
  async function press() {
    if (busy) return;
    busy = true;
    node.setAttribute("aria-disabled", "true");
    try {
      const said = await run();
      if (said) toast(said, "good");
    } catch (error) {
      toast(faultText(error), "bad");
    } finally {
      busy = false;
      node.removeAttribute("aria-disabled");
    }
  }
  return node;
}

/** The line at the top of a card. @param {import("./dom.js").Child[]} words @param {import("./dom.js").Child[]} [buttons] */
export const heading = (words, buttons = []) => h("div", { class: "line" }, ...words, buttons.length > 0 && h("div", { class: "end" }, ...buttons));

/** Names and values; what is empty is left out. @param {[string, import("./dom.js").Child][]} pairs @returns {HTMLElement} */
export const facts = (pairs) => h("dl", { class: "facts" }, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
  .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** A value as JSON, to be read. @param {any} value @returns {HTMLElement} */
export const json = (value) => h("pre", { class: "json" }, JSON.stringify(value, null, 2));
