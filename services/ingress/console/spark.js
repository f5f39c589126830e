// @ts-check
/** A small picture of counts a minute. The numbers are told in words too: a picture alone says nothing to a screen reader. */

import { s } from "./dom.js";

const HEIGHT = 40;
const STEP = 8;
const GAP = 2;

/** An empty picture, to be drawn by `redraw`. @returns {SVGElement} */
export const spark = () => s("svg", { class: "spark", role: "img", preserveAspectRatio: "none" });

/**
 * Draw a bar for each count, the latest on the right. Zero keeps a hair's breadth, so that "none" differs from "not known".
 * @param {SVGElement} node @param {number[]} counts @param {string} words what is to be seen
 */
export function redraw(node, counts, words) {
  node.setAttribute("viewBox", `0 0 ${Math.max(1, counts.length * STEP)} ${HEIGHT}`);
  node.setAttribute("aria-label", words);
  const most = Math.max(1, ...counts);
  node.replaceChildren(...counts.map((count, n) => {
    const height = count ? Math.max(3, (count / most) * HEIGHT) : 1;
    return s("rect", { x: n * STEP, y: HEIGHT - height, width: STEP - GAP, height });
  }));
}
