// @ts-check
/** Light, dark, or as the machine says. The choice outlives the tab. */

const PLACE = "intention.theme";
const CHOICES = ["auto", "light", "dark"];

/** @returns {string} */
export const shade = () => {
  const found = localStorage.getItem(PLACE) ?? "auto";
  return CHOICES.includes(found) ? found : "auto";
};

/** Take up what was chosen before. */
export function apply() {
  const found = shade();
  if (found === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = found;
}

/** The next choice. @returns {string} */
export function turn() {
  const next = CHOICES[(CHOICES.indexOf(shade()) + 1) % CHOICES.length] ?? "auto";
  localStorage.setItem(PLACE, next);
  apply();
  return next;
}
