// @ts-check
/** Doing it: the questions before an action, its request with the version that was seen, and what is said of a refusal. */

import { ApiError, raw, send } from "../api.js";
import { ask, toast } from "../dialogs.js";
import { h } from "../dom.js";
import { go } from "../router.js";
import { shortId } from "../words.js";
import { stands } from "./deeds.js";

/**
 * @typedef {import("./deeds.js").Deed} Deed
 * @typedef {import("./source.js").Source} Source
 * @typedef {{path: string, body: Record<string, any>}} Request
 * @typedef {(source: Source, deed: Deed, step: any, before: Record<string, any>) => Promise<{values: Record<string, any>, request: Request} | null>} Asks
 */

/** @param {Record<string, any>} before @returns {import("../dialogs.js").Field} */
const note = (before) => ({ name: "note", label: "Note for the history (may be empty)", value: before.note ?? "" });

/** @param {any} value */
export const pretty = (value) => JSON.stringify(value ?? null, null, 2);

/** What is wrong with a JSON text; empty for nothing. @param {string} text @param {boolean} object */
function wrong(text, object) {
  let found;
  try {
    found = JSON.parse(text);
  } catch (error) {
    return `This is no JSON: ${/** @type {Error} */ (error).message}`;
  }
  return object && (found === null || typeof found !== "object" || Array.isArray(found)) ? "Give an object: {\"name\": value}." : "";
}

/** @param {Record<string, any>} before @param {string} name @param {any} otherwise */
const kept = (before, name, otherwise) => before[name] ?? otherwise;

/**
 * A question whose answer becomes a request.
 * @param {string} path @param {(values: Record<string, any>) => Record<string, any>} body @param {import("../dialogs.js").Question} question
 */
async function asked(path, body, question) {
  const values = await ask(question);
  return values && { values, request: { path, body: body(values) } };
}

/** @type {Record<string, Asks>} what is asked before each */
const ASKS = {
  confirm: (source) => asked("confirm", () => ({ planHash: source.execution.plan.hash }), {
    title: "Confirm the plan?", yes: "Confirm the plan",
    body: [h("p", {}, "Exactly this plan begins:"), listed(source.steps.map((step) => `${step.name}: ${step.tool || "no call"}`))],
  }),
  "reject-plan": (_, __, ___, before) => asked("reject", ({ note }) => ({ note }), {
    title: "Turn the plan down?", yes: "Turn it down", danger: true, body: h("p", {}, "It ends as REJECTED, and nothing of it is done."),
    fields: [note(before)],
  }),
  pause: async () => ({ values: {}, request: { path: "pause", body: {} } }),
  resume: async () => ({ values: {}, request: { path: "resume", body: {} } }),
  cancel: (_, __, ___, before) => asked("cancel", ({ undo, reason }) => ({ undo, reason }), {
    title: "Cancel this execution?", yes: "Cancel it", danger: true, body: h("p", {}, "No further step starts. Calls that are under way end first."),
    fields: [{ name: "undo", label: "Undo what was done", type: "checkbox", value: kept(before, "undo", true) },
      { name: "reason", label: "Reason (may be empty)", value: kept(before, "reason", "") }],
  }),
  compensate: (source) => asked("compensate", () => ({}), {
    title: "Undo what it did?", yes: "Undo it", danger: true,
    body: [h("p", {}, "What these steps did is taken back, the latest first:"), listed(source.steps.filter((step) => stands(step, source.plan)).map(({ name }) => name))],
  }),
  retry: (_, deed) => asked("retry", () => (deed.step ? { step: deed.step } : {}), {
    title: deed.step ? `Try ${deed.step} again?` : "Try again what failed?", yes: "Try again", body: h("p", {}, "At once, and with its attempts counted anew."),
  }),
  skip: (source, deed, _, before) => skipped(source, deed, before),
  edit: (_, deed, step, before) => asked("edit", ({ args }) => ({ step: deed.step, args: JSON.parse(args) }), {
    title: `Edit the input of ${deed.step}`, yes: "Use these", check: ({ args }) => wrong(args, true),
    body: h("p", {}, "They are taken as they stand: references are not followed."),
    fields: [{ name: "args", label: "Arguments, as JSON", type: "textarea", value: kept(before, "args", pretty(step.input ?? step.hold?.args ?? {})) }],
  }),
  approve: (_, deed, step, before) => asked("approve", ({ note }) => ({ step: deed.step, argsHash: step.hold.argsHash, note }), {
    title: `Approve ${deed.step}?`, yes: "Approve", fields: [note(before)],
    body: [h("p", {}, step.tool ? `${step.tool} is called with exactly these arguments:` : "It asks for a yes, and calls nothing."),
      step.tool && h("pre", { class: "json" }, pretty(step.hold.args))],
  }),
  "edit-approve": (_, deed, step, before) => asked("approve", ({ args, note }) => ({ step: deed.step, argsHash: step.hold.argsHash, args: JSON.parse(args), note }), {
    title: `Edit and approve ${deed.step}`, yes: "Approve these", check: ({ args }) => wrong(args, true),
    fields: [{ name: "args", label: "Arguments, as JSON", type: "textarea", value: kept(before, "args", pretty(step.hold.args)) }, note(before)],
  }),
  reject: (_, deed, __, before) => asked("reject", ({ note }) => ({ step: deed.step, note }), {
    title: `Reject ${deed.step}?`, yes: "Reject", danger: true, fields: [note(before)],
    body: h("p", {}, "It fails as rejected. What was done before it is undone, unless the plan says that it may fail."),
  }),
  settle: (_, deed, __, before) => asked("settle", ({ happened, output }) => ({ step: deed.step, happened, output: happened ? JSON.parse(output) : null }), {
    title: `Did ${deed.step} happen?`, yes: "That is so", check: ({ happened, output }) => (happened ? wrong(output, false) : ""),
    body: h("p", {}, "Look where it would show, and then say so. If it did not happen it may be called again."),
    fields: [{ name: "happened", label: "It happened", type: "checkbox", value: kept(before, "happened", false) },
      { name: "output", label: "What it gave, as JSON (if it happened)", type: "textarea", value: kept(before, "output", "null") }],
  }),
  restart: (source, _, __, before) => again("restart", source, {}, "Run the whole plan again?", before),
  fork: (source, deed, __, before) => again("fork", source, { step: deed.step }, `Run again from ${deed.step}?`, before),
};

/** @param {Source} source @param {Deed} deed @param {Record<string, any>} before */
function skipped(source, deed, before) {
  if (source.execution.status === "COMPENSATION_FAILED") {
    return asked("skip", () => ({ step: deed.step }), {
      title: `Have you dealt with ${deed.step}?`, yes: "I have", body: h("p", {}, "Its effect counts as taken back. The engine does nothing about it any more."),
    });
  }
  return asked("skip", ({ output }) => ({ step: deed.step, output: JSON.parse(output) }), {
    title: `Skip ${deed.step}?`, yes: "Skip it", body: h("p", {}, "The plan goes on as if it had given this:"), check: ({ output }) => wrong(output, false),
    fields: [{ name: "output", label: "Output, as JSON", type: "textarea", value: kept(before, "output", "null") }],
  });
}

/** @param {string} path @param {Source} source @param {Record<string, any>} more @param {string} title @param {Record<string, any>} before */
function again(path, source, more, title, before) {
  const standing = source.steps.filter((step) => stands(step, source.plan)).map(({ name }) => name);
  return asked(path, ({ acceptEffects }) => ({ ...more, acceptEffects: acceptEffects ?? false }), {
    title, yes: "Run again", body: [h("p", {}, "A new execution begins, with keys of its own."),
      standing.length > 0 && h("p", {}, "What these steps did still stands, and may be done once more. The new execution does not undo it:"),
      standing.length > 0 && listed(standing)],
    fields: standing.length ? [{ name: "acceptEffects", label: "I know, and want it so", type: "checkbox", value: kept(before, "acceptEffects", false) }] : [],
  });
}

/** @param {string[]} names */
function listed(names) {
  const rest = names.length - 20;
  return h("ul", { class: "names" }, ...names.slice(0, 20).map((name) => h("li", {}, name)), rest > 0 && h("li", {}, `and ${rest} more`));
}

/** Stops what runs, whatever it has come to: a version would only be in its way. */
const ANY_VERSION = new Set(["pause", "cancel"]);

/**
 * Carries deeds out for one page.
 */
export class Acting {
  /** @param {{told: (fault: any, again: () => void) => void, quiet: () => void, signal: AbortSignal}} page `told`: it was refused, and `again` asks the same once more; `signal`: it is left */
  constructor({ told, quiet, signal }) {
    this.told = told;
    this.quiet = quiet;
    this.signal = signal;
    /** @type {{deed: Deed, over: Promise<void>} | null} what is being sent */
    this.underWay = null;
  }

  /**
   * The same again while it is under way is a double click; another deed waits until the answer is there, and is not lost.
   * @param {Source} source @param {Deed} deed @param {any} [step] @param {Record<string, any>} [before] what was typed when it was refused
   */
  async act(source, deed, step = null, before = {}) {
    const sending = this.underWay?.deed;
    if (sending?.name === deed.name && sending.step === deed.step) return;
    await this.underWay?.over;
    if (this.underWay || this.signal.aborted || document.querySelector("dialog[open]")) return;
    if (deed.name === "export") return this.exported(source);
    const { version } = source.execution; // what is seen while the question is asked
    const found = await ASKS[deed.name]?.(source, deed, step, before);
    if (!found) return;
    const body = ANY_VERSION.has(deed.name) ? found.request.body : { ...found.request.body, version };
    const over = this.sent(source, deed, found, body).finally(() => { this.underWay = null; });
    this.underWay = { deed, over: over.catch(() => {}) };
    await over;
  }

  /** @param {Source} source @param {Deed} deed @param {{values: Record<string, any>, request: Request}} found @param {Record<string, any>} body */
  async sent(source, deed, { values, request }, body) {
    try {
      const told = await send(`api/executions/${encodeURIComponent(source.id)}/${request.path}`, body);
      this.quiet();
      if (told.id !== source.id) go(`/executions/${told.id}`);
      toast(told.id !== source.id ? `It runs again as ${shortId(told.id)}.` : (told.will ?? told.result), "good");
      await source.reload();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 409) await source.reload().catch(() => {});
      const step = deed.step ? source.steps.find(({ name }) => name === deed.step) : null;
      this.told(error, () => this.act(source, deed, step, values));
    }
  }

  /** Save everything about it as a file. @param {Source} source */
  async exported(source) {
    try {
      const answer = await raw(`api/executions/${encodeURIComponent(source.id)}/export`);
      const url = URL.createObjectURL(await answer.blob());
      h("a", { href: url, download: `${source.id}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.told(error, () => this.exported(source));
    }
  }
}
