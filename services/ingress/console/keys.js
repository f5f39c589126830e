// @ts-check
/** One-key shortcuts. They rest while something is typed or a dialog is open, and while Ctrl, Alt or Meta is held. */

/** @typedef {{key: string, does: string, run: (event: KeyboardEvent) => void}} Shortcut */

/** @type {Shortcut[]} the newest first: a page's own come before the shell's */
const shortcuts = [];

/** @param {string} key as `KeyboardEvent.key` has it @param {string} does for the help @param {(event: KeyboardEvent) => void} run @param {AbortSignal} [signal] */
export function shortcut(key, does, run, signal) {
  const made = { key, does, run };
  shortcuts.unshift(made);
  signal?.addEventListener("abort", () => shortcuts.splice(shortcuts.indexOf(made), 1), { once: true });
}

/** What can be pressed now, each key once. */
export function available() {
  const seen = new Set();
  return shortcuts.filter(({ key }) => !seen.has(key) && seen.add(key));
}

const TYPING = "input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, [contenteditable]";

/** Listen; the shell calls this once. */
export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const target = /** @type {Element} */ (event.target);
    if (document.querySelector("dialog[open]")) return;
    if (target.matches?.(TYPING)) {
      if (event.key === "Escape") /** @type {HTMLElement} */ (target).blur();
      return;
    }
    if (event.key === "Enter" && target.matches?.("a, button, summary, input")) return; // it has its own meaning there
    const found = shortcuts.find(({ key }) => key === event.key);
    if (!found) return;
    event.preventDefault();
    found.run(event);
  });
}
