// @ts-check
/** What steps can do. */

import { empty } from "../dialogs.js";
import { h } from "../dom.js";
import { facts, heading, json, listed } from "../lists.js";
import { span } from "../time.js";
import { badge } from "../words.js";

/** @type {import("../router.js").Page} */
export const page = {
  title: "Tools",
  render({ signal }) {
    const list = listed({ signal, label: "Tools", path: "api/tools", rows: "tools", key: (row) => row.name, card,
      none: () => empty("There is no tool.", h("p", {}, "Name the modules of your tools in the setting ", h("code", {}, "TOOLS"), ".")) });
    return { node: h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Tools")), list.node) };
  },
};

/** @param {any} row */
function card({ name, summary, contract, args, versions }) {
  const { cost } = contract;
  return [heading([h("h3", { class: "mono" }, name), h("span", { class: "soft" }, `version ${contract.version}`), badge(contract.effect, "rest")]),
    h("p", {}, summary),
    facts([["Undo", contract.undo], ["Cost", cost ? `${cost.amount}${cost.failed ? ", also when it fails" : ""}` : "nothing"], ["Time-out", span(contract.timeout_ms)],
      ["Attempts", contract.retry.attempts], ["Other versions", versions.filter((/** @type {string} */ one) => one !== contract.version).join(", ")]]),
    h("details", {}, h("summary", {}, "Arguments"), json(args))];
}
