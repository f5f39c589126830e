// @ts-check
/** What repeats: pause, resume, run now, delete. */

import { send } from "../api.js";
import { ask, empty } from "../dialogs.js";
import { h } from "../dom.js";
import { deed, facts, heading, json, listed } from "../lists.js";
import { to } from "../router.js";
import { when } from "../time.js";
import { badge, shortId } from "../words.js";

/** @type {import("../router.js").Page} */
export const page = {
  title: "Schedules",
  render({ signal }) {
    const list = listed({ signal, live: true, label: "Schedules", path: "api/schedules", rows: "schedules", key: (row) => row.id, card,
      none: () => empty("Nothing repeats.", h("p", {}, "Make a schedule with ", h("code", {}, "POST /api/schedules"), ", or ask for something “every Friday at 6pm”.")) });
    return { node: h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Schedules")), list.node) };
  },
};

/** @param {any} row @param {() => Promise<void>} again */
function card(row, again) {
  const path = `api/schedules/${row.id}`;
  const paused = row.status === "paused";
  const turn = deed(paused ? "Resume" : "Pause", async () => {
    await send(`${path}/${paused ? "resume" : "pause"}`);
    await again();
    return paused ? "It goes on at its next time." : "It is paused.";
  });
  const run = deed("Run now", async () => {
    const { result } = await send(`${path}/run`);
    await again();
    return `Answer: ${result}.`;
  });
  const drop = deed("Delete", async () => {
    if (!(await ask({ title: "Delete this schedule?", body: h("p", {}, "Nothing starts of it any more. What runs goes on."), yes: "Delete", danger: true }))) return "";
    await send(path, {}, { method: "DELETE" });
    await again();
    return "The schedule is deleted.";
  }, { class: "danger" });
  return [heading([h("h3", {}, row.intent ?? "A plan"), badge(paused ? "Paused" : "Active", paused ? "wait" : "good")], [run, turn, drop]),
    facts([["When", `${row.cron} (${row.timezone})`], ["Next", row.nextAt && when(row.nextAt)], ["User", row.userId],
      ["Last run", row.lastExecution && h("a", { href: to(`/executions/${row.lastExecution}`), class: "mono", title: row.lastExecution }, shortId(row.lastExecution))],
      ["Runs", `${row.runs}, ${row.skipped} skipped, ${row.failures} failed`], ["Waiting", row.waiting.length], ["While one runs", row.overlap], ["Missed times", row.missed],
      ["Last fault", row.lastError?.message]]), row.plan && h("details", {}, h("summary", {}, "Its plan"), json(row.plan))];
}
