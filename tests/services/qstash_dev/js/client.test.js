// The official client, unchanged. QSTASH_URL and QSTASH_TOKEN name the server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, Receiver } from "@upstash/qstash";
import { destination, eventually } from "./support.js";

const client = new Client({ baseUrl: process.env.QSTASH_URL, token: process.env.QSTASH_TOKEN });
let there;
before(async () => { there = await destination(); });
after(() => there.close());

test("a published message arrives with a signature that the receiver accepts", async () => {
  const { messageId } = await client.publishJSON({ url: `${there.url}/signed`, body: { hello: "world" } });
  const found = await eventually(() => there.seen.find((one) => one.path === "/signed"), "the delivery");
  const receiver = new Receiver({
    currentSigningKey: process.env.QSTASH_CURRENT_SIGNING_KEY,
    nextSigningKey: process.env.QSTASH_NEXT_SIGNING_KEY,
  });
  const told = { signature: found.headers["upstash-signature"], body: found.body, url: `${there.url}/signed` };
  assert.equal(await receiver.verify(told), true);
  await assert.rejects(receiver.verify({ ...told, body: "another" }));
  assert.equal(found.headers["upstash-message-id"], messageId);
});

test("the message can be read, and its log ends as delivered", async () => {
  const { messageId } = await client.publishJSON({ url: `${there.url}/read`, body: { a: 1 }, headers: { "X-Own": "yes" }, label: "blue" });
  const message = await client.messages.get(messageId);
  assert.equal(message.url, `${there.url}/read`);
  assert.deepEqual(message.header["X-Own"], ["yes"]);
  assert.equal(message.label, "blue");
  await eventually(async () => {
    const { logs } = await client.logs({ filter: { messageId } });
    return logs[0]?.state === "DELIVERED";
  }, "DELIVERED");
});

test("a batch has one answer an item", async () => {
  const answers = await client.batchJSON([
    { url: `${there.url}/batch/1`, body: { n: 1 } },
    { url: `${there.url}/batch/2`, body: { n: 2 }, delay: 1000 },
  ]);
  assert.equal(answers.length, 2);
  await eventually(() => there.seen.some((one) => one.path === "/batch/1"), "the first item");
  const { cancelled } = await client.messages.cancel([answers[1].messageId]);
  assert.equal(cancelled, 1);
});

test("a message that fails is a dead letter, and can be tried again", async () => {
  const { messageId } = await client.publishJSON({ url: `${there.url}/status/500`, body: {}, retries: 0 });
  const letter = await eventually(async () => {
    const { messages } = await client.dlq.listMessages({ filter: { messageId } });
    return messages[0];
  }, "the dead letter");
  assert.equal(letter.responseStatus, 500);
  const { responses } = await client.dlq.retry(letter.dlqId);
  assert.match(responses[0].messageId, /^msg_/);
  await eventually(async () => (await client.dlq.listMessages()).messages.length === 1, "the second dead letter");
  const { deleted } = await client.dlq.delete({ all: true });
  assert.equal(deleted, 1);
});

test("a duplicate is told as one", async () => {
  const once = { url: `${there.url}/once`, body: {}, deduplicationId: "only-once" };
  const first = await client.publishJSON(once);
  const second = await client.publishJSON(once);
  assert.equal(second.messageId, first.messageId);
  assert.equal(second.deduplicated, true);
});

test("a queue delivers what is put into it", async () => {
  const queue = client.queue({ queueName: "letters" });
  await queue.upsert({ parallelism: 1 });
  await queue.enqueueJSON({ url: `${there.url}/queue/1`, body: {} });
  await queue.enqueueJSON({ url: `${there.url}/queue/2`, body: {} });
  await eventually(() => there.seen.filter((one) => one.path.startsWith("/queue/")).length === 2, "both");
  const paths = there.seen.map((one) => one.path).filter((path) => path.startsWith("/queue/"));
  assert.deepEqual(paths, ["/queue/1", "/queue/2"]);
  assert.equal((await queue.get()).parallelism, 1);
  await queue.delete();
});

test("a schedule is made, listed, paused and deleted", async () => {
  const { scheduleId } = await client.schedules.create({ destination: `${there.url}/schedule`, cron: "0 4 1 1 *" });
  assert.equal((await client.schedules.get(scheduleId)).cron, "0 4 1 1 *");
  await client.schedules.pause({ schedule: scheduleId });
  assert.equal((await client.schedules.get(scheduleId)).isPaused, true);
  assert.equal((await client.schedules.list()).length, 1);
  await client.schedules.delete(scheduleId);
  assert.equal((await client.schedules.list()).length, 0);
});

test("a URL group gives a message to each of its endpoints", async () => {
  await client.urlGroups.addEndpoints({ name: "everybody", endpoints: [{ url: `${there.url}/g/1` }, { url: `${there.url}/g/2` }] });
  const answers = await client.publishJSON({ urlGroup: "everybody", body: {} });
  assert.equal(answers.length, 2);
  await eventually(() => there.seen.filter((one) => one.path.startsWith("/g/")).length === 2, "both");
  await client.urlGroups.delete("everybody");
});
