// @ts-check
/** What people are asked: steps that wait for a yes to their arguments, and plans that wait for one before they begin. */

import { get, send } from "../api.js";
import { ask, empty } from "../dialogs.js";
import { h } from "../dom.js";
import { deed, facts, heading, json, listed } from "../lists.js";
import { to } from "../router.js";
import { when } from "../time.js";
import { shortId } from "../words.js";

/** @typedef {{executionId: string, step: string, message: string | null, args: any, argsHash: string, text: string | null, since: string | null, until: string | null}} Asked */

const NOTE = { name: "note", label: "Note", hint: "It stands in the history." };

/** @type {import("../router.js").Page} */
export const page = {
  title: "Approvals",
  render({ signal }) {
    const steps = listed({ signal, live: true, label: "Steps that wait for a yes", path: "api/approvals", rows: "approvals", key: (row) => `${row.executionId} ${row.step} ${row.argsHash}`,
      card: asked, none: () => empty("No step waits for a yes.", h("p", {}, "A step with ", h("code", {}, "approve"), " asks here; so does a policy.")) });
    const plans = listed({ signal, live: true, label: "Plans that wait for a yes", path: "api/executions", query: { status: "AWAITING_CONFIRMATION" }, rows: "executions", key: (row) => row.id,
      card: planned, none: () => empty("No plan waits for a yes.", h("p", {}, "A plan begun with ", h("code", {}, "confirm"), " asks here before it starts.")) });
    return { node: h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Approvals")),
      h("section", {}, h("h2", {}, "Steps"), steps.node), h("section", {}, h("h2", {}, "Plans"), plans.node)) };
  },
};

/** @param {string} id */
const link = (id) => h("a", { href: to(`/executions/${id}`), class: "mono", title: id }, shortId(id));

/** @param {Asked} row @param {() => Promise<void>} again */
function asked(row, again) {
  /** @param {string} name @param {Record<string, any>} body @param {string} said */
  const act = async (name, body, said) => {
    await send(`api/executions/${row.executionId}/${name}`, { step: row.step, ...body });
    await again();
    return said;
  };
  const yes = deed("Approve", async () => {
    const given = await ask({ title: `Approve ${row.step}?`, body: json(row.args), fields: [NOTE], yes: "Approve" });
    return given ? act("approve", { argsHash: row.argsHash, note: given.note }, `${row.step} is approved.`) : "";
  }, { class: "primary" });
  const edit = deed("Edit and approve", async () => {
    const given = await ask({ title: `Approve ${row.step} with other arguments`, yes: "Approve these", check: ({ args }) => fault(args),
      fields: [{ name: "args", label: "Arguments", type: "textarea", value: JSON.stringify(row.args, null, 2), hint: "JSON" }, NOTE] });
    return given ? act("approve", { argsHash: row.argsHash, args: JSON.parse(given.args), note: given.note }, `${row.step} is approved with other arguments.`) : "";
  });
  const no = deed("Reject", async () => {
    const given = await ask({ title: `Reject ${row.step}?`, body: h("p", {}, "The step fails, and what it was part of goes on as its plan says."), fields: [NOTE], yes: "Reject", danger: true });
    return given ? act("reject", { note: given.note }, `${row.step} is rejected.`) : "";
  }, { class: "danger" });
  return [heading([h("h3", {}, row.message ?? row.step)], [yes, edit, no]),
    facts([["Step", row.step], ["Execution", link(row.executionId)], ["What was asked", row.text], ["Waits since", row.since && when(row.since)], ["Until", row.until && when(row.until)]]), json(row.args)];
}

/** @param {string} text */
function fault(text) {
  try {
    const found = JSON.parse(text);
    return found && typeof found === "object" && !Array.isArray(found) ? "" : "Arguments are an object: {\"name\": value}.";
  } catch (error) {
    return `This is no JSON: ${/** @type {Error} */ (error).message}`;
  }
}

/** @param {any} row @param {() => Promise<void>} again */
function planned(row, again) {
  const path = `api/executions/${row.id}`;
  const yes = deed("Look and confirm", async () => {
    const found = await get(path);
    const steps = found.steps.map((/** @type {any} */ step) => h("li", {}, h("span", { class: "strong" }, step.name), step.tool ? ` ${step.tool}` : "", step.args && json(step.args)));
    const body = [found.plan.summary && h("p", {}, found.plan.summary), h("ol", {}, ...steps), found.nextSteps && h("p", {}, `${found.totalSteps} steps in all: `, link(row.id))];
    if (!(await ask({ title: "Run this plan?", body, yes: "Run it" }))) return "";
    await send(`${path}/confirm`, { planHash: found.plan.hash });
    await again();
    return "The plan runs.";
  }, { class: "primary" });
  const no = deed("Reject", async () => {
    const given = await ask({ title: "Reject this plan?", body: h("p", {}, "Nothing of it has started, and nothing will."), fields: [NOTE], yes: "Reject", danger: true });
    if (!given) return "";
    await send(`${path}/reject`, { note: given.note });
    await again();
    return "The plan is rejected.";
  }, { class: "danger" });
  return [heading([h("h3", {}, row.text ?? "A plan without words")], [yes, no]), facts([["Execution", link(row.id)], ["User", row.userId], ["Asked", when(row.createdAt)]])];
}
