// @ts-check
/**
 * What can be broken on purpose here, how it stands, and what happened meanwhile. Kept for the tab, so that it is not lost when
 * another page is looked at. Only `make run` in local mode has it; the page's own element says whether it is there.
 *
 * @typedef {"qstash" | "ably"} What
 * @typedef {"qstash" | "ably" | "watchdog" | "executor"} By
 * @typedef {{at: number, tone: import("../words.js").Tone, text: string, execution?: string}} Happened
 * @typedef {{here: boolean, dropped: boolean, since: string | null, until: string | null, endedAt: string | null, struck: number, there: boolean | null, error: string | null}} Channel
 * @typedef {{id: string, status: string, endedAt: string | null, wentOnAt: string | null, by: By | null}} Held
 * @typedef {{executor: {pid: number | null, killedAt: string | null, backAt: string | null, held: Held[]}, qstash: Channel, ably: Channel}} State
 */

import { get, send } from "../api.js";
import { onHappening } from "../feed.js";
import { ms } from "../time.js";
import { statusText, statusTone } from "../words.js";

export const BREAKABLE = document.documentElement.hasAttribute("data-breakable");
/** @type {Record<What, string>} */
export const CHANNELS = { qstash: "QStash", ably: "Ably" };
/** @type {Record<By, string>} */
export const WAYS = { qstash: "a message of QStash", ably: "an event of Ably", watchdog: "the watchdog", executor: "the restarted executor" };
const QUICK = 1_000; // between two looks while something is broken, or has been just now
const SLOW = 5_000;
const JUST_NOW = 30_000;
const MOST = 200; // lines of what happened

/** @type {State | null} */
let state = null;
/** @type {Happened[]} the newest first */
const happened = [];
const NOBODY = { qstash: 0, ably: 0, watchdog: 0, executor: 0 };
/** @type {Record<By, number>} */
let counts = { ...NOBODY };
let fault = "";
/** @type {Set<() => void>} */
const watchers = new Set();
/** @type {ReturnType<typeof setTimeout> | 0} */
let timer = 0;
let looking = false;
let listening = false;

/** What is known now. */
export const known = () => ({ state, happened, counts, fault });

/** Be told of every change until the signal. @param {() => void} told @param {AbortSignal} signal */
export function watch(told, signal) {
  watchers.add(told);
  signal.addEventListener("abort", () => { watchers.delete(told); if (!watchers.size) pause(); }, { once: true });
  if (!listening) {
    listening = true;
    onHappening(heard, new AbortController().signal);
  }
  look();
}

/** @returns {Promise<void>} */
export const kill = () => act("executor/kill", {});
/** @param {What} what @param {number | null} seconds until it is mended, if null */
export const drop = (what, seconds) => act(`${what}/drop`, { seconds });
/** @param {What} what */
export const mend = (what) => act(`${what}/mend`, {});
/** Count anew who woke executions. */
export function recount() {
  counts = { ...NOBODY };
  tell();
}

/** @param {string} path @param {any} body */
async function act(path, body) {
  take(await send(`api/local/${path}`, body));
  again(QUICK);
}

async function look() {
  if (looking) return;
  looking = true;
  try {
    take(await get("api/local"));
    fault = "";
  } catch (error) {
    fault = /** @type {Error} */ (error).message;
    tell();
  }
  looking = false;
  again(lively() ? QUICK : SLOW);
}

/** @param {number} length */
function again(length) {
  pause();
  if (watchers.size) timer = setTimeout(look, length);
}

function pause() {
  if (timer) clearTimeout(timer);
  timer = 0;
}

/** Whether something is broken, or has been just now. */
function lively() {
  if (!state) return true;
  const latest = [state.executor.killedAt, state.executor.backAt, state.qstash.endedAt, state.ably.endedAt].map((one) => ms(one) ?? 0);
  const { executor, qstash, ably } = state;
  return !executor.pid || qstash.dropped || ably.dropped || Boolean(qstash.error || ably.error) || Date.now() - Math.max(...latest) < JUST_NOW;
}

/** @param {State} found */
function take(found) {
  if (state) for (const one of [...ofExecutor(state, found), ...Object.keys(CHANNELS).flatMap((what) => ofChannel(/** @type {What} */ (what), /** @type {State} */ (state), found))]) note(one);
  state = found;
  tell();
}

/** @param {State} before @param {State} now @returns {Happened[]} */
function ofExecutor({ executor: before }, { executor: now }) {
  const found = [];
  if (now.killedAt && now.killedAt !== before.killedAt) found.push({ at: ms(now.killedAt) ?? 0, tone: /** @type {const} */ ("bad"), text: `The executor was killed. It held ${now.held.length}` });
  if (now.backAt && now.backAt !== before.backAt) found.push({ at: ms(now.backAt) ?? 0, tone: /** @type {const} */ ("good"), text: "The executor is back" });
  return found;
}

/** @param {What} what @param {State} before @param {State} now @returns {Happened[]} */
function ofChannel(what, { [what]: before }, { [what]: now }) {
  const name = CHANNELS[what];
  /** @type {Happened[]} */
  const found = [];
  if (now.since && now.since !== before.since) found.push({ at: ms(now.since) ?? 0, tone: "bad", text: `${name} drops everything` });
  if (now.there !== before.there && now.there !== null) {
    found.push({ at: Date.now(), tone: now.there ? "good" : "wait", text: now.there ? `The engine finds ${name} there` : `The engine finds ${name} away: ${now.error}` });
  }
  if (now.endedAt && now.endedAt !== before.endedAt) found.push({ at: ms(now.endedAt) ?? 0, tone: "good", text: `${name} works again. Refused or lost meanwhile: ${now.struck}` });
  return found;
}

/** Who took an execution up, by the cause of its segment. @param {string} cause @returns {By} */
const wayOf = (cause) => ({ overdue: /** @type {By} */ ("watchdog"), resumed: /** @type {By} */ ("ably"), "left behind": /** @type {By} */ ("executor") })[cause] ?? "qstash";

/** @param {import("../feed.js").Happening} line */
function heard({ executionId: execution, event, id, detail, status }) {
  const at = Number.parseInt(id, 10) || Date.now();
  if (event === "segment.started") {
    const by = wayOf(detail?.cause ?? "");
    counts[by] += 1;
    note({ at, tone: by === "watchdog" ? "wait" : by === "ably" ? "busy" : "rest", text: `woken by ${WAYS[by]}`, execution });
  } else if (event === "execution.ended") {
    note({ at, tone: statusTone(status ?? ""), text: statusText(status ?? "").toLowerCase(), execution });
  } else return;
  tell();
}

/** @param {Happened} one */
function note(one) {
  const place = happened.findIndex(({ at }) => at <= one.at);
  happened.splice(place < 0 ? happened.length : place, 0, one);
  if (happened.length > MOST) happened.length = MOST;
}

function tell() {
  for (const told of watchers) told();
}
