// @ts-check
/** Words become a plan that is shown with its price, and what was shown is what runs. */

import { ApiError, send } from "../api.js";
import { faulty, loading } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { deed, facts, heading, json } from "../lists.js";
import { go, to } from "../router.js";
import { span } from "../time.js";
import { badge, counted } from "../words.js";

/** How the answer to a question about a field is said in the words. @type {Record<string, string>} */
const LEADS = { time: "at ", date: "on ", party_size: "for ", pickup: "from ", destination: "to ", place: "in ", end: "until " };

/** @type {import("../router.js").Page} */
export const page = {
  title: "New",
  render: ({ signal }) => ({ node: new Desk(signal).node }),
};

class Desk {
  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.signal = signal;
    this.turn = 0;
    this.words = h("textarea", { id: "new-words", rows: 3, maxlength: 4000, required: true, placeholder: "Book a table for 2 at 7pm under the name Smith",
      on: { input: () => this.changed(), keydown: (/** @type {KeyboardEvent} */ event) => this.key(event) } });
    this.user = h("input", { id: "new-user", value: "anonymous", required: true, maxlength: 200, autocomplete: "off", on: { input: () => this.changed() } });
    this.zone = h("input", { id: "new-zone", placeholder: "of the user's profile", autocomplete: "off", on: { input: () => this.changed() } });
    this.place = h("div", { class: "outcome" });
    this.form = h("form", { class: "panel desk", on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); this.plan(); } } },
      h("div", { class: "field" }, h("label", { for: "new-words" }, "What should be done?"), this.words),
      h("div", { class: "pair" }, h("div", { class: "field" }, h("label", { for: "new-user" }, "User"), this.user),
        h("div", { class: "field" }, h("label", { for: "new-zone" }, "Time zone"), this.zone)),
      h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Show the plan"), h("span", { class: "hint" }, "Nothing starts yet. Ctrl + Enter")));
    this.node = h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "New")), this.form, this.place);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
  }

  /** What is shown is of other words: it cannot be run any more. */
  changed() {
    this.turn += 1;
    fill(this.place);
  }

  /** The request, said at this moment: planning it again gives the same days and times. */
  request() {
    const timezone = this.zone.value.trim();
    return { intent: this.words.value, userId: this.user.value.trim(), context: { now: new Date().toISOString(), ...(timezone && { timezone }) } };
  }

  async plan() {
    const mine = (this.turn += 1);
    const asked = this.request();
    fill(this.place, loading("Planning"));
    try {
      const found = await send("api/plan", asked, { signal: this.signal });
      if (mine === this.turn) fill(this.place, this.shown(asked, found));
    } catch (error) {
      if (mine === this.turn && !this.signal.aborted) fill(this.place, this.refused(error));
    }
  }

  /** @param {any} error */
  refused(error) {
    const questions = error instanceof ApiError && error.code === "clarification_needed" ? error.details.questions ?? [] : [];
    if (!questions.length) return faulty(error);
    return h("section", { class: "notice", role: "alert", "aria-label": "Questions" }, h("h2", {}, "This has to be known first"),
      ...questions.map((/** @type {any} */ one) => h("div", { class: "question" }, h("p", {}, one.question),
        one.candidates?.length > 0 && h("div", { class: "bar" }, ...one.candidates.map((/** @type {string} */ answer) => h("button", { type: "button", on: { click: () => this.choose(one, answer) } }, answer))))),
      h("p", { class: "hint" }, "Choose an answer, or say it in the words above."));
  }

  /** @param {any} question @param {string} answer */
  choose(question, answer) {
    this.words.value = answered(this.words.value, question, answer);
    this.words.focus();
    this.plan();
  }

  /** @param {any} asked @param {any} found */
  shown(asked, found) {
    const key = `console-${[...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join("")}`;
    const run = deed("Run this plan", async () => { await this.run(asked, found.hash, key); return ""; }, { class: "primary" });
    return h("section", { "aria-label": "Plan", class: "plan" }, h("div", { class: "bar" }, h("h2", {}, found.summary || counted(found.steps.length, "step")), h("div", { class: "end" }, run)),
      h("div", { class: "panel" }, h("div", { class: "body" }, price(found.price))), standing(found.cannotBeUndone), demands(found.policies),
      h("ol", { class: "cards", "aria-label": "Steps" }, ...found.steps.map((/** @type {any} */ step) => h("li", { class: "panel card" }, ...stepCard(step, found.sources)))));
  }

  /** Born unconfirmed, then confirmed by the hash that was shown: another plan cannot start. @param {any} asked @param {string} hash @param {string} key */
  async run(asked, hash, key) {
    const born = await send("api/execute", { ...asked, confirm: true }, { signal: this.signal, idempotencyKey: key });
    const path = `/executions/${born.id}`;
    if (born.plan && born.plan.hash !== hash) {
      fill(this.place, h("div", { class: "notice", role: "alert", data: { tone: "wait" } }, h("p", {}, "The plan is not the one that was shown. Nothing has started: it awaits a yes."),
        h("a", { href: to(path) }, "Look at what it is now")));
      return;
    }
    if (born.plan && born.status === "AWAITING_CONFIRMATION") await send(`api${path}/confirm`, { planHash: hash }, { signal: this.signal });
    go(path);
  }
}

/**
 * The words with an answer in them: in the place of the words that were in doubt, or behind all.
 * @param {string} words @param {{field: string, question: string}} question @param {string} answer
 */
export function answered(words, question, answer) {
  const clause = question.field === "intent" && answer === "book" ? "and book it" : `${LEADS[question.field] ?? ""}${answer}`;
  const doubtful = /"([^"]+)"/.exec(question.question)?.[1];
  if (doubtful && words.includes(doubtful)) return words.replace(doubtful, () => clause);
  return `${words.trimEnd().replace(/[.!?]$/, "")} ${clause}`;
}

/** @param {any} of */
function price(of) {
  const cost = of.cost ? `${of.cost}${of.worstCost > of.cost ? ` (at worst ${of.worstCost})` : ""}` : of.worstCost ? `0 (at worst ${of.worstCost})` : "nothing";
  return facts([
    ["Messages", `${of.messages} (${of.reservedMessages} reserved)`],
    ["Time", `about ${span(of.durationMs)}`],
    ["Cost", cost],
    ["Waits for", of.awaits.map((/** @type {any} */ one) => `${one.kind} of ${one.step}`).join(", ")],
    ["Guessed", of.guessed.join(", ")],
  ]);
}

/** @param {string[]} steps */
const standing = (steps) => steps.length > 0 && h("div", { class: "notice", data: { tone: "wait" } }, h("p", { class: "strong" }, `Cannot be undone: ${steps.join(", ")}`));

/** @param {{policy: string, kind: string, at: string, message: string}[]} marks */
const demands = (marks) => marks.length > 0 && h("div", { class: "notice" }, h("p", { class: "strong" }, "Policies ask for a person"),
  h("ul", {}, ...marks.map((one) => h("li", {}, `${one.kind}${one.at ? ` of ${one.at}` : ""}: ${one.message} (${one.policy})`))));

/** @param {any} step @param {any[]} sources */
function stepCard(step, sources) {
  const from = sources.filter((one) => one.step === step.name).map((one) => h("li", {}, h("code", {}, one.argument), ` from ${one.origin}: ${one.words}`));
  return [
    heading([h("h3", {}, step.name), h("span", { class: "soft" }, step.tool ? `${step.tool} ${step.version}` : step.does), step.effect && badge(step.effect, "rest"), step.approval && badge("asks for a yes", "wait")]),
    facts([["Undo", step.undo], ["After", step.needs.join(", ")], ["Asks", typeof step.approval === "string" && step.approval]]),
    Object.keys(step.args ?? {}).length > 0 && json(step.args),
    from.length > 0 && h("details", {}, h("summary", {}, "Where the arguments come from"), h("ul", {}, ...from)),
  ];
}
