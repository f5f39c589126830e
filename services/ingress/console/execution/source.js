// @ts-check
/**
 * Where a page about an execution has it from: the engine, live, or an exported file. Both answer the same questions, so that
 * whoever shows them need not know which it is.
 *
 * @typedef {import("./timeline.js").Line} Line
 *
 * @typedef {{lines: {at_ms: number, attempt: number, level: string, message: string, fields?: any, undo?: boolean}[], truncated: boolean}} Logged
 *
 * @typedef {object} Source
 * @property {string} id
 * @property {boolean} live whether there is an engine to act upon
 * @property {any} execution as `GET /api/executions/{id}` answers, without its steps
 * @property {any[]} steps all of them
 * @property {Line[]} history
 * @property {any} why
 * @property {any} plan as it was pinned; null while there is none
 * @property {string} [exportedAt] of a file
 * @property {(step: string) => Promise<any>} output the whole output of a step, however large
 * @property {(step: string, number: number) => Promise<any>} item one item of a map, shown as a step
 * @property {(step: string) => Promise<Logged | null>} logs null where none are kept
 * @property {(id: string, signal: AbortSignal, changed: () => void) => Promise<Source>} child another execution
 * @property {() => Promise<void>} reload
 */

import { ApiError, get } from "../api.js";
import { onHappening } from "../feed.js";
import { lines } from "./lines.js";

const PAGE = 500;
const PAUSE = 150; // between the first line that came and reading what it changed

/** @param {string} id */
const place = (id) => `api/executions/${encodeURIComponent(id)}`;

/** One execution of the engine, kept up to date until the signal. @implements {Source} */
export class Live {
  /** @param {string} id @param {AbortSignal} signal @param {() => void} changed told after every change, not more often than it can be read */
  constructor(id, signal, changed) {
    this.id = id;
    this.live = true;
    this.signal = signal;
    this.changed = changed;
    /** @type {any} */
    this.execution = null;
    /** @type {any[]} */
    this.steps = [];
    /** @type {Line[]} */
    this.history = [];
    /** @type {any} */
    this.why = null;
    /** @type {any} */
    this.plan = null;
    /** @type {Map<string, number>} */
    this.numbers = new Map();
    /** @type {Set<number>} pages of steps that something happened on */
    this.stale = new Set();
    /** @type {ReturnType<typeof setTimeout> | 0} */
    this.timer = 0;
    this.following = false;
    this.begun = false;
    this.behind = false;
    /** @type {any} */
    this.last = null;
    this.took = 0;
  }

  /** Read it, and follow it from there on. */
  async begin() {
    await this.reload();
    this.begun = true;
    this.follow();
    onHappening(({ executionId }) => { if (executionId === this.id) this.happened(); }, this.signal, () => this.happened());
    return this;
  }

  /** Everything anew; nothing more once the page is left. */
  async reload() {
    try {
      await this.all();
    } catch (error) {
      if (!this.signal.aborted) throw error;
    }
  }

  async all() {
    await this.page(0);
    for (let next = this.execution.nextSteps; next !== null; next = this.last.nextSteps) await this.page(next / PAGE);
    await this.beside();
    this.changed();
    if (this.begun) this.follow();
  }

  /** One page of steps, and the header with it. @param {number} number */
  async page(number) {
    const found = await get(place(this.id), { first: number * PAGE, limit: PAGE }, this.signal);
    const { steps, ...execution } = found;
    this.last = execution;
    if (!this.execution || execution.version >= this.execution.version) this.execution = execution;
    for (const [n, step] of steps.entries()) {
      this.steps[number * PAGE + n] = step;
      this.numbers.set(step.name, number * PAGE + n);
    }
  }

  /** Why it waits, and its plan once there is one. */
  async beside() {
    const missing = this.execution.plan.hash && this.plan?.hash !== this.execution.plan.hash;
    const [why, plan] = await Promise.all([
      get(`${place(this.id)}/why`, {}, this.signal),
      missing ? get(`${place(this.id)}/plan`, {}, this.signal) : this.plan,
    ]);
    this.why = why;
    this.plan = plan && { ...plan, hash: this.execution.plan.hash };
  }

  /** Follow the history until it ends; one that is over is followed again once it is reopened. */
  async follow() {
    if (this.following) return;
    this.following = true;
    try {
      await lines(this.id, {
        after: this.history.at(-1)?.id ?? "", signal: this.signal,
        told: (found) => this.told(found), reset: () => { this.history = []; },
      });
    } catch (error) {
      if (!this.signal.aborted) console.warn("not followed:", error);
    } finally {
      this.following = false;
    }
  }

  /** @param {Line[]} found */
  told(found) {
    this.history.push(...found);
    for (const { step } of found) {
      const number = this.numbers.get(step?.replace(/\.\d+$/, "") ?? "");
      if (number !== undefined) this.stale.add(Math.floor(number / PAGE));
    }
    if (found.some(({ event }) => AFFECTS_ALL.has(event))) for (let n = 0; n * PAGE < this.steps.length; n += 1) this.stale.add(n);
    this.changed();
    this.happened();
  }

  /** Something did: read what it changed, soon. Reading takes a quarter of the time at most. */
  happened() {
    this.behind = true;
    if (this.timer || this.signal.aborted) return;
    this.timer = setTimeout(() => this.read(), Math.max(PAUSE, 3 * this.took));
    this.signal.addEventListener("abort", () => clearTimeout(this.timer), { once: true });
  }

  async read() {
    const begun = performance.now();
    const pages = this.stale.size ? [...this.stale] : [0];
    this.stale = new Set();
    this.behind = false;
    try {
      for (const number of pages) await this.page(number);
      await this.beside();
      this.changed();
    } catch (error) {
      if (this.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      for (const number of pages) this.stale.add(number);
      this.behind = error.status === 0 || error.status >= 500; // the engine will be there again
    } finally {
      this.took = performance.now() - begun;
      this.timer = 0;
      if (this.behind) this.happened(); // while this was read
    }
    this.follow(); // it may have been reopened; of one that is over this ends at once
  }

  /** @param {string} step */
  output(step) {
    return get(`${place(this.id)}/steps/${encodeURIComponent(step)}/output`, {}, this.signal);
  }

  /** @param {string} step @param {number} number */
  async item(step, number) {
    const found = await get(`${place(this.id)}/steps/${encodeURIComponent(step)}/items`, { first: number, limit: 1 }, this.signal);
    return found.items[0] ?? null;
  }

  /** @param {string} step @returns {Promise<Logged | null>} */
  async logs(step) {
    try {
      return await get(`${place(this.id)}/steps/${encodeURIComponent(step)}/logs`, {}, this.signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** @param {string} id @param {AbortSignal} signal @param {() => void} changed @returns {Promise<Source>} */
  child(id, signal, changed) {
    return new Live(id, signal, changed).begin();
  }
}

/** Lines that name no step and move many. */
const AFFECTS_ALL = new Set(["execution.stopped", "execution.compensating", "execution.ended", "execution.reopened", "planning.planned"]);

/** What `GET /api/executions/{id}/export` gave, read from a file. @implements {Source} */
export class Exported {
  /** @param {any} found */
  constructor(found) {
    const { steps, ...execution } = found.execution;
    this.id = found.id;
    this.live = false;
    this.execution = execution;
    /** @type {any[]} */
    this.steps = steps;
    this.history = found.history;
    this.why = found.why;
    this.plan = found.plan;
    this.items = found.items ?? {};
    this.exportedAt = found.exportedAt;
  }

  /** @param {string} step */
  async output(step) {
    return this.steps.find(({ name }) => name === step)?.output ?? null;
  }

  /** @param {string} step @param {number} number */
  async item(step, number) {
    return this.items[step]?.[number] ?? null;
  }

  /** @returns {Promise<Logged | null>} */
  async logs() {
    return null;
  }

  /** @returns {Promise<Source>} */
  async child() {
    throw new Error("This file holds one execution. Export the child too.");
  }

  async reload() {}
}

/** A file's text as a source; an Error says what is wrong with it. @param {string} text */
export function opened(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error("This file is no JSON. Give what GET /api/executions/{id}/export or `intention export` wrote, whole.");
  }
  if (found === null || typeof found !== "object" || !("export" in found)) {
    throw new Error("This is no exported execution: its member `export` is missing. `intention export ID -o file.json` writes one.");
  }
  if (found.export !== 1) {
    throw new Error(`This file has version ${String(found.export)}, and this console reads version 1. Open it with the console of the engine that wrote it.`);
  }
  const { execution, history } = found;
  if (!execution || !Array.isArray(execution.steps) || !Array.isArray(history)) throw new Error("This file is not whole: its execution, steps or history are missing.");
  return new Exported(found);
}
