// @ts-check
/** Asking, telling and showing faults. Native dialogs keep the focus inside, close with Esc and give it back. */

import { fresh, h } from "./dom.js";

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"text" | "password" | "textarea" | "checkbox"} [type]
 * @property {any} [value]
 * @property {string} [hint]
 * @property {boolean} [required]
 *
 * @typedef {object} Question
 * @property {string} title
 * @property {import("./dom.js").Children} [body]
 * @property {Field[]} [fields]
 * @property {string} [yes] the words of the button
 * @property {boolean} [danger] what follows cannot be taken back
 * @property {(values: Record<string, any>) => string} [check] an empty text lets it pass; anything else is shown
 */

/** Ask; the fields' values, or null for a no. @param {Question} question @returns {Promise<Record<string, any> | null>} */
export function ask({ title, body = [], fields = [], yes = "OK", danger = false, check = () => "" }) {
  return new Promise((answer) => {
    const inputs = fields.map(field);
    const fault = h("p", { class: "fault", role: "alert", hidden: true });
    const no = h("button", { type: "button", on: { click: () => dialog.close() } }, "Back");
    const go = h("button", { type: "submit", class: danger ? "danger" : "primary" }, yes);
    const head = h("h2", { id: fresh("title") }, title);
    const form = h("form", { method: "dialog" }, head, h("div", { class: "body" }, ...[body].flat()), ...inputs.map(({ node }) => node), fault,
      h("div", { class: "buttons" }, no, go));
    const dialog = h("dialog", { "aria-labelledby": head.id }, form);
    /** @type {Record<string, any> | null} */
    let found = null;
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      const values = Object.fromEntries(inputs.map(({ name, read }) => [name, read()]));
      const wrong = check(values);
      if (wrong) {
        event.preventDefault();
        fault.textContent = wrong;
        fault.hidden = false;
        return;
      }
      found = values;
    });
    dialog.addEventListener("close", () => { dialog.remove(); answer(found); });
    document.body.append(dialog);
    dialog.showModal();
    (inputs[0]?.input ?? (danger ? no : go)).focus();
  });
}

/** @param {Field} of */
function field({ name, label, type = "text", value = "", hint = "", required = false }) {
  const id = fresh(name);
  const tag = type === "textarea" ? "textarea" : "input";
  const input = h(tag, {
    id, name, required, ...(tag === "input" ? { type } : { rows: 6 }), ...(type === "checkbox" ? { checked: Boolean(value) } : { value }),
    autocomplete: "off", spellcheck: type === "textarea" ? "false" : null, "aria-describedby": hint ? `${id}-hint` : null,
  });
  const words = h("label", { for: id }, label);
  const told = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  const node = type === "checkbox" ? h("div", { class: "field check" }, input, words, told) : h("div", { class: "field" }, words, input, told);
  return { name, node, input, read: () => (input instanceof HTMLInputElement && type === "checkbox" ? input.checked : input.value) };
}

/** Show something with a way out. @param {string} title @param {...import("./dom.js").Children} body */
export function show(title, ...body) {
  const id = fresh("title");
  const close = h("button", { type: "submit" }, "Close");
  const dialog = h("dialog", { "aria-labelledby": id },
    h("form", { method: "dialog" }, h("h2", { id }, title), h("div", { class: "body" }, ...body), h("div", { class: "buttons" }, close)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

/** @param {string} why @returns {Promise<string | null>} */
export async function askForKey(why) {
  const hint = "The engine's setting API_KEYS names the keys. This tab keeps it until it is closed, and sends it to this address only.";
  const found = await ask({ title: "An API key is needed", body: h("p", {}, `${why}.`), yes: "Use this key",
    fields: [{ name: "key", label: "API key", type: "password", hint, required: true }] });
  return found ? String(found.key).trim() : null;
}

/** Say something in passing, for ears too. @param {string} text @param {"good" | "bad" | "rest"} [tone] */
export function toast(text, tone = "rest") {
  const place = document.getElementById("toasts");
  const node = h("div", { class: "toast", data: { tone } }, h("span", {}, text),
    h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", on: { click: () => node.remove() } }, "×"));
  place?.append(node);
  if (tone !== "bad") setTimeout(() => node.remove(), 6_000);
}

/** What went wrong, as a text. @param {any} error */
export const faultText = (error) => [sentence(error?.message ?? String(error)), error?.remedy].filter(Boolean).join(" ");

/** @param {string} text */
function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** What went wrong, in the place of what was to be shown. @param {any} error @param {() => void} [again] @returns {HTMLElement} */
export function faulty(error, again) {
  return h("div", { class: "notice", role: "alert", data: { tone: "bad" } },
    h("p", {}, faultText(error)), again && h("button", { type: "button", on: { click: again } }, "Try again"));
}

/** There is nothing, and what to do about it. @param {string} title @param {...import("./dom.js").Children} body @returns {HTMLElement} */
export const empty = (title, ...body) => h("div", { class: "notice empty" }, h("p", { class: "strong" }, title), ...body);

/** @param {string} [what] @returns {HTMLElement} */
export const loading = (what = "Loading") => h("p", { class: "loading", role: "status" }, `${what} …`);
