// Upstash Workflow, unchanged: its hono adapter serves the workflows, its client triggers, notifies, reads and cancels.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { serve as listen } from "@hono/node-server";
import { Client as QStash } from "@upstash/qstash";
import { Client } from "@upstash/workflow";
import { createWorkflow, serve, serveMany } from "@upstash/workflow/hono";
import { Hono } from "hono";
import { destination, eventually } from "./support.js";

const access = { baseUrl: process.env.QSTASH_URL, token: process.env.QSTASH_TOKEN };
const client = new Client(access);
const options = { qstashClient: new QStash(access) };
const results = {};
const ran = [];
let there, server, base;

const routes = {
  parallel: async (context) => {
    const [one, two, called] = await Promise.all([
      context.run("one", () => { ran.push("one"); return 1; }),
      context.run("two", () => { ran.push("two"); return 2; }),
      context.call("three", { url: `${there.url}/three`, method: "POST", body: JSON.stringify({ n: 3 }) }),
      context.sleep("a little", 1),
    ]);
    results.parallel = { one, two, status: called.status, heard: called.body.heard, payload: context.requestPayload };
    return "all";
  },
  waiting: async (context) => {
    const { eventData, timeout } = await context.waitForEvent("for it", "it-happened", { timeout: "1h" });
    results.waiting = { eventData, timeout, header: context.headers.get("x-own") };
  },
  impatient: async (context) => {
    const { timeout } = await context.waitForEvent("for nothing", "never", { timeout: "1s" });
    results.impatient = timeout;
  },
  early: async (context) => {
    await context.run("slowly", () => eventually(() => results.notified, "the early notification"));
    results.early = (await context.waitForEvent("late", "came-before", { timeout: "1h" })).eventData;
  },
  notifier: async (context) => {
    results.notifier = (await context.notify("tell", "from-a-run", { of: "a run" })).notifyResponse.length;
  },
  listener: async (context) => {
    results.listener = (await context.waitForEvent("hear", "from-a-run", { timeout: "1h" })).eventData;
  },
  hooked: async (context) => {
    const webhook = await context.createWebhook("make");
    results.webhook = webhook.webhookUrl;
    const { request } = await context.waitForWebhook("wait", webhook, "1h");
    results.hooked = { body: await request.text(), header: request.headers.get("x-own") };
  },
  broken: async (context) => {
    await context.run("counted", () => ran.push("counted"));
    await context.run("broken", () => { if (!results.mended) throw new Error("no good"); return "mended"; });
    results.broken = "mended";
  },
  sleepy: async (context) => { await context.sleep("long", "1d"); },
};
const inner = createWorkflow(async (context) => {
  const got = await context.run("add", () => context.requestPayload.n + 1);
  return { got };
});
const outer = createWorkflow(async (context) => {
  const { body, isFailed } = await context.invoke("ask inner", { workflow: inner, body: { n: 41 } });
  results.invoked = { body, isFailed };
});

before(async () => {
  there = await destination();
  const app = new Hono();
  for (const [name, route] of Object.entries(routes)) {
    const failureFunction = async ({ context, failStatus, failResponse }) => {
      results.failure = { payload: context.requestPayload, failStatus, failResponse };
    };
    app.post(`/${name}`, serve(route, { ...options, ...(name === "broken" ? { failureFunction } : {}) }));
  }
  app.post("/many/*", serveMany({ inner, outer }, options));
  await new Promise((resolve) => { server = listen({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, resolve); });
  base = `http://127.0.0.1:${server.address().port}`;
});
after(() => { server.closeAllConnections(); server.close(); there.close(); });

const state = async (workflowRunId) => (await client.logs({ workflowRunId })).runs[0]?.workflowState;
const ends = (id, wanted) => eventually(async () => (await state(id)) === wanted, `${id} is ${wanted}`);

test("parallel steps, a call and a sleep end in one result, and no step runs twice", async () => {
  const { workflowRunId } = await client.trigger({ url: `${base}/parallel`, body: { who: "me" }, label: "side-by-side" });
  await ends(workflowRunId, "RUN_SUCCESS");
  assert.deepEqual(results.parallel, { one: 1, two: 2, status: 200, heard: '{"n":3}', payload: { who: "me" } });
  assert.deepEqual(ran.filter((name) => name === "one" || name === "two").sort(), ["one", "two"]);
  const [run] = (await client.logs({ filter: { label: "side-by-side" } })).runs;
  assert.equal(run.workflowRunResponse, '"all"');
  assert.deepEqual(run.steps.map((group) => group.type), ["sequential", "parallel"]);
  assert.equal(run.steps[1].steps.length, 4);
});

test("a run that waits goes on with the notification, and keeps the headers of its trigger", async () => {
  const { workflowRunId } = await client.trigger({ url: `${base}/waiting`, headers: { "X-Own": "mine" } });
  const [waiter] = await eventually(async () => {
    const found = await client.getWaiters({ eventId: "it-happened" });
    return found.length ? found : undefined;
  }, "a waiter");
  assert.equal(waiter.url, `${base}/waiting`);
  const [told] = await client.notify({ eventId: "it-happened", eventData: { n: 7 } });
  assert.equal(told.workflowRunId, workflowRunId);
  await ends(workflowRunId, "RUN_SUCCESS");
  assert.deepEqual(results.waiting, { eventData: { n: 7 }, timeout: false, header: "mine" });
  assert.deepEqual(await client.getWaiters({ eventId: "it-happened" }), []);
});

test("a wait that nobody ends times out", async () => {
  const { workflowRunId } = await client.trigger({ url: `${base}/impatient` });
  await ends(workflowRunId, "RUN_SUCCESS");
  assert.equal(results.impatient, true);
});

test("a notification that names the run may come before the wait", async () => {
  const { workflowRunId } = await client.trigger({ url: `${base}/early` });
  assert.deepEqual(await client.notify({ eventId: "came-before", eventData: "early bird", workflowRunId }), []);
  results.notified = true;
  await ends(workflowRunId, "RUN_SUCCESS");
  assert.equal(results.early, "early bird");
});

test("one run notifies another", async () => {
  const listener = await client.trigger({ url: `${base}/listener` });
  await eventually(async () => (await client.getWaiters({ eventId: "from-a-run" })).length, "the waiter");
  const notifier = await client.trigger({ url: `${base}/notifier` });
  await ends(notifier.workflowRunId, "RUN_SUCCESS");
  await ends(listener.workflowRunId, "RUN_SUCCESS");
  assert.deepEqual([results.notifier, results.listener], [1, { of: "a run" }]);
});

test("a webhook of a run takes a call of anybody", async () => {
  const { workflowRunId } = await client.trigger({ url: `${base}/hooked` });
  const url = await eventually(() => results.webhook, "the webhook");
  const response = await fetch(url, { method: "POST", body: "knock knock", headers: { "X-Own": "outside" } });
  assert.equal(response.status, 200);
  await ends(workflowRunId, "RUN_SUCCESS");
  assert.deepEqual(results.hooked, { body: "knock knock", header: "outside" });
});

test("a run invokes another and gets its result", async () => {
  const { workflowRunId } = await client.trigger({ url: `${base}/many/outer` });
  await ends(workflowRunId, "RUN_SUCCESS");
  assert.deepEqual(results.invoked.body, { got: 42 });
});

test("a failed run calls its failure function, is a dead letter, and resumes from the step that failed", async () => {
  const { workflowRunId } = await client.trigger({ url: `${base}/broken`, body: { order: 7 }, retries: 0 });
  await ends(workflowRunId, "RUN_FAILED");
  await eventually(() => results.failure, "the failure function");
  assert.deepEqual(results.failure, { payload: { order: 7 }, failStatus: 500, failResponse: "no good" });
  const { messages } = await client.dlq.list({ filter: { workflowRunId } });
  assert.equal(messages.length, 1);
  results.mended = true;
  const { workflowRuns } = await client.dlq.resume(messages[0].dlqId);
  await ends(workflowRuns[0].workflowRunId, "RUN_SUCCESS");
  assert.equal(results.broken, "mended");
  assert.equal(ran.filter((name) => name === "counted").length, 1);
  assert.equal((await client.dlq.list()).messages.length, 0);
});

test("runs are cancelled by id and by a part of their URL", async () => {
  const first = await client.trigger({ url: `${base}/sleepy` });
  const second = await client.trigger({ url: `${base}/sleepy` });
  assert.deepEqual(await client.cancel([first.workflowRunId, "wfr_nobody"]), { cancelled: 1 });
  assert.deepEqual(await client.cancel({ filter: { workflowUrlStartingWith: `${base}/slee` } }), { cancelled: 1 });
  for (const { workflowRunId } of [first, second]) assert.equal(await state(workflowRunId), "RUN_CANCELED");
});

test("the same run id again is no second run", async () => {
  const once = { url: `${base}/sleepy`, workflowRunId: "mine-alone" };
  assert.deepEqual(await client.trigger(once), await client.trigger(once));
  assert.equal((await client.logs({ workflowRunId: "wfr_mine-alone" })).runs.length, 1);
  await client.cancel("wfr_mine-alone");
});
