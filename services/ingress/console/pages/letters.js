// @ts-check
/** What died and waits for a person: send it again, or forget it. */

import { send } from "../api.js";
import { ask, empty } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { deed, facts, heading, listed } from "../lists.js";
import { to } from "../router.js";
import { when } from "../time.js";
import { counted, shortId, statusBadge } from "../words.js";

/** @type {import("../router.js").Page} */
export const page = {
  title: "Dead letters",
  render({ signal }) {
    const bar = h("div", { class: "end" });
    const list = listed({ signal, live: true, label: "Dead letters", path: "api/dlq", rows: "letters", key: (row) => row.id, card,
      none: () => empty("Nothing has died.", h("p", {}, "A message that could not be delivered is listed here, with what was answered.")),
      drawn: (rows) => fill(bar, ...(rows.length ? [many(rows, true), many(rows, false)] : [])) });

    /** Of those that are listed, and of no others. @param {any[]} rows @param {boolean} resend */
    const many = (rows, resend) => deed(`${resend ? "Resend" : "Discard"} ${rows.length}`, async () => {
      const count = counted(rows.length, "letter");
      const body = h("p", {}, resend ? "Their executions are woken, each once." : "The letters are forgotten. Their executions do not change.");
      if (!(await ask({ title: `${resend ? "Resend" : "Discard"} ${count}?`, body, yes: resend ? "Resend" : "Discard", danger: !resend }))) return "";
      const found = await send(`api/dlq/${resend ? "resend" : "discard"}`, { ids: rows.map(({ id }) => id) });
      await list.again();
      return resend ? `Resent: ${found.resent} of ${rows.length}.` : `Discarded: ${found.discarded} of ${rows.length}.`;
    }, resend ? {} : { class: "danger" });
    return { node: h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Dead letters"), bar), list.node) };
  },
};

/** @param {any} row @param {() => Promise<void>} again */
function card(row, again) {
  const wake = deed("Resend", async () => {
    const { result } = await send(`api/dlq/${row.id}/resend`);
    await again();
    return `Answer: ${result}.`;
  });
  const forget = deed("Discard", async () => {
    const body = h("p", {}, "The letter is forgotten. Its execution does not change.");
    if (!(await ask({ title: "Discard this letter?", body, yes: "Discard", danger: true }))) return "";
    await send(`api/dlq/${row.id}`, {}, { method: "DELETE" });
    await again();
    return "The letter is discarded.";
  }, { class: "danger" });
  return [heading([h("h3", {}, row.reason), row.executionStatus && statusBadge(row.executionStatus)], [wake, forget]),
    facts([["Execution", h("a", { href: to(`/executions/${row.executionId}`), class: "mono", title: row.executionId }, shortId(row.executionId))],
      ["Last", when(row.at)], ["Times", row.times], ["Retried", row.retried], ["HTTP status", row.status], ["Message", row.messageId]]),
    row.response && h("pre", { class: "json" }, row.response)];
}
