// @ts-check
/** The shell: navigation, the place of the page, the state of the live feed, and what can be pressed anywhere. */

import { faulty, show, empty } from "./dialogs.js";
import { fill, h, s } from "./dom.js";
import { onState } from "./feed.js";
import { available, listen, shortcut } from "./keys.js";
import { HOME, PAGES } from "./pages/index.js";
import { go, route, to } from "./router.js";
import { apply, shade, turn } from "./shades.js";
import { tick } from "./time.js";

const NAME = "Intention Engine";

apply();

/** @param {string} [d] */
const icon = (d) => d && s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d }));

const links = PAGES.filter(({ nav }) => nav).map(({ path, nav, icon: picture }) => h("a", { href: to(path), data: { path } }, icon(picture), h("span", {}, nav)));
const main = h("main", { id: "main", tabindex: "-1" });
const live = h("span", { class: "live", role: "status" });
const theme = h("button", { type: "button", class: "quiet", on: { click: () => { turn(); named(); } } });
const help = h("button", { type: "button", class: "quiet", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)", on: { click: showHelp } }, "?");

document.body.append(
  h("a", { class: "skip", href: "#main", on: { click: (/** @type {Event} */ event) => { event.preventDefault(); main.focus(); } } }, "Skip to the content"),
  h("header", { class: "top" }, h("a", { class: "brand", href: to(HOME) }, h("img", { src: "console/icon.svg", alt: "", width: 20, height: 20 }), NAME),
    h("div", { class: "tools" }, live, theme, help)),
  h("nav", { class: "side", "aria-label": "Pages" }, ...links),
  main,
  h("div", { id: "toasts", role: "status", "aria-live": "polite" }),
);

function named() {
  const words = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" }[shade()];
  theme.setAttribute("aria-label", words);
  theme.title = words;
  fill(theme, icon(shade() === "dark" ? "M13 9.500A5.500 5.500 0 1 1 6.500 3a4.500 4.500 0 0 0 6.500 6.500z" : shade() === "light"
    ? "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1"
    : "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12"));
}

/** On a phone the navigation is a row that scrolls: the page that is shown stands in its middle. */
function reveal() {
  const link = links.find((one) => one.hasAttribute("aria-current"));
  if (link?.parentElement) link.parentElement.scrollLeft = link.offsetLeft - (link.parentElement.clientWidth - link.offsetWidth) / 2;
}

/** Which page the navigation marks. @param {string} path */
function mark(path) {
  for (const link of links) {
    const own = link.dataset.path;
    if (path === own || path.startsWith(`${own}/`)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  reveal();
}

function showHelp() {
  show("Keyboard shortcuts", h("dl", { class: "shortcuts" },
    ...available().toReversed().flatMap(({ key, does }) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)])));
}

const STATES = { idle: ["rest", ""], connecting: ["wait", "Connecting"], live: ["good", "Live"], waiting: ["bad", "Not connected"], off: ["rest", "Not live"] };
onState((state) => {
  const [tone, text] = STATES[state];
  live.dataset.tone = tone;
  live.hidden = !text;
  if (live.textContent !== text) live.textContent = text ?? "";
});

named();
listen();
shortcut("?", "this help", showHelp);
shortcut("/", "search the executions", search);
for (const [n, { path, nav }] of PAGES.filter((one) => one.nav).entries()) if (n < 9) shortcut(String(n + 1), `go to ${nav}`, () => { main.focus({ preventScroll: true }); go(path); });
setInterval(tick, 1_000);
window.addEventListener("resize", reveal);
for (const link of links) link.addEventListener("focus", () => link.scrollIntoView({ block: "nearest", inline: "nearest" })); // all of it

let before = "";
let searching = false; // for the page that is being loaded

/** To the field for words: of this page, or of the list of executions. */
function search() {
  const field = /** @type {HTMLElement | null} */ (main.querySelector("input[type=search]"));
  searching = !field;
  if (field) field.focus();
  else go("/executions");
}

route(PAGES, {
  title: (text) => { document.title = `${text} · ${NAME}`; },
  show: (node, path) => {
    fill(main, node);
    mark(path);
    if (before && before !== path) { main.focus({ preventScroll: true }); window.scrollTo(0, 0); } // a reader hears the new page
    before = path;
    if (searching) search();
  },
  failed: (error) => faulty(error, () => location.reload()),
  missing: () => h("div", {}, h("div", { class: "head" }, h("h1", {}, "Not found")), empty("There is no such page.", h("p", {}, h("a", { href: to(HOME) }, "Back to the start")))),
});
