// @ts-check
/** Light, dark, or as the machine says. The choice outlives the tab. */

/** @typedef {"auto" | "light" | "dark"} Shade */

const PLACE = "intention.theme";
const CHOICES = /** @type {Shade[]} */ (["auto", "light", "dark"]);

/** What was chosen. */
export const shade = () => CHOICES.find((one) => one === localStorage.getItem(PLACE)) ?? "auto";

/** Take up what was chosen before. */
export function apply() {
  const found = shade();
  if (found === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = found;
}

/** The next choice. */
export function turn() {
  const next = CHOICES[(CHOICES.indexOf(shade()) + 1) % CHOICES.length] ?? "auto";
  localStorage.setItem(PLACE, next);
  apply();
  return next;
}
