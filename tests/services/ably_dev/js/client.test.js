// The official client, unchanged. ABLY_PORT and ABLY_KEY name the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import Ably from "ably";

const { ABLY_PORT, ABLY_KEY } = process.env;
const base = {
  restHost: "127.0.0.1", realtimeHost: "127.0.0.1", port: Number(ABLY_PORT), tls: false,
  useTokenAuth: true, key: ABLY_KEY, logLevel: 0, fallbackHosts: [], disconnectedRetryTimeout: 200,
  realtimeRequestTimeout: 4000, // its timer of a ping that was answered keeps node alive for so long
};
const api = `http://127.0.0.1:${ABLY_PORT}`;
const basic = { authorization: "Basic " + Buffer.from(ABLY_KEY).toString("base64"), "content-type": "application/json" };

const now = async (deed) => {
  const response = await fetch(`${api}/dev/faults/now`, { method: "POST", headers: basic, body: JSON.stringify(deed) });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()).struck;
};

async function eventually(check, what, within = 8000) {
  const deadline = Date.now() + within;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`never came about within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function connected(run, options = {}) {
  const client = new Ably.Realtime({ ...base, ...options });
  try {
    await run(client);
  } finally {
    client.close();
    await eventually(() => ["closed", "failed"].includes(client.connection.state), "closed");
  }
}

for (const useBinaryProtocol of [true, false]) {
  const form = useBinaryProtocol ? "msgpack" : "json";

  test(`${form}: REST publishes, answers serials, reads pages and the time`, async () => {
    const rest = new Ably.Rest({ ...base, useBinaryProtocol });
    const channel = rest.channels.get(`rest:${form}/ü`);
    await channel.publish("made", { n: 1 });
    await channel.publish([{ id: "ce-1", data: Buffer.from([0, 255]) }]);
    await channel.publish([{ id: "ce-1", data: "again" }]);
    await channel.publish("made", "text", { quickAck: true });
    let page = await channel.history({ direction: "forwards", limit: 2 });
    assert.deepEqual(page.items[0].data, { n: 1 });
    assert.deepEqual([...page.items[1].data], [0, 255]);
    page = await page.next();
    assert.deepEqual(page.items.map((one) => one.data), ["text"]);
    assert.equal(page.hasNext(), false);
    assert.ok(await rest.time() > 1.7e12);
  });

  test(`${form}: a subscriber gets what is published, in order, and publishes itself`, () => connected(async (client) => {
    const channel = client.channels.get(`live:${form}`);
    const seen = [];
    await channel.subscribe((message) => seen.push(message));
    await channel.publish("a", { n: 1 });
    await channel.publish("b", Buffer.from([1, 2]));
    await new Ably.Rest({ ...base }).channels.get(`live:${form}`).publish("c", "by rest");
    await eventually(() => seen.length === 3, "three messages");
    assert.deepEqual(seen.map((one) => one.name), ["a", "b", "c"]);
    assert.deepEqual([...new Uint8Array(seen[1].data)], [1, 2]);
    assert.equal(seen[0].connectionId, client.connection.id);
    assert.ok(await client.connection.ping() >= 0);
    const history = await channel.history({ untilAttach: true });
    assert.equal(history.items.length, 0);
  }, { useBinaryProtocol }));

  test(`${form}: rewind, and the parameter is said back`, () => connected(async (client) => {
    const rest = new Ably.Rest({ ...base });
    for (const data of ["a", "b", "c"]) await rest.channels.get(`rewind:${form}`).publish("x", data);
    const channel = client.channels.get(`rewind:${form}`, { params: { rewind: "2" } });
    const seen = [];
    await channel.subscribe((message) => seen.push(message.data));
    await eventually(() => seen.length === 2, "two messages");
    assert.deepEqual(seen, ["b", "c"]);
    assert.equal(channel.params.rewind, "2");
    const history = await channel.history({ untilAttach: true });
    assert.deepEqual(history.items.map((one) => one.data), ["a"]);
  }, { useBinaryProtocol }));

  test(`${form}: a dropped connection is resumed under its id, and nothing is lost`, () => connected(async (client) => {
    const channel = client.channels.get(`resume:${form}`);
    const seen = [];
    await channel.subscribe((message) => seen.push(message.data));
    const id = client.connection.id;
    for (const deed of [{ do: "drop" }, { do: "disconnect" }]) {
      const again = client.connection.once("connected");
      await now(deed);
      await channel.publish("x", deed.do);
      await again;
    }
    await eventually(() => seen.length === 2, "both messages");
    assert.deepEqual(seen, ["drop", "disconnect"]);
    assert.equal(client.connection.id, id);
  }, { useBinaryProtocol }));
}

test("another client takes a connection up by its recovery key", async () => {
  let key;
  const first = new Ably.Realtime({ ...base });
  const channel = first.channels.get("recovered");
  await channel.subscribe(() => {});
  await channel.publish("x", "before");
  await eventually(() => channel.properties.channelSerial !== channel.properties.attachSerial, "the first message");
  key = first.connection.createRecoveryKey();
  const id = first.connection.id;
  first.connection.off();
  await connected(async (client) => {
    const seen = [];
    await client.channels.get("recovered").subscribe((message) => seen.push(message.data));
    await new Ably.Rest({ ...base }).channels.get("recovered").publish("x", "after");
    await eventually(() => seen.length === 1, "the message after it");
    assert.deepEqual(seen, ["after"]);
    assert.equal(client.connection.id, id);
  }, { recover: key });
  first.close();
});

test("a token that ends is renewed in band; one that has ended, at once", () => connected(async (client) => {
  const channel = client.channels.get("renewed");
  const seen = [];
  await channel.subscribe((message) => seen.push(message.data));
  const token = () => client.auth.tokenDetails?.token; // none while it is being renewed
  const first = token();
  await eventually(() => token() && token() !== first, "a renewal", 10000);
  assert.equal(client.connection.state, "connected");
  await now({ do: "expire_tokens" });
  await new Promise((resolve) => client.connection.once("connected", resolve));
  await channel.publish("x", "still here");
  await eventually(() => seen.length === 1, "the message");
}, { defaultTokenParams: { ttl: 3000 } }));

test("a capability refuses, with Ably's code", () => connected(async (client) => {
  await assert.rejects(client.channels.get("elsewhere").attach(), { code: 40160 });
  await assert.rejects(client.channels.get("mesh:resume").publish("x", "y"), { code: 40160 });
  await client.channels.get("mesh:resume").attach();
}, { defaultTokenParams: { capability: { "mesh:*": ["subscribe"] } } }));

test("members enter, are seen and leave", () => connected(async (ann) => {
  const told = [];
  await ann.channels.get("room").presence.subscribe((member) => told.push(`${member.clientId} ${member.action} ${member.data}`));
  await ann.channels.get("room").presence.enter("hello");
  await connected(async (bob) => {
    const room = bob.channels.get("room");
    const members = await room.presence.get();
    assert.deepEqual(members.map((member) => member.clientId), ["ann"]);
    await room.presence.enter("hi");
    await eventually(() => told.includes("bob enter hi"), "bob");
  }, { clientId: "bob" });
  await eventually(() => told.includes("bob leave hi"), "bob is gone");
}, { clientId: "ann" }));

test("lost continuity is said by an update that is not resumed", () => connected(async (client) => {
  const channel = client.channels.get("torn");
  await channel.subscribe(() => {});
  const update = new Promise((resolve) => channel.once("update", resolve));
  await now({ do: "lose_continuity", channel: "torn" });
  const change = await update;
  assert.equal(change.resumed, false);
  assert.equal(change.reason.code, 90003);
}));
