// @ts-check
/** The focus stays where somebody works, also when what they have pressed is drawn anew or goes. */

const OPERABLE = "a[href], button:not(:disabled), input, select, textarea, summary";

/** @param {Element} node */
const nameOf = (node) => node.getAttribute("aria-label") || (node.textContent ?? "").trim();

/** Where the focus goes when there is nothing better: what holds it, if that can have it, or the page's content. @param {Element} place @returns {HTMLElement | null} */
const beside = (place) => /** @type {HTMLElement | null} */ (place.isConnected && place.closest("[tabindex]")) || document.getElementById("main");

/**
 * Change what is in a place. If the focus was in it and is lost, what has the same words gets it, or whatever is beside.
 * @param {Element} place @param {() => void} change @param {() => HTMLElement | null | undefined} [otherwise] what gets it where nothing has the same words
 */
export function keepingFocus(place, change, otherwise = () => null) {
  const active = document.activeElement;
  const inside = active !== null && active !== place && place.contains(active);
  const words = inside ? nameOf(active) : "";
  change();
  if (!inside || place.contains(document.activeElement)) return;
  const same = /** @type {HTMLElement[]} */ ([...place.querySelectorAll(OPERABLE)]).find((one) => nameOf(one) === words);
  (same ?? otherwise() ?? beside(place))?.focus();
}
