// @ts-check
/** Which executions are wanted: the fields of a filter, and views that this browser remembers by name. The address says all of it. */

import { ask } from "./dialogs.js";
import { fill, fresh, h, say } from "./dom.js";
import { go } from "./router.js";
import { STATUS_NAMES, statusText } from "./words.js";

const NAMES = ["status", "reason", "text", "createdAfter", "createdBefore"];
const VIEWS = "intention.views";
const PAUSE = 300; // ms of no typing before the list is read

/** What a query wants, as the API takes it: lists for `status` and `reason`; nothing else of the address is sent. @param {URLSearchParams} query */
export function wanted(query) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const name of NAMES) {
    const said = query.getAll(name).filter(Boolean);
    if (said.length) found[name] = name === "status" || name === "reason" ? said.flatMap((one) => one.split(",")).filter(Boolean) : said.at(-1);
  }
  return found;
}

/** @param {string} iso @returns {string} the reader's own time, as a field of a date and time has it */
function local(iso) {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @returns {Record<string, string>} queries by name */
function remembered() {
  try {
    const found = JSON.parse(localStorage.getItem(VIEWS) ?? "{}");
    return found && typeof found === "object" ? found : {};
  } catch {
    return {}; // written by something else
  }
}

/**
 * The fields. A change moves the page to the address of what is wanted now.
 * @param {string} path of the page @param {AbortSignal} signal
 * @returns {{node: HTMLElement, show: (query: URLSearchParams) => void}}
 */
export function filters(path, signal) {
  let now = new URLSearchParams();
  const text = h("input", { type: "search", id: fresh("text"), maxlength: 200, placeholder: "Words or user", "aria-label": "Words or user" });
  const boxes = STATUS_NAMES.map((name) => h("input", { type: "checkbox", id: fresh("status"), name }));
  const chosen = h("summary", { class: "button" }, "Any status");
  const choice = h("details", { class: "choice" }, chosen, h("div", { class: "panel" }, ...boxes.map((box, n) =>
    h("label", { for: box.id }, box, statusText(STATUS_NAMES[n] ?? "")))));
  const after = h("input", { type: "datetime-local", "aria-label": "Created after" });
  const before = h("input", { type: "datetime-local", "aria-label": "Created before" });
  const clear = h("button", { type: "button", class: "quiet", on: { click: () => go(path) } }, "Clear");
  const views = h("select", { "aria-label": "Saved views" });
  const keep = h("button", { type: "button", on: { click: save } }, "Save view");
  const drop = h("button", { type: "button", class: "quiet", on: { click: forget } }, "Remove view");
  let timer = 0; // of words that are being typed: they are not written over

  text.addEventListener("input", () => { clearTimeout(timer); timer = window.setTimeout(change, PAUSE); });
  for (const field of [...boxes, after, before]) field.addEventListener("change", change);
  views.addEventListener("change", () => { if (views.value) go(path, spread(new URLSearchParams(remembered()[views.value]))); });
  document.addEventListener("click", (event) => { if (!choice.contains(/** @type {Node} */ (event.target))) choice.open = false; }, { signal });
  choice.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => { if (event.key === "Escape") { choice.open = false; chosen.focus(); } });
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });

  function change() {
    clearTimeout(timer);
    timer = 0;
    const moment = (/** @type {HTMLInputElement} */ field) => (field.value ? new Date(field.value).toISOString() : "");
    go(path, { status: boxes.filter((box) => box.checked).map((box) => box.name), reason: now.getAll("reason"), text: text.value.trim(),
      createdAfter: moment(after), createdBefore: moment(before) });
  }

  async function save() {
    const found = await ask({ title: "Save this view", yes: "Save", fields: [{ name: "name", label: "Name", required: true, hint: "This browser remembers it." }],
      check: ({ name }) => (name.trim() ? "" : "Give it a name.") });
    if (!found) return;
    localStorage.setItem(VIEWS, JSON.stringify({ ...remembered(), [found.name.trim()]: now.toString() }));
    list();
  }

  function forget() {
    const rest = Object.entries(remembered()).filter(([name]) => name !== views.value);
    localStorage.setItem(VIEWS, JSON.stringify(Object.fromEntries(rest)));
    list();
  }

  function list() {
    const all = Object.entries(remembered());
    const here = all.find(([, query]) => query === now.toString())?.[0] ?? "";
    fill(views, h("option", { value: "" }, "Saved views"), ...all.map(([name]) => h("option", { value: name }, name)));
    views.value = here;
    views.hidden = !all.length;
    drop.hidden = !here;
    keep.hidden = Boolean(here) || !now.size;
  }

  return {
    node: h("div", { class: "bar", role: "search", "aria-label": "Filter" }, text, choice, h("label", { class: "span" }, "after", after), h("label", { class: "span" }, "before", before),
      clear, h("span", { class: "end" }, views, keep, drop)),
    show(query) {
      now = new URLSearchParams(query);
      const want = wanted(query);
      const of = want.status ?? [];
      for (const box of boxes) box.checked = of.includes(box.name);
      say(chosen, of.length ? of.length > 2 ? `${of.length} statuses` : of.map(statusText).join(", ") : "Any status");
      if (!timer && text.value.trim() !== (want.text ?? "")) text.value = want.text ?? "";
      after.value = local(want.createdAfter ?? "");
      before.value = local(want.createdBefore ?? "");
      clear.hidden = !now.size;
      list();
    },
  };
}

/** Lists for what is said several times. @param {URLSearchParams} query */
function spread(query) {
  return Object.fromEntries([...new Set(query.keys())].map((name) => [name, query.getAll(name)]));
}
