// @ts-check
/** An exported execution, from a file. Nothing is asked of the engine, and the file does not leave the browser. */

import { faulty } from "../dialogs.js";
import { fill, fresh, h } from "../dom.js";
import { opened } from "../execution/source.js";
import { View } from "../execution/view.js";

/** @type {import("../router.js").Page} */
export const page = {
  title: "Open a file",
  render({ signal, title }) {
    const id = fresh("file");
    const place = h("div", {});
    const input = h("input", { id, type: "file", accept: ".json,application/json", on: { change: () => { const [file] = input.files ?? []; if (file) read(file); } } });
    const drop = h("div", { class: "notice empty drop" }, h("label", { for: id, class: "strong" }, "An exported execution"), input,
      h("p", { class: "soft" }, "Choose a file that Export or ", h("code", {}, "intention export"), " wrote, or drop it anywhere here. It stays in this browser."));
    const node = h("div", { class: "open" }, h("div", { class: "head" }, h("h1", {}, "Open a file")), drop, place);
    node.addEventListener("dragover", (/** @type {DragEvent} */ event) => { event.preventDefault(); drop.dataset.over = ""; });
    node.addEventListener("dragleave", () => { delete drop.dataset.over; });
    node.addEventListener("drop", (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      delete drop.dataset.over;
      const [file] = event.dataTransfer?.files ?? [];
      if (file) read(file);
    });
    /** @type {AbortController | null} */
    let last = null;

    /** @param {File} file */
    async function read(file) {
      try {
        const source = opened(await file.text());
        last?.abort();
        const shown = (last = new AbortController());
        signal.addEventListener("abort", () => shown.abort(), { once: true });
        const view = new View({ source, signal: shown.signal, query: new URLSearchParams(), path: null });
        fill(node, h("div", { class: "bar" }, h("span", { class: "soft" }, `From ${file.name}: what it was then, not what it is now.`),
          h("div", { class: "end" }, h("label", { for: id, class: "button" }, "Open another"), input)), view.node);
        input.classList.add("hide");
        if (document.activeElement === document.body) input.focus({ preventScroll: true }); // it was moved
        title(`File ${file.name}`);
      } catch (error) {
        fill(place, faulty(error));
        if (!place.isConnected) node.append(place);
      }
    }
    return { node };
  },
};
