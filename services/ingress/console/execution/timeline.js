// @ts-check
/**
 * What every step did when, from the plan, the steps as they stand, and the history. Pure: nothing here reads a clock or a page.
 * A segment whose `to` is null still goes on; whoever draws it knows what time it is.
 */

import { ms } from "../time.js";

/**
 * @typedef {"queue" | "run" | "backoff" | "wait"} Kind
 * @typedef {{kind: Kind, from: number, to: number | null, until: number | null, text: string, failed: boolean}} Segment `until`: when it ends at the latest
 * @typedef {{number: number, probe: boolean, key: string, from: number, to: number | null, outcome: string, code: string, message: string}} Attempt
 * @typedef {{at: number, text: string}} Mark a moment: an event came, a person acted
 * @typedef {"forward" | "undo"} Lane
 * @typedef {object} Row one step, one item of a map, or the undo of one
 * @property {string} key unique among all rows
 * @property {string} name
 * @property {Lane} lane
 * @property {string} status
 * @property {string} does the tool, or what else it does
 * @property {Segment[]} segments in order, none overlapping
 * @property {Attempt[]} attempts
 * @property {Mark[]} marks
 * @property {number} items how many a map was spread into; 0 for anything else
 * @property {string} child the execution that it runs as
 * @property {string} asks what a person was asked, its references resolved
 *
 * @typedef {object} Timeline
 * @property {number} begin
 * @property {number | null} end null while it goes on
 * @property {Row[]} forward in the order of the plan
 * @property {Row[]} undo in the order in which they began
 * @property {(step: string, number: number) => Row} item one item of a map
 * @property {Mark[]} marks of the execution as a whole
 *
 * @typedef {{id: string, event: string, step?: string, attempt?: number, detail?: Record<string, any>}} Line
 * @typedef {{execution: any, steps: any[], history: Line[], plan?: any}} Told `steps` as the API shows them
 */

/** When a line was written: its id begins with the store's time. @param {Line} line */
export const momentOf = (line) => parseInt(line.id, 10);

/** One cell's story, told line by line. */
class Track {
  constructor() {
    /** @type {Segment[]} */
    this.segments = [];
    /** @type {Attempt[]} */
    this.attempts = [];
    /** @type {Mark[]} */
    this.marks = [];
    this.items = 0;
    this.child = "";
    this.asks = "";
    this.status = "";
    this.last = 0; // when its latest line was written
  }

  /** @returns {Segment | null} */
  get open() {
    const last = this.segments.at(-1);
    return last && last.to === null ? last : null;
  }

  /** @param {Kind} kind @param {number} at @param {string} text @param {number | null} [until] */
  begin(kind, at, text, until = null) {
    this.close(at);
    this.segments.push({ kind, from: at, to: null, until, text, failed: false });
  }

  /** What was open ends here; a back-off ends when it said, and what comes behind it is waiting in line. @param {number} at */
  close(at) {
    const { open } = this;
    if (!open) return;
    open.to = Math.max(open.from, at);
    if (open.kind === "backoff" && open.until !== null && open.until < open.to) {
      const due = Math.max(open.from, open.until);
      const queue = /** @type {Segment} */ ({ kind: "queue", from: due, to: open.to, until: null, text: "", failed: false });
      open.to = due;
      this.segments.push(queue);
    }
    this.segments = this.segments.filter((one) => one.kind !== "queue" || one.to !== one.from);
  }

  /** The latest call has come to something. @param {number} at @param {string} outcome @param {Record<string, any>} [detail] */
  ended(at, outcome, detail = {}) {
    const call = this.attempts.at(-1);
    if (call && call.to === null) Object.assign(call, { to: at, outcome, code: detail.code ?? "", message: detail.message ?? "" });
    const { open } = this;
    if (open && (open.kind === "run" || open.text === CALLBACK)) open.failed = outcome !== "done";
  }
}

const CALLBACK = "a call back";

/** @typedef {{track: Track, at: number, line: Line, detail: Record<string, any>}} Told1 */

/** What each line means for its own cell. @type {Record<string, (told: Told1) => void>} */
const MEANS = {
  intended: (told) => call(told, false),
  probed: (told) => call(told, true),
  accepted: ({ track, at, detail }) => { track.begin("wait", at, CALLBACK, detail.until_ms || null); track.status = "WAITING"; },
  done: ({ track, at, detail }) => {
    const { open } = track;
    const exact = open?.kind === "run" && !track.items && Number.isFinite(detail.took_ms) ? Math.min(at, open.from + detail.took_ms) : at;
    track.ended(exact, "done");
    track.close(exact);
    track.status = "DONE";
  },
  failed: ({ track, at, detail }) => { track.ended(at, "failed", detail); fault(track); track.close(at); track.status = "FAILED"; },
  retried: ({ track, at, detail }) => {
    track.ended(at, "failed", detail);
    track.begin("backoff", at, detail.code ?? "", at + (detail.wait_ms ?? 0));
    track.status = "BACKOFF";
  },
  orphaned: ({ track, at }) => {
    track.ended(at, "lost", { message: "the process that made this call ended before it could store an answer" });
    track.begin("queue", at, "");
    track.status = "BACKOFF";
  },
  settling: ({ track, at, detail }) => {
    track.ended(at, "unanswered");
    track.begin("wait", at, "a late request", detail.until_ms || null);
    track.status = "SETTLING";
  },
  never_happened: ({ track, at }) => { track.ended(at, "never happened"); track.begin("queue", at, ""); track.status = "BACKOFF"; },
  unknown: ({ track, at, detail }) => {
    track.ended(at, "unknown", detail);
    track.begin("wait", at, "a person: nobody knows whether it happened");
    track.status = "UNKNOWN";
  },
  settled: ({ track, at, detail }) => {
    track.marks.push({ at, text: `${detail.by || "somebody"} says that it ${detail.happened ? "happened" : "did not happen"}` });
    if (detail.happened) track.close(at);
    else track.begin("queue", at, "");
    track.status = detail.happened ? "DONE" : "FAILED";
  },
  skipped: ({ track, at, detail }) => { track.marks.push({ at, text: detail.message || "skipped" }); track.close(at); track.status = "SKIPPED"; },
  skipped_by: ({ track, at, detail }) => { track.marks.push({ at, text: `skipped by ${detail.by || "somebody"}` }); track.close(at); track.status = "DONE"; },
  sleeping: ({ track, at, detail }) => wait(track, at, "its time", detail.until_ms),
  waiting: ({ track, at, detail }) => wait(track, at, detail.events?.length ? detail.events.join(", ") : CALLBACK, detail.until_ms),
  approval_asked: ({ track, at, detail }) => { track.asks = detail.message ?? ""; wait(track, at, "approval"); },
  queued: ({ track, at }) => wait(track, at, "a slot"),
  child_asked: ({ track, at, detail }) => { track.child = detail.child ?? ""; wait(track, at, "its execution"); },
  event: ({ track, at, detail }) => track.marks.push({ at, text: `the event ${detail.name} came` }),
  approved: ({ track, at, detail }) => {
    track.marks.push({ at, text: `approved by ${detail.by || "somebody"}` });
    track.begin("queue", at, "");
    track.status = "GRANTED";
  },
  rejected: ({ track, at, detail }) => track.marks.push({ at, text: `rejected by ${detail.by || "somebody"}` }),
  reminded: ({ track, at }) => track.marks.push({ at, text: "a reminder" }),
  edited: ({ track, at, detail }) => track.marks.push({ at, text: `edited by ${detail.by || "somebody"}` }),
  child_stopped: ({ track, at }) => track.marks.push({ at, text: "its execution is told to stop" }),
  retried_by: ({ track, at, detail }) => { track.marks.push({ at, text: `tried again by ${detail.by || "somebody"}` }); track.begin("queue", at, ""); },
  spread: ({ track, at, detail }) => { track.begin("run", at, `${detail.items} items`); track.items = detail.items ?? 0; track.status = "WAITING"; },
  put_back: ({ track, at }) => { track.begin("queue", at, ""); track.status = "READY"; },
  left: ({ track, at }) => { track.marks.push({ at, text: "it cannot be taken back, and stands" }); track.status = "LEFT"; },
};

/** @param {Told1} told @param {boolean} probe */
function call({ track, at, line, detail }, probe) {
  const number = line.attempt ?? 1;
  track.begin("run", at, probe ? "asks whether it happened" : number > 1 ? `attempt ${number}` : "");
  track.attempts.push({ number, probe, key: detail.key ?? "", from: at, to: null, outcome: "", code: "", message: "" });
  track.status = "INTENDED";
}

/** @param {Track} track @param {number} at @param {string} text @param {number} [until] unix ms, 0 for never */
function wait(track, at, text, until) {
  track.begin("wait", at, text, until || null);
  track.status = "WAITING";
}

/** @param {Track} track */
function fault(track) {
  const last = track.open ?? track.segments.at(-1);
  if (last) last.failed = true;
}

const SETTLES = new Set(["done", "failed", "skipped", "skipped_by", "settled"]);

/** Reads the history once, in its order. */
class Telling {
  /** @param {Told} told */
  constructor({ execution, steps, history, plan }) {
    this.begin = ms(execution.createdAt) ?? (history[0] ? momentOf(history[0]) : 0);
    /** @type {number | null} */
    this.end = null;
    this.base = this.begin; // from when on steps that need nothing could start
    this.undoing = this.begin;
    /** @type {Map<string, Track>} */
    this.tracks = new Map();
    /** @type {Map<string, number>} when what needs it could go on */
    this.settled = new Map();
    /** @type {Mark[]} */
    this.marks = [];
    const joins = new Map((plan?.steps ?? []).map((/** @type {any} */ one) => [one.name, one.join ?? 0]));
    /** @type {Map<string, {needs: string[], join: number}>} */
    this.steps = new Map(steps.map((one) => [one.name, { needs: one.needs ?? [], join: joins.get(one.name) ?? 0 }]));
    for (const line of history) this.take(line);
  }

  /** @param {string} key */
  track(key) {
    let found = this.tracks.get(key);
    if (!found) this.tracks.set(key, (found = new Track()));
    return found;
  }

  /** @param {Line} line */
  take(line) {
    const at = momentOf(line);
    const [about = "", what = ""] = line.event.split(".");
    const detail = line.detail ?? {};
    if (!line.step) return this.whole(line.event, at, detail);
    const means = MEANS[what];
    if (!means || (about !== "step" && about !== "undo")) return undefined;
    const key = `${about}/${line.step}`;
    const track = this.track(key);
    if (!track.segments.length && what !== "left" && what !== "put_back") track.begin("queue", Math.min(at, this.ready(about, line.step)), "");
    means({ track, at, line, detail });
    track.last = at;
    if (about === "undo") this.undoing = at;
    else if (SETTLES.has(what)) this.settled.set(line.step, at);
    return undefined;
  }

  /** When it could have begun. @param {string} about @param {string} name */
  ready(about, name) {
    if (about === "undo") return this.undoing;
    const item = name.lastIndexOf(".");
    if (item > 0) return this.tracks.get(`step/${name.slice(0, item)}`)?.segments.at(-1)?.from ?? this.base;
    const { needs, join } = this.steps.get(name) ?? { needs: [], join: 0 };
    const times = needs.map((need) => this.settled.get(need) ?? Infinity).sort((a, b) => a - b);
    const last = times[(join || times.length) - 1] ?? this.base;
    return Math.max(this.base, last);
  }

  /** A line of the execution as a whole. @param {string} event @param {number} at @param {Record<string, any>} detail */
  whole(event, at, detail) {
    const text = WHOLE[event];
    if (text) this.marks.push({ at, text: text(detail) });
    if (event === "planning.planned" || event === "plan.confirmed") this.base = at;
    if (event === "execution.reopened") this.end = null;
    if (event === "execution.stopped") this.rest(at, (segment) => segment.kind !== "run");
    if (event === "execution.compensating") this.undoing = at;
    if (event === "execution.ended") {
      this.end = at;
      this.rest(at, () => true);
    }
  }

  /** What goes on ends here. @param {number} at @param {(segment: Segment) => boolean} which */
  rest(at, which) {
    for (const track of this.tracks.values()) if (track.open && which(track.open)) track.close(at);
  }
}

/** @type {Record<string, (detail: Record<string, any>) => string>} */
const WHOLE = {
  "execution.paused": ({ by }) => `paused by ${by || "somebody"}`,
  "execution.resumed": ({ by }) => `resumed by ${by || "somebody"}`,
  "execution.cancelled_by": ({ by }) => `cancelled by ${by || "somebody"}`,
  "execution.stopped": ({ cause }) => `stopped: ${cause}`,
  "execution.reopened": ({ by, action }) => `reopened by ${by || "somebody"} (${action})`,
  "execution.ended": ({ status }) => `ended: ${status}`,
  "plan.confirmed": ({ by }) => `the plan was confirmed by ${by || "somebody"}`,
  "planning.planned": () => "planned",
};

const GOES = new Set(["WAITING", "UNKNOWN", "SETTLING"]);
const COMING = new Set(["OPENING", "READY", "GRANTED"]);

/** What a step does, in a word or two. @param {any} step @param {any} [planned] */
export function doing(step, planned) {
  if (step.tool) return step.items || planned?.map ? `${step.tool}, for each` : step.tool;
  if (step.child || planned?.child) return "an execution of its own";
  if (planned?.sleep) return "sleeps";
  if (planned?.wait) return "waits";
  if (planned?.approve || step.hold?.kind === "approval") return "asks a person";
  return step.hold?.kind ? `waits: ${step.hold.kind}` : "";
}

/** @param {Told} told @returns {Timeline} */
export function timeline(told) {
  const telling = new Telling(told);
  const planned = new Map((told.plan?.steps ?? []).map((/** @type {any} */ one) => [one.name, one]));
  const running = telling.end === null && !told.execution.endedAt;
  const read = ms(told.execution.updatedAt) ?? Infinity; // the steps are as they were then
  const forward = told.steps.map((step) => {
    const track = telling.track(`step/${step.name}`);
    if (running) goesOn(track, step, telling);
    return row("forward", step.name, track, (track.last > read && track.status) || step.status, doing(step, planned.get(step.name)), step.child?.id ?? "", step.items?.total ?? 0);
  });
  const undone = told.steps.filter((step) => step.undo).map((step) => step.name);
  const seen = [...telling.tracks.keys()].filter((key) => key.startsWith("undo/")).map((key) => key.slice(5));
  const status = new Map(told.steps.map((step) => [step.name, step.undo?.status]));
  const undo = [...new Set([...seen, ...undone])].map((name) => {
    const track = telling.track(`undo/${name}`);
    return row("undo", name, track, status.get(name) || track.status || "READY", "", track.child, 0);
  });
  return {
    begin: telling.begin, end: telling.end, forward, undo, marks: telling.marks,
    item: (step, number) => {
      const track = telling.tracks.get(`step/${step}.${number}`) ?? new Track();
      return row("forward", `${step}.${number}`, track, track.status || "IDLE", "", track.child, 0);
    },
  };
}

/**
 * What the steps know and no line has told: it waits again since it was reopened, or is next. They may have been read before the
 * latest lines were, so what a line has ended goes on for nobody.
 * @param {Track} track @param {any} step @param {Telling} telling
 */
function goesOn(track, step, telling) {
  if (track.open) return;
  const ended = track.segments.at(-1)?.to ?? 0;
  const since = ms(step.hold?.since) ?? telling.base;
  if (GOES.has(step.status) && !track.items && since >= ended) track.begin("wait", since, step.hold?.kind ?? "a person", ms(step.hold?.until));
  if (step.status === "INTENDED" && step.startedAt && !track.attempts.length) track.begin("run", ms(step.startedAt) ?? telling.base, "");
  const from = COMING.has(step.status) ? telling.ready("step", step.name) : Infinity;
  if (Number.isFinite(from) && from >= ended) track.begin("queue", from, "");
}

/** @param {Lane} lane @param {string} name @param {Track} track @param {string} status @param {string} does @param {string} child @param {number} items @returns {Row} */
function row(lane, name, track, status, does, child, items) {
  const { segments, attempts, marks, asks } = track;
  return { key: `${lane}/${name}`, name, lane, status, does, segments, attempts, marks, items: items || track.items, child: child || track.child, asks };
}

/** From its first call (or wait) to its end; null before. @param {Row} row @param {number} now */
export function tookOf({ segments }, now) {
  const first = segments.find(({ kind }) => kind !== "queue");
  const last = segments.at(-1);
  return first && last ? (last.to ?? now) - first.from : null;
}

/** How long each kind took. @param {Row} row @param {number} now @returns {Record<Kind, number>} */
export function sums({ segments }, now) {
  const found = { queue: 0, run: 0, backoff: 0, wait: 0 };
  for (const { kind, from, to } of segments) found[kind] += Math.max(0, (to ?? now) - from);
  return found;
}

const NICE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5];

/**
 * Where an axis has its ticks: round lengths since `begin` within [from, to], about `most`.
 * @param {number} begin @param {number} from @param {number} to @param {number} most
 */
export function ticks(begin, from, to, most) {
  const least = (to - from) / Math.max(1, most);
  const step = NICE.find((one) => one >= least) ?? Math.ceil(least / 6048e5) * 6048e5;
  const found = [];
  for (let at = Math.ceil((from - begin) / step) * step; at <= to - begin; at += step) found.push(at);
  return found;
}
