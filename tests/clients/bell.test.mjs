// Notifications (seed 002) with the official client: each notification and each count reaches all
// sockets of its user, and nobody else.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, until } from "./harness.mjs";

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.close());

/** A socket that has received the initial count; `seen` returns its later events. */
async function ring(who, namespace = "/", on = server) {
  const client = await on.connect(who, namespace);
  if (namespace === "/") client.greeting = await client.next("notifications:unread");
  client.from = client.frames.length;
  return client;
}

/** The notification events of a socket since it was ready. */
const seen = (client) => client.frames.slice(client.from).filter(({ event }) => event.startsWith("notification"));

/** The same, after this many have arrived. */
async function heard(client, many) {
  await until(() => seen(client).length >= many, `${many} frames of notifications; came so far: ${JSON.stringify(seen(client))}`);
  return seen(client);
}

/** The events of a new notification: itself under both names, then the count. */
const newOne = (data, count) => [
  { event: "notification", data },
  { event: "notification:new", data },
  { event: "notifications:unread", data: { count } },
];

const NOTICE = { type: "promotion", title: "Tea", message: "Half the price" };

async function send(to, more = {}, on = server) {
  const { status, body } = await on.call("admin", "POST", "/notifications", { ...NOTICE, ...more, ...to });
  assert.equal(status, 201, JSON.stringify(body));
  return body.count;
}

const toUser = async (name) => ({ userId: await server.id(name) });
const newest = async (who) => (await server.call(who, "GET", "/notifications?limit=1")).body[0];
const unread = async (who, on = server) => (await on.call(who, "GET", "/notifications/unread-count")).body.count;

/** Asserts that nobody but `who` receives an event of a notification for `who`. A later event for all of them ends the check. */
async function assertSilent(...clients) {
  const order = await server.order("alice", "1.00");
  for (const client of clients) {
    if (client.socket.nsp === "/admin") await until(() => client.all("new_order").some(({ orderId }) => orderId === order.id), "the desk's own frame");
    else await client.ask("no:such:event");
    assert.deepEqual(seen(client), []);
  }
}

describe("a notification", () => {
  test("of an order's new status reaches all sockets of its customer, under both names and with the count, and nobody else", async () => {
    const alices = [await ring("alice"), await ring("alice")];
    const others = [await ring("bob"), await ring("admin"), await ring("admin", "/admin")];
    const count = await unread("alice");
    const order = await server.order("alice", "30.00");
    await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
    await server.call("admin", "PATCH", `/orders/${order.id}/ship`);

    const aliceId = await server.id("alice");
    const expected = (stored, from, to) => ({
      id: stored.id,
      userId: aliceId,
      type: "order_status",
      title: `Order ${order.id} is ${to}`,
      message: `Your order ${order.id} went from ${from} to ${to}.`,
      data: { orderId: order.id, status: to, previousStatus: from },
      isRead: false,
      createdAt: stored.createdAt,
    });
    const [shipped, paid] = (await server.call("alice", "GET", "/notifications?limit=2")).body;
    assert.match(paid.createdAt, TIME);
    assert.deepEqual(paid, expected(paid, "pending", "paid"));
    assert.deepEqual(shipped, expected(shipped, "paid", "shipped"));
    for (const client of alices) {
      assert.deepEqual(await heard(client, 6), [...newOne(paid, count + 1), ...newOne(shipped, count + 2)]);
      assert.ok(client.frames.findIndex(({ event }) => event === "orderUpdate") < client.frames.findIndex(({ event }) => event === "notification"));
    }
    await assertSilent(...others);
  });

  test("of an admin reaches the named users, a role or all, and nobody else", async () => {
    const names = ["admin", "alice", "bob"];
    const clients = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await ring(name)])));
    const desk = await ring("admin", "/admin");
    const [adminId, bobId] = [await server.id("admin"), await server.id("bob")];
    for (const [to, receivers] of [
      [{ userId: bobId }, ["bob"]],
      [{ userIds: [adminId, bobId] }, ["admin", "bob"]],
      [{ role: "customer" }, ["alice", "bob"]],
      [{ all: true }, names],
    ]) {
      const counts = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await unread(name)])));
      for (const client of Object.values(clients)) client.from = client.frames.length;
      const data = { link: "/tea", rows: [1, 2.5, null] };
      assert.equal(await send(to, { data }), receivers.length);
      for (const name of names) {
        if (!receivers.includes(name)) continue;
        const stored = await newest(name);
        assert.deepEqual(stored, { ...NOTICE, id: stored.id, userId: await server.id(name), data, isRead: false, createdAt: stored.createdAt });
        assert.deepEqual(await heard(clients[name], 3), newOne(stored, counts[name] + 1));
      }
      await assertSilent(desk, ...names.filter((name) => !receivers.includes(name)).map((name) => clients[name]));
    }
  });

  test("carries its data unchanged to REST, sockets and acks", async () => {
    const bob = await ring("bob");
    const { userId } = await toUser("bob");
    // A number that no float can represent, which every reader has to keep.
    const body = JSON.stringify({ ...NOTICE, userId, data: "DATA" }).replace('"DATA"', '{"z":1e400,"a":{"deep":[]},"text":"ä\\u2028"}');
    assert.equal((await server.call("admin", "POST", "/notifications", body)).status, 201);
    const data = { z: Infinity, a: { deep: [] }, text: "ä\u2028" };
    const stored = await newest("bob");
    assert.deepEqual(stored.data, data);
    assert.deepEqual((await heard(bob, 3))[0].data.data, data);
    assert.deepEqual((await bob.ask("notification:read", { id: stored.id })).notification.data, data);
  });

  test("may be sent only by admins", async () => {
    const { status, body } = await server.call("alice", "POST", "/notifications", { ...NOTICE, all: true });
    assert.equal(status, 403);
    assert.deepEqual(body, { statusCode: 403, message: "Forbidden resource", error: "Forbidden" });
    assert.equal((await server.call(null, "POST", "/notifications", { ...NOTICE, all: true })).status, 401);
  });

  test("with an Idempotency-Key arrives once, however often it is sent", async () => {
    const bob = await ring("bob");
    const to = await toUser("bob");
    const post = (more) => server.call("admin", "POST", "/notifications", { ...NOTICE, ...to, ...more }, { "Idempotency-Key": "tea-for-bob" });
    for (const { status, body } of await Promise.all(Array.from({ length: 8 }, () => post()))) assert.deepEqual({ status, body }, { status: 201, body: { count: 1 } });
    assert.equal((await post({ title: "Coffee" })).status, 422);
    await server.call("bob", "PATCH", "/notifications/mark-all-read");
    assert.deepEqual((await heard(bob, 5)).map(({ event }) => event), ["notification", "notification:new", "notifications:unread", "notification:read", "notifications:unread"]);
  });
});

describe("the count", () => {
  test("is sent to each socket on / right after its session event, and to no socket on /admin", async () => {
    const alice = await ring("alice");
    assert.deepEqual(alice.frames.slice(0, 2).map(({ event }) => event), ["session", "notifications:unread"]);
    assert.deepEqual(alice.greeting, { count: await unread("alice") });
    await assertSilent(await ring("admin", "/admin"));
  });

  test("is exact in every event under concurrent writes and reads, also for sockets that connect meanwhile", async () => {
    const to = await toUser("bob");
    const first = await ring("bob");
    const late = [];
    let isBusy = true;
    const writers = Array.from({ length: 4 }, async () => {
      for (let i = 0; i < 25; i += 1) await send(to);
    });
    const readers = Array.from({ length: 2 }, async () => {
      while (isBusy) {
        const { body } = await server.call("bob", "GET", "/notifications?unreadOnly=true&limit=20");
        if (body.length) assert.equal((await server.call("bob", "PATCH", `/notifications/${body.at(-1).id}/read`)).status, 200);
      }
    });
    const visitors = (async () => {
      for (let i = 0; i < 10; i += 1) late.push(await ring("bob"));
    })();
    await Promise.all([...writers, visitors]);
    isBusy = false;
    await Promise.all(readers);
    const count = await unread("bob");
    for (const client of [first, ...late]) {
      await client.ask("no:such:event");
      let { count: now } = client.greeting;
      let expected = now;
      // From the initial count on, each change is followed by its count.
      const greeted = client.frames.findIndex(({ event }) => event === "notifications:unread");
      for (const { event, data } of client.frames.slice(greeted + 1)) {
        if (event === "notification") expected += 1;
        if (event === "notification:read") expected -= data.ids.length;
        if (event === "notifications:unread") assert.equal((now = data.count), expected);
      }
      assert.equal(now, count);
    }
  });

  test("is exact after a kill -9 during writes, by REST and by socket", async () => {
    const own = await Server.start();
    try {
      const bob = await ring("bob", "/", own);
      const to = { userId: await own.id("bob") };
      let answered = 0;
      let isUp = true;
      const writers = Array.from({ length: 6 }, async () => {
        while (isUp) await send(to, {}, own).then(() => (answered += 1), () => (isUp = false));
      });
      await until(() => answered >= 30, "30 answered notifications");
      await own.kill();
      isUp = false;
      await Promise.all(writers);
      await own.start();
      const stored = [];
      let path = "/notifications?unreadOnly=true&limit=50";
      while (path) {
        const { body, headers } = await own.call("bob", "GET", path);
        stored.push(...body);
        path = /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
      }
      assert.ok(stored.length >= answered, `${answered} were answered, ${stored.length} are there`);
      assert.equal(await unread("bob", own), stored.length);
      assert.deepEqual((await ring("bob", "/", own)).greeting, { count: stored.length });
      // The earlier socket has reconnected by itself.
      await bob.next("session");
      const { from } = Object.assign(bob, { from: bob.frames.length });
      await send(to, { title: "after" }, own);
      await until(() => bob.frames.slice(from).some(({ event, data }) => event === "notifications:unread" && data.count === stored.length + 1), "the count after it");
    } finally {
      await own.close();
    }
  });
});

describe("reading", () => {
  /** Two sockets of bob, the sockets that must receive nothing, and three new notifications, newest first. */
  async function three() {
    await server.call("bob", "PATCH", "/notifications/mark-all-read");
    const to = await toUser("bob");
    for (const title of ["1", "2", "3"]) await send(to, { title });
    const { body } = await server.call("bob", "GET", "/notifications?limit=3");
    const bobs = [await ring("bob"), await ring("bob")];
    const others = [await ring("alice"), await ring("admin"), await ring("admin", "/admin")];
    return { bobs, others, three: body };
  }
  const ways = {
    "by REST": {
      read: async (_, id) => {
        const { status, body } = await server.call("bob", "PATCH", `/notifications/${id}/read`);
        assert.equal(status, 200);
        return body;
      },
      readAll: async () => {
        const { status, body } = await server.call("bob", "PATCH", "/notifications/mark-all-read");
        assert.equal(status, 200);
        return body;
      },
    },
    "by a socket": {
      read: async (client, id) => {
        const { ok, notification, ...rest } = await client.ask("notification:read", { id });
        assert.deepEqual({ ok, rest }, { ok: true, rest: {} });
        return notification;
      },
      readAll: async (client) => {
        const { ok, ...rest } = await client.ask("notification:read-all");
        assert.equal(ok, true);
        return rest;
      },
    },
  };
  for (const [way, { read, readAll }] of Object.entries(ways)) {
    test(`one notification ${way} reaches all sockets of the user, once`, async () => {
      const { bobs, others, three: [, second] } = await three();
      for (const id of [second.id, second.id]) assert.deepEqual(await read(bobs[0], id), { ...second, isRead: true });
      await readAll(bobs[0]);
      const frames = [
        { event: "notification:read", data: { ids: [second.id] } },
        { event: "notifications:unread", data: { count: 2 } },
        { event: "notification:read", data: { all: true } },
        { event: "notifications:unread", data: { count: 0 } },
      ];
      for (const client of bobs) assert.deepEqual(await heard(client, 4), frames);
      await assertSilent(...others);
    });

    test(`all notifications ${way} reach all sockets of the user, once`, async () => {
      const { bobs, others } = await three();
      assert.deepEqual(await readAll(bobs[0]), { updated: 3 });
      assert.deepEqual(await readAll(bobs[0]), { updated: 0 });
      for (const client of bobs) {
        await client.ask("no:such:event");
        assert.deepEqual(seen(client), [
          { event: "notification:read", data: { all: true } },
          { event: "notifications:unread", data: { count: 0 } },
        ]);
      }
      await assertSilent(...others);
      assert.deepEqual((await server.call("bob", "GET", "/notifications?unreadOnly=true")).body, []);
    });
  }

  test("by a socket also accepts an id as a string, and refuses what REST refuses", async () => {
    const { bobs: [bob], three: [newestOne] } = await three();
    assert.equal((await bob.ask("notification:read", { id: String(newestOne.id) })).ok, true);
    const alice = await ring("alice");
    const message = `Notification with ID ${newestOne.id} not found`;
    assert.deepEqual(await alice.ask("notification:read", { id: newestOne.id }), { ok: false, error: { code: "not_found", message } });
    for (const payload of [{}, { id: "x" }, { id: 1, foo: 2 }, 5]) {
      const { ok, error } = await bob.ask("notification:read", payload);
      assert.deepEqual({ ok, code: error.code }, { ok: false, code: "invalid" }, JSON.stringify(payload));
    }
  });
});

describe("deleting", () => {
  test("sends the count to all sockets of the user, and to nobody else", async () => {
    await send(await toUser("bob"));
    const bobs = [await ring("bob"), await ring("bob")];
    const others = [await ring("alice"), await ring("admin"), await ring("admin", "/admin")];
    const [count, one] = [await unread("bob"), await newest("bob")];
    const remove = (who) => server.call(who, "DELETE", `/notifications/${one.id}`);
    const missing = { statusCode: 404, message: `Notification with ID ${one.id} not found`, error: "Not Found" };
    assert.deepEqual((await remove("alice")).body, missing);
    const { status, body } = await remove("bob");
    assert.deepEqual({ status, body }, { status: 204, body: "" });
    assert.deepEqual((await remove("bob")).body, missing);
    for (const client of bobs) {
      await client.ask("no:such:event");
      assert.deepEqual(seen(client), [{ event: "notifications:unread", data: { count: count - 1 } }]);
    }
    await assertSilent(...others);
  });
});

describe("GET /notifications", () => {
  test("pages through 500 without a gap or a repetition, while others are added and read", async () => {
    await server.call("bob", "PATCH", "/notifications/mark-all-read");
    const to = await toUser("bob");
    for (let lane = 0; lane < 500; lane += 25) await Promise.all(Array.from({ length: 25 }, (_, n) => send(to, { title: `${lane + n}` })));
    const there = (await server.list("bob", "/notifications")).slice(0, 500).map(({ id }) => id);
    assert.equal(new Set(there).size, 500);
    for (const [limit, filter] of [[7, ""], [50, ""], [200, ""], [50, "&unreadOnly=true"]]) {
      const seen = [];
      let pages = 0;
      let path = `/notifications?limit=${limit}${filter}`;
      while (path) {
        const { status, body, headers } = await server.call("bob", "GET", path);
        assert.equal(status, 200);
        seen.push(...body.map(({ id }) => id));
        // Entries that are added before the reader, or change after it, do not matter.
        const [first] = body;
        await Promise.all([send(to, { title: "new" }), (pages += 1) % 5 || (filter && server.call("bob", "PATCH", `/notifications/${first.id}/read`))]);
        path = /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
      }
      assert.deepEqual(seen, seen.toSorted((a, b) => b - a));
      assert.equal(new Set(seen).size, seen.length);
      assert.deepEqual(seen.filter((id) => there.includes(id)), there);
    }
  });

  test("pages newest first, and keeps the unread filter over its pages", async () => {
    await server.call("bob", "PATCH", "/notifications/mark-all-read");
    const to = await toUser("bob");
    for (let i = 0; i < 5; i += 1) await send(to, { title: String(i) });
    const second = (await server.call("bob", "GET", "/notifications?limit=2")).body[1];
    await server.call("bob", "PATCH", `/notifications/${second.id}/read`);
    const titles = [];
    let path = "/notifications?unreadOnly=true&limit=2";
    while (path) {
      const { body, headers } = await server.call("bob", "GET", path);
      assert.ok(body.length <= 2 && body.every(({ isRead }) => !isRead));
      titles.push(...body.map(({ title }) => title));
      path = /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
    }
    assert.deepEqual(titles, ["4", "2", "1", "0"]);
    assert.equal(await unread("bob"), 4);
  });
});
