// @ts-check
/** Executions that wait, and for what. */

import { empty } from "../dialogs.js";
import { h } from "../dom.js";
import { facts, heading, listed } from "../lists.js";
import { go, to } from "../router.js";
import { when } from "../time.js";
import { badge, REASONS, shortId } from "../words.js";

/** @type {import("../router.js").Page} */
export const page = {
  title: "Waits",
  render({ query, signal }) {
    const reason = query.get("reason") ?? "";
    const select = h("select", { id: "waits-reason", on: { change: () => go("/waits", { reason: select.value }) } },
      h("option", { value: "" }, "anything"), ...REASONS.map((name) => h("option", { value: name, selected: name === reason }, name)));
    const list = listed({ signal, live: true, label: "Waits", path: "api/executions", query: { status: "SUSPENDED", reason }, rows: "executions", key: (row) => row.id, card,
      none: () => empty(reason ? `Nothing waits for: ${reason}.` : "Nothing waits.", h("p", {}, "Executions that sleep, wait for an event, a person or their next attempt are listed here.")) });
    return { node: h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Waits"),
      h("div", { class: "end" }, h("label", { for: "waits-reason" }, "Waits for"), select)), list.node) };
  },
};

/** @param {any} row */
const card = (row) => [heading([h("h3", {}, row.text ?? "A plan without words"), badge(row.reason ?? "waits", "wait")]),
  facts([["Execution", h("a", { href: to(`/executions/${row.id}`), class: "mono", title: row.id }, shortId(row.id))], ["User", row.userId],
    ["Since", when(row.updatedAt)], ["Started", when(row.createdAt)]])];
