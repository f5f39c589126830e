// @ts-check
/** Making and changing nodes. Text is always a text node: nothing that is shown can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {Node | string | number | false | null | undefined} Child
 * @typedef {Child | Child[]} Children
 */

/**
 * An HTML element. Of `props`: `class`, `style` (an object of CSS properties, custom ones too: the page's policy forbids the
 * attribute), `on` (listeners by name), `data` (data-*), properties that only exist as such (`checked`, `value`, …), and
 * attributes. `true` sets an attribute without a value; `false`, `null` and `undefined` leave it out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, any>} [props] @param {...Children} children @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  return dress(document.createElement(tag), props, children);
}

/**
 * The same for SVG. @template {keyof SVGElementTagNameMap} K
 * @param {K} tag @param {Record<string, any>} [props] @param {...Children} children @returns {SVGElementTagNameMap[K]}
 */
export function s(tag, props = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), props, children);
}

const PROPERTIES = new Set(["checked", "value", "disabled", "selected", "indeterminate", "hidden", "open"]);

/** @param {any} node @param {Record<string, any>} props @param {Children[]} children */
function dress(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name === "class") node.setAttribute("class", value);
    else if (name === "style") for (const [key, of] of Object.entries(value)) node.style.setProperty(key, String(of));
    else if (name === "on") for (const [event, told] of Object.entries(value)) node.addEventListener(event, told);
    else if (name === "data") for (const [key, of] of Object.entries(value)) node.dataset[key] = of;
    else if (PROPERTIES.has(name)) node[name] = value;
    else if (value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...nodes(children));
  return node;
}

/** @param {Children[]} children @returns {(Node | string)[]} */
function nodes(children) {
  return children.flat().filter((one) => one !== null && one !== undefined && one !== false)
    .map((one) => (one instanceof Node ? one : String(one)));
}

/** Put these in the place of all that a node holds. @param {Element} node @param {...Children} children */
export function fill(node, ...children) {
  node.replaceChildren(...nodes(children));
}

/** Set a node's text, and only where it differs: a screen reader hears no change that is none. @param {Node} node @param {string} text */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Make a parent's children be those of `items`, in their order. A child that was there is kept and updated, so focus, selection
 * and scroll positions stay.
 * @template T
 * @param {Element} parent @param {T[]} items @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement} make @param {(node: HTMLElement, item: T) => void} update
 */
export function keyed(parent, items, key, make, update) {
  const there = new Map([...parent.children].map((node) => [/** @type {HTMLElement} */ (node).dataset.key, node]));
  const wanted = new Set(items.map(key));
  for (const [name, node] of there) if (!wanted.has(name ?? "")) node.remove(); // first: else all that stay would be moved before them
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let node = /** @type {HTMLElement | undefined} */ (there.get(name));
    if (!node) (node = make(item)).dataset.key = name;
    update(node, item);
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
}

/** A new id, for labels. */
let last = 0;
export const fresh = (/** @type {string} */ word) => `${word}-${(last += 1)}`;
