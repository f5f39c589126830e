// @ts-check
/** The public HTTP API, as any client sees it. Addresses are relative to the page, so a path prefix before it changes nothing. */

import { askForKey } from "./dialogs.js";
import { messages } from "./sse.js";

const KEY = "intention.key";

/** An answer that is not a success. `at` names the place that the engine complains of. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {any} [details] */
  constructor(status, code, message, details = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.details = details;
    this.at = typeof details?.at === "string" ? details.at : "";
  }

  /** What a person can do about it; empty where the message says it already. */
  get remedy() {
    if (this.status === 0) return "Is the engine running? The page tries again by itself.";
    if (this.status === 409) return "It changed meanwhile: look at what it is now, then decide again.";
    if (this.status === 429) return "A limit is used up. Try again later.";
    if (this.code === "busy") return "Nothing was done. Try again in a moment.";
    if (this.status === 503) return "A part of the engine is away. Try again in a moment.";
    if (this.status >= 500) return "The log of ingress has the details.";
    return "";
  }
}

/** @param {string} path below the console's own address, without a leading slash */
export const address = (path) => new URL(path.replace(/^\//, ""), document.baseURI).href;

/** @param {Record<string, any>} query @returns {string} with its `?`; lists become repeated names, nothing is left out silently */
export function queryOf(query) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined && one !== "") found.append(name, String(one));
  }
  return found.size ? `?${found}` : "";
}

/** @type {Promise<boolean> | null} one question at a time, however many requests were refused */
let asking = null;

/** Ask for a key; true once there is a new one. @param {string} why */
function newKey(why) {
  asking ??= askForKey(why).then((key) => {
    asking = null;
    if (key) sessionStorage.setItem(KEY, key);
    return Boolean(key);
  });
  return asking;
}

/** Forget the key of this tab. */
export const forgetKey = () => sessionStorage.removeItem(KEY);
export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/** How often what ingress has no time for is asked again: it did nothing, so that cannot be twice. */
const BUSY_AGAIN = 3;

/**
 * One request, with the key; a 401 asks for one and tries again, and so does a busy ingress, a little later. ApiError for
 * everything else that is no success.
 * @param {string} path @param {RequestInit} init @param {number} [left] @returns {Promise<Response>}
 */
async function ask(path, init, left = BUSY_AGAIN) {
  const headers = new Headers(init.headers);
  const key = sessionStorage.getItem(KEY);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  let answer;
  try {
    answer = await fetch(address(path), { ...init, headers, redirect: "error", credentials: "omit" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "the engine does not answer");
  }
  if (answer.ok) return answer;
  const failed = await refusal(answer);
  const moved = key !== sessionStorage.getItem(KEY);
  if (answer.status === 401 && (moved || (await newKey(failed.message)))) return ask(path, init, left);
  if (failed.code !== "busy" || left === 0) throw failed;
  await new Promise((resolve) => setTimeout(resolve, 1000 * ((failed.details?.retryAfter ?? 1) + Math.random() / 2)));
  init.signal?.throwIfAborted();
  return ask(path, init, left - 1);
}

/** The engine's one error shape. @param {Response} answer */
async function refusal(answer) {
  const body = await answer.json().catch(() => null);
  const told = body?.error ?? {};
  return new ApiError(answer.status, told.code ?? "http_error", told.message ?? `the answer was ${answer.status}`, told.details);
}

/** @param {string} path @param {Record<string, any>} [query] @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function get(path, query = {}, signal) {
  return (await ask(path + queryOf(query), { signal })).json();
}

/**
 * POST (or another `method`) JSON. `idempotencyKey` makes a repeated start harmless.
 * @param {string} path @param {any} [body] @param {{signal?: AbortSignal, method?: string, idempotencyKey?: string}} [more]
 * @returns {Promise<any>}
 */
export async function send(path, body = {}, { signal, method = "POST", idempotencyKey } = {}) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json" };
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  const answer = await ask(path, { method, headers, body: JSON.stringify(body), signal });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

/** The raw answer, for what is not JSON or is to be saved. @param {string} path @param {AbortSignal} [signal] */
export const raw = (path, signal) => ask(path, { signal });

/**
 * @typedef {object} Follow
 * @property {(message: import("./sse.js").Message) => void} message each message, in order, none twice
 * @property {(state: "connecting" | "live" | "waiting", error?: any) => void} [state]
 * @property {AbortSignal} signal ends it
 * @property {string} [after] where to begin: a message id
 */

/**
 * Follow a stream of server-sent events until its `end` (or the signal): by fetch, because a key goes into a header and never
 * into an address. A broken connection is taken up behind the last message that was seen. A refusal that will not change
 * (4xx, but 429) is thrown.
 * @param {string} path @param {Follow} how
 */
export async function follow(path, { message, state = () => {}, signal, after = "" }) {
  let last = after;
  let pause = 500;
  while (!signal.aborted) {
    state("connecting");
    try {
      const headers = new Headers({ Accept: "text/event-stream" });
      if (last) headers.set("Last-Event-ID", last);
      const answer = await ask(path, { headers, signal });
      state("live");
      for await (const one of messages(answer)) {
        pause = 500;
        if (one.id) last = one.id;
        if (one.event === "reset") last = "";
        message(one);
        if (one.event === "end") return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      state("waiting", error);
    }
    await rest(pause * (0.75 + Math.random() / 2), signal);
    pause = Math.min(pause * 2, 15_000);
  }
}

/** @param {number} length ms @param {AbortSignal} signal ends it early */
function rest(length, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, length);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(null); }, { once: true });
  });
}
