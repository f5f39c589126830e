// @ts-check
/** A table body of any length of which only what is seen (and a little more) is in the document. Rows are of one height. */

import { h, keyed } from "./dom.js";

const MORE = 12; // rows beyond each edge, so that scrolling shows no gaps and Tab finds the next one

/**
 * @template T
 * @typedef {object} How
 * @property {() => T[]} items
 * @property {(item: T) => string} key
 * @property {(item: T) => HTMLElement} make
 * @property {(node: HTMLElement, item: T, index: number) => void} update
 * @property {number} columns
 * @property {(first: number, last: number) => void} [seen] told which items are shown
 * @property {AbortSignal} signal
 */

/** @template T @param {HTMLTableElement} table @param {How<T>} how */
export function windowed(table, { items, key, make, update, columns, seen = () => {}, signal }) {
  const above = h("tr", {}, h("td", { colspan: columns }));
  const below = h("tr", {}, h("td", { colspan: columns }));
  const body = h("tbody");
  table.append(h("tbody", { class: "pad", "aria-hidden": "true" }, h("tr", { class: "pad" }, above.firstChild)), body,
    h("tbody", { class: "pad", "aria-hidden": "true" }, h("tr", { class: "pad" }, below.firstChild)));
  const pads = /** @type {HTMLTableCellElement[]} */ ([...table.querySelectorAll("tr.pad td")]);
  let asked = false;

  const height = () => parseFloat(getComputedStyle(table).getPropertyValue("--row")) || 38;

  function draw() {
    asked = false;
    if (signal.aborted) return;
    const all = items();
    const row = height();
    const top = table.getBoundingClientRect().top + (table.tHead?.offsetHeight ?? 0);
    const first = Math.max(0, Math.min(all.length, Math.floor(-top / row) - MORE));
    const last = Math.min(all.length, Math.ceil((window.innerHeight - top) / row) + MORE);
    const shown = all.slice(first, Math.max(first, last));
    pads[0]?.style.setProperty("height", `${first * row}px`);
    pads[1]?.style.setProperty("height", `${Math.max(0, all.length - first - shown.length) * row}px`);
    let index = first;
    keyed(body, shown, key, make, (node, item) => { node.setAttribute("aria-rowindex", String(index + 2)); update(node, item, index); index += 1; });
    seen(first, first + shown.length);
  }

  /** Draw before the next frame, once. */
  function redraw() {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  }

  /** Bring an item into sight and return its row. @param {number} index */
  function reach(index) {
    const row = height();
    const top = table.getBoundingClientRect().top + (table.tHead?.offsetHeight ?? 0) + index * row;
    const head = 48 + (table.tHead?.offsetHeight ?? 0);
    if (top < head) window.scrollBy(0, top - head);
    else if (top + row > window.innerHeight - 8) window.scrollBy(0, top + row - window.innerHeight + 8);
    draw();
    const item = items()[index];
    return item && /** @type {HTMLElement | null} */ (body.querySelector(`[data-key="${CSS.escape(key(item))}"]`));
  }

  window.addEventListener("scroll", redraw, { passive: true, signal });
  window.addEventListener("resize", redraw, { signal });
  return { draw, redraw, reach, height };
}
