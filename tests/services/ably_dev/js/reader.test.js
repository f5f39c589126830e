// The official client, unchanged, with a reader's token: ABLY_PORT names the server, TOKEN and CHANNEL are ingress's answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import Ably from "ably";

const { ABLY_PORT, TOKEN, CHANNEL, LAST } = process.env;
const options = {
  restHost: "127.0.0.1", realtimeHost: "127.0.0.1", port: Number(ABLY_PORT), tls: false, fallbackHosts: [], logLevel: 0,
  authCallback: (_, give) => give(null, TOKEN),
};

test("a reader follows its channel, and may do nothing else", async () => {
  const client = new Ably.Realtime(options);
  try {
    const channel = client.channels.get(CHANNEL, { params: { rewind: "100" } });
    const seen = [];
    const whole = new Promise((done) => channel.subscribe("progress", ({ data }) => {
      seen.push(...data.events.map((event) => event.id));
      if (seen.at(-1) === LAST) done();
    }));
    await whole;
    assert.deepEqual(seen, [...new Set(seen)].sort());
    assert.equal((await channel.history()).items[0].data.events.at(-1).id, LAST);
    await assert.rejects(channel.publish("progress", {}), { code: 40160 });
    for (const name of ["mesh:resume", "mesh:resume:acme", CHANNEL + "0", "execution:*"]) {
      await assert.rejects(client.channels.get(name).attach(), { code: 40160 });
    }
  } finally {
    client.close();
  }
});
