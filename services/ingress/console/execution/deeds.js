// @ts-check
/**
 * What a person may do to an execution as it stands. Pure. The engine has the last word: what it does not take up is a 409, and
 * the person looks again.
 */

import { TERMINAL } from "../words.js";

/**
 * @typedef {"confirm" | "reject-plan" | "pause" | "resume" | "cancel" | "compensate" | "restart" | "export"} OfWhole
 * @typedef {"retry" | "skip" | "edit" | "approve" | "edit-approve" | "reject" | "settle" | "fork"} OfStep
 * @typedef {OfWhole | OfStep} Name
 * @typedef {{name: Name, words: string, key?: string, step?: string, tone?: "primary" | "danger"}} Deed
 */

const AGAIN = new Set(["FAILED", "TIMED_OUT"]);
const UNDONE = new Set(["FAILED", "TIMED_OUT", "CANCELLED", "COMPLETED"]);
const NOT_CALLED = new Set(["READY", "GRANTED", "BACKOFF"]);
const FREE = new Set(["IDLE", "OPENING", "READY", "GRANTED", "BACKOFF", "WAITING"]);
const ELSEWHERE = new Set(["child", "map", "callback"]);

/** @typedef {{execution: any, steps: any[], plan: any}} Known */

/** What may be done to the whole of it. @param {Known} known @returns {Deed[]} */
export function ofWhole({ execution, steps, plan }) {
  /** @type {Deed[]} */
  const found = [];
  const { status, phase, cause } = execution;
  const over = TERMINAL.has(status);
  if (status === "AWAITING_CONFIRMATION") {
    found.push({ name: "confirm", words: "Confirm the plan", key: "a", tone: "primary" }, { name: "reject-plan", words: "Turn it down" });
  }
  if (!over && execution.pausedBy) found.push({ name: "resume", words: "Resume", key: "p", tone: "primary" });
  else if (!over) found.push({ name: "pause", words: "Pause", key: "p" });
  if (!over && phase === "forward" && !cause) found.push({ name: "cancel", words: "Cancel", key: "c", tone: "danger" });
  const failed = AGAIN.has(status) && !execution.parent && steps.some((step) => stopped(step, plan));
  if (failed) found.push({ name: "retry", words: "Retry what failed", key: "r", tone: "primary" });
  if (status === "COMPENSATION_FAILED" && execution.undo?.failed.length) found.push({ name: "retry", words: "Retry the undo", key: "r", tone: "primary" });
  if (UNDONE.has(status) && !(status === "COMPLETED" && execution.parent) && steps.some((step) => stands(step, plan))) {
    found.push({ name: "compensate", words: "Undo what it did", tone: "danger" });
  }
  if (over && execution.plan.hash) found.push({ name: "restart", words: "Run again" });
  found.push({ name: "export", words: "Export" });
  return found;
}

/** What may be done to one step. @param {Known} known @param {any} step @returns {Deed[]} */
export function ofStep({ execution, plan }, step) {
  const over = TERMINAL.has(execution.status);
  const found = over ? afterwards(execution, plan, step) : meanwhile(execution, plan, step);
  if (step.status === "UNKNOWN" && (over ? execution.status === "COMPENSATION_FAILED" : execution.status !== "COMPENSATING")) {
    found.push({ name: "settle", words: "Say whether it happened", tone: "primary" });
  }
  if (over && execution.plan.hash && !/\.\d+$/.test(step.name)) found.push({ name: "fork", words: "Run again from here" });
  return found.map((deed) => ({ ...deed, step: step.name }));
}

/** @param {any} execution @param {any} plan @param {any} step @returns {Deed[]} */
function meanwhile(execution, plan, step) {
  /** @type {Deed[]} */
  const found = [];
  const forward = execution.phase === "forward" && !execution.cause;
  const asked = step.status === "WAITING" && step.hold?.kind === "approval";
  if (asked && forward) {
    found.push({ name: "approve", words: "Approve", key: "a", tone: "primary" }, { name: "edit-approve", words: "Edit and approve" });
    found.push({ name: "reject", words: "Reject", tone: "danger" });
  }
  if (step.status === "BACKOFF" || step.undo?.status === "BACKOFF") found.push({ name: "retry", words: "Retry now", key: "r", tone: "primary" });
  if (forward && !asked && NOT_CALLED.has(step.status) && editable(step, plan)) found.push({ name: "edit", words: "Edit the input" });
  const away = step.status === "WAITING" && (step.items || (ELSEWHERE.has(step.hold?.kind) && step.tool) || step.hold?.kind === "child");
  if (forward && FREE.has(step.status) && !away) found.push({ name: "skip", words: "Skip" });
  return found;
}

/** @param {any} execution @param {any} plan @param {any} step @returns {Deed[]} */
function afterwards(execution, plan, step) {
  /** @type {Deed[]} */
  const found = [];
  if (AGAIN.has(execution.status) && !execution.parent && stopped(step, plan)) {
    found.push({ name: "retry", words: "Retry", key: "r", tone: "primary" });
    if (editable(step, plan)) found.push({ name: "edit", words: "Edit and retry" });
    found.push({ name: "skip", words: "Skip" });
  }
  if (execution.status === "COMPENSATION_FAILED") {
    if (step.undo?.status === "FAILED") found.push({ name: "retry", words: "Retry the undo", key: "r", tone: "primary" });
    if (step.undo?.status === "FAILED" || step.undo?.status === "LEFT") found.push({ name: "skip", words: "I have dealt with it" });
  }
  return found;
}

/** @param {any} plan @param {string} name */
export const planned = (plan, name) => plan?.steps?.find((/** @type {any} */ one) => one.name === name.replace(/\.\d+$/, "")) ?? null;

/** Whether it is one of those that stopped the plan. @param {any} step @param {any} plan */
const stopped = (step, plan) => step.status === "FAILED" && !planned(plan, step.name)?.may_fail;

/** @param {any} step @param {any} plan */
const editable = (step, plan) => Boolean(step.tool) && !step.items && !planned(plan, step.name)?.map && !/\.\d+$/.test(step.name);

/** Whether its effect is, or may be, in the world. @param {any} step @param {any} plan */
export function stands(step, plan) {
  const effect = plan?.contracts?.[step.tool]?.effect;
  return (step.status === "DONE" || step.status === "UNKNOWN") && Boolean(step.tool || step.child) && effect !== "pure" && step.undo?.status !== "DONE";
}
