// @ts-check
/** One execution, live. */

import { strip } from "../breaking/strip.js";
import { Live } from "../execution/source.js";
import { View } from "../execution/view.js";
import { shortId } from "../words.js";

/** @type {import("../router.js").Page} */
export const page = {
  title: "Execution",
  async render({ params, query, signal, title }) {
    const id = params.id ?? "";
    title(`Execution ${shortId(id)}`);
    /** @type {View | null} */
    let view = null;
    const source = await new Live(id, signal, () => view?.changed()).begin();
    const made = new View({ source, signal, query, path: `/executions/${id}` });
    view = made;
    const breaks = strip(signal);
    if (breaks) made.node.insertBefore(breaks, made.node.querySelector(".lanes"));
    return { node: made.node, moved: (now) => made.moved(now) };
  },
};
