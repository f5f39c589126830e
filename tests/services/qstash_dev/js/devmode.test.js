// Dev mode: QSTASH_DEV and QSTASH_DEV_PORT are all that is set. HOME is empty before and must be empty after: nothing is fetched.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { Client, Receiver } from "@upstash/qstash";
import { destination, eventually } from "./support.js";

let there;
before(async () => { there = await destination(); });
after(() => there.close());

test("dev mode finds this server, and downloads and starts nothing", async () => {
  assert.equal(process.env.QSTASH_TOKEN, undefined);
  const client = new Client();
  const { messageId } = await client.publishJSON({ url: `${there.url}/dev`, body: { dev: true } });
  const found = await eventually(() => there.seen[0], "the delivery");
  assert.equal(found.headers["upstash-message-id"], messageId);
  const told = { signature: found.headers["upstash-signature"], body: found.body };
  assert.equal(await new Receiver().verify(told), true);
  assert.deepEqual(readdirSync(process.env.HOME), []);
});
