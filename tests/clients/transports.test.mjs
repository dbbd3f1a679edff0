// The official clients, newest and 4.1, over each transport and during upgrades: nothing is lost,
// duplicated or reordered.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, Server, until, within } from "./harness.mjs";
import { Proxy } from "./proxy.mjs";
import { OFFICIAL, transport } from "./ways.mjs";

/** The most attachments of one packet. */
const ATTACHMENTS = 10;

let server;
let ids;
before(async () => {
  server = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s" });
  ({ ids } = await server.people());
});
after(() => server?.close());

const notify = (userId, title) => server.post("admin", "/notifications", { userId, type: "promotion", title, message: "Tea" });
const titles = (client) => client.all("notification").map(({ title }) => title);

for (const { client: name, library, recovers, way, transports } of OFFICIAL) {
  describe(`${name}, ${way}`, () => {
    const moves = transports.length > 1;

    /** A signed-in socket that ends with the test. */
    async function connect(t, who, options = {}) {
      const client = await server.connect(who, "/", { library, transports, ...options });
      t.after(() => client.close());
      return client;
    }

    test("receives events and acks on two namespaces of one connection", async (t) => {
      const main = await connect(t, "admin");
      const desk = new Client(main.socket.io.socket("/admin", { auth: { token: await server.token("admin") } }));
      t.after(() => desk.close());
      await desk.next("session");
      assert.equal(desk.socket.io.engine, main.socket.io.engine);
      const { id } = await server.order("alice", "5.00");
      assert.equal((await desk.next("new_order")).orderId, id);
      await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
      for (const client of [main, desk]) assert.equal((await client.next("orderUpdate")).orderId, id);
      assert.deepEqual(main.all("new_order"), []);
      assert.deepEqual(await main.ask("message", { content: "here" }), { ok: true });
      assert.equal((await desk.ask("no:such", {})).error.code, "invalid");
      await until(() => transport(main) === transports.at(-1), "its last transport");
    });

    test("gets binary data back unchanged, nested and next to other data", async (t) => {
      const client = await connect(t, "bob");
      const [short, long] = [Buffer.from([0, 1, 2, 0x1e, 255]), Buffer.alloc(100_000, "äöü")];
      const many = Array.from({ length: ATTACHMENTS }, (_, n) => Buffer.alloc(n, n));
      for (const content of [short, long, { short, again: [short, { long }, null], text: "beside" }, many, "text alone"]) {
        assert.deepEqual(await client.ask("message", { content }), { ok: true });
        const back = await client.next("message");
        assert.deepEqual({ ...back, at: "" }, { content, from: ids.bob, at: "" });
      }
    });

    test("is closed when it sends more attachments than a packet may have", async (t) => {
      const client = await connect(t, "bob", { reconnection: false });
      await until(() => transport(client) === transports.at(-1), "its last transport");
      const reason = new Promise((resolve) => client.socket.once("disconnect", resolve));
      client.socket.emit("message", { content: Array.from({ length: ATTACHMENTS + 1 }, () => Buffer.from("x")) });
      // Over polling the POST is refused and the poll is answered with the end; the client reports the one that comes first.
      assert.match(await within(reason, "the end"), transports.at(-1) === "polling" ? /^transport (error|close)$/ : /^transport close$/);
    });

    test(`receives a thousand messages and a thousand echoes, each once and in order${moves ? ", with the upgrade in the middle" : ""}`, async (t) => {
      const proxy = await Proxy.start(server);
      t.after(() => proxy.close());
      const letUpgrade = moves ? proxy.holdUpgrades() : () => {};
      const client = await connect(t, "bob", { via: proxy });
      const alice = await connect(t, "alice", { transports: ["websocket"] });
      const { id: conversationId } = await server.post("alice", "/conversations", { memberIds: [ids.bob] });
      await client.ask("join:conversation", { conversationId });

      const numbers = Array.from({ length: 1_000 }, (_, n) => `${n}`);
      const send = (from, to) => Promise.all(numbers.slice(from, to).flatMap((content) => [
        alice.ask("message:send", { conversationId, message: { content, type: "text" } }), client.ask("message", { content }),
      ]));
      const messages = () => client.all("message:new").map(({ content }) => content);
      let heardBefore = 0;
      client.socket.io.engine.on("upgrade", () => (heardBefore = messages().length));

      await send(0, 300);
      await until(() => messages().length >= 300, "the first 300 messages");
      assert.equal(transport(client), transports[0]);
      letUpgrade();
      await send(300, 700);
      await until(() => transport(client) === transports.at(-1), "the upgrade");
      await send(700, 1_000);
      await until(() => messages().length >= 1_000, "the last message");
      await client.ask("message", { content: "behind all that was on its way" });
      assert.deepEqual(messages(), numbers);
      assert.deepEqual(client.all("message:new").map(({ seq }) => seq), numbers.map((n) => Number(n) + 1));
      assert.deepEqual(client.all("message").map(({ content }) => content), [...numbers, "behind all that was on its way"]);
      if (moves) assert.ok(300 <= heardBefore && heardBefore <= 700, `${heardBefore} were heard before the upgrade`);
      else assert.equal(heardBefore, 0);
    });

    test("passes the offset to its handlers after the data, and with ?recovery=0 only the data", async (t) => {
      const given = [];
      for (const query of [{}, { recovery: "0" }]) {
        const client = await connect(t, "alice", { query });
        given.push(new Promise((resolve) => client.socket.once("notification", (...args) => resolve(args))));
      }
      await notify(ids.alice, "for two");
      const [[notification, offset, ...rest], bare] = await within(Promise.all(given), "both notifications");
      assert.deepEqual([notification.title, typeof offset, rest], ["for two", "string", []]);
      assert.deepEqual(bare, [notification]);
    });

    test(`reconnects after a kill -9 ${recovers ? "as the same session, and has missed nothing" : "as a new session, and receives new events"}`, async (t) => {
      const client = await connect(t, "alice");
      await server.kill();
      await server.start();
      if (recovers) await notify(ids.alice, "maybe while it is away");
      const session = await client.next("session");
      const [first, second] = client.connects;
      assert.deepEqual({ ...session, serverTime: "" }, { session: second.id, userId: ids.alice, recovered: recovers, serverTime: "" });
      assert.deepEqual([second.recovered, first.id === second.id], [recovers, recovers]);
      await notify(ids.alice, "new");
      await until(() => titles(client).at(-1) === "new", "what is new");
      assert.deepEqual(await client.ask("message", { content: "behind all that was on its way" }), { ok: true });
      assert.deepEqual(titles(client), recovers ? ["maybe while it is away", "new"] : ["new"]);
      await until(() => transport(client) === transports.at(-1), "its last transport");
    });
  });
}
