// The official client over each transport, and moving from one to the other: nothing is lost, doubled or out of order.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, Server, until } from "./harness.mjs";

const WAYS = { "websocket only": ["websocket"], "polling only": ["polling"], "polling, then upgrade": ["polling", "websocket"] };

let server;
let ids;
before(async () => {
  server = await Server.start({ RATE_EVENTS: "100000/s" });
  ({ ids } = await server.people());
});
after(() => server?.close());

const transport = (client) => client.socket.io.engine.transport.name;
const numbers = (client) => client.all("notification").map(({ title }) => Number(title));

/** Notifications to that user, so many, numbered from `first`. */
async function notify(userId, first, many) {
  for (let n = first; n < first + many; n += 1) {
    await server.post("admin", "/notifications", { userId, type: "promotion", title: `${n}`, message: "Tea" });
  }
}

for (const [name, transports] of Object.entries(WAYS)) {
  describe(name, () => {
    test("connects, hears, asks and is answered, on several namespaces of one connection", async (t) => {
      const client = await server.connect("admin", "/", { transports });
      const admin = new Client(client.socket.io.socket("/admin", { auth: { token: await server.token("admin") } }));
      t.after(() => [client, admin].forEach(({ socket }) => socket.disconnect()));
      await admin.next("session");
      const { id } = await server.order("alice", "5.00");
      await until(() => admin.all("new_order").some((order) => order.orderId === id), "the order");
      assert.equal((await client.socket.timeout(5_000).emitWithAck("notification:read-all")).ok, true);
    });

    test("gets binary data back as it was sent", async (t) => {
      const client = await server.connect("bob", "/", { transports });
      t.after(() => client.socket.disconnect());
      const [short, long] = [Buffer.from([0, 1, 2, 0x1e, 255]), Buffer.alloc(100_000, "äöü")];
      for (const content of [short, { short, again: [short, { long }], text: "beside" }, "text alone"]) {
        client.socket.emit("message", { content });
        const back = await client.next("message");
        assert.deepEqual([back.content, back.from], [content, ids.bob]);
      }
    });

    test("hears a thousand events once and in order, whatever the line does meanwhile", async (t) => {
      const writing = notify(ids.bob, 0, 1_000);
      const client = server.open("/", { transports, auth: { token: await server.token("bob") } });
      t.after(() => client.socket.disconnect());
      await client.next("session");
      await writing;
      await notify(ids.bob, 1_000, 1);
      await until(() => numbers(client).at(-1) === 1_000, "the last one");
      const heard = numbers(client);
      assert.deepEqual(heard, Array.from({ length: heard.length }, (_, n) => 1_001 - heard.length + n));
      assert.equal(transport(client), transports.at(-1));
    });

    test("comes back after a restart, and resumes", async (t) => {
      const client = await server.connect("alice", "/", { transports });
      t.after(() => client.socket.disconnect());
      await server.kill();
      await server.start();
      assert.equal((await client.next("session")).recovered, true);
      await notify(ids.alice, 5_000, 1);
      await until(() => numbers(client).at(-1) === 5_000, "what is new");
    });
  });
}
