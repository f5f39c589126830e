// @ts-check
/** Moments and lengths of time in few words. Pure, but for `tick`. */

/** Ms of an ISO 8601 text (or of ms); null for nothing. @param {string | number | null | undefined} moment */
export function ms(moment) {
  if (moment === null || moment === undefined || moment === "") return null;
  const found = typeof moment === "number" ? moment : Date.parse(moment);
  return Number.isNaN(found) ? null : found;
}

const UNITS = /** @type {const} */ ([["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]]);

/** `840 ms`, `3.2 s`, `2 min 5 s`, `3 d 4 h`: two units at most. @param {number} length in ms */
export function span(length) {
  const whole = Math.max(0, Math.round(length));
  if (whole < 1_000) return `${whole} ms`;
  if (whole < 10_000) return `${(whole / 1_000).toFixed(1)} s`;
  const first = UNITS.findIndex(([, size]) => whole >= size);
  const [unit, size] = UNITS[first] ?? UNITS[3];
  const count = Math.floor(whole / size);
  const [smaller, part] = UNITS[first + 1] ?? ["", 0];
  const rest = part ? Math.floor((whole - count * size) / part) : 0;
  return rest ? `${count} ${unit} ${rest} ${smaller}` : `${count} ${unit}`;
}

/** `just now`, `12 s ago`, `in 3 min`: one unit. @param {string | number | null | undefined} moment @param {number} [now] */
export function ago(moment, now = Date.now()) {
  const at = ms(moment);
  if (at === null) return "–";
  const away = Math.abs(now - at);
  if (away < 1_500) return "just now";
  const [unit, size] = UNITS.find(([, one]) => away >= one) ?? UNITS[3];
  const text = `${Math.floor(away / size)} ${unit}`;
  return at < now ? `${text} ago` : `in ${text}`;
}

/** The reader's own zone and habits, to the second. @param {string | number | null | undefined} moment */
export function exact(moment) {
  const at = ms(moment);
  return at === null ? "–" : new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** The time of day in the reader's own zone, to the second. @param {number} at unix ms */
export const clock = (at) => new Date(at).toLocaleTimeString(undefined, { hour12: false });

/**
 * A `<time>` that keeps up with the clock (see `tick`): its words are relative, its title is exact.
 * @param {string | number | null | undefined} moment @returns {HTMLElement}
 */
export function when(moment) {
  const node = document.createElement("time");
  retime(node, moment);
  return node;
}

/** Show another moment. @param {HTMLElement} node @param {string | number | null | undefined} moment */
export function retime(node, moment) {
  const at = ms(moment);
  node.dataset.at = at === null ? "" : String(at);
  if (at !== null) node.setAttribute("datetime", new Date(at).toISOString());
  node.title = exact(at);
  node.textContent = ago(at);
}

/** Bring every relative time on the page up to the clock; the shell calls this each second. */
export function tick() {
  const now = Date.now();
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("time[data-at]"))) {
    const text = ago(node.dataset.at ? Number(node.dataset.at) : null, now);
    if (node.textContent !== text) node.textContent = text;
  }
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-since]"))) {
    const text = span(now - Number(node.dataset.since));
    if (node.textContent !== text) node.textContent = text;
  }
}
