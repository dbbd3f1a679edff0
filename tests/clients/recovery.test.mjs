// Connection state recovery with the official client through a proxy: a client that reconnects in
// time misses nothing and receives nothing twice.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, until } from "./harness.mjs";
import { behind } from "./lines.mjs";

let server;
let ids;
before(async () => {
  server = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s" });
  ({ ids } = await server.people());
});
after(() => server?.close());

/** A conversation of alice and bob. */
const newTalk = async (on = server) => (await on.post("alice", "/conversations", { memberIds: [await on.id("bob")] })).id;

/** Alice sends messages one after another. Returns them. */
async function say(talk, many, on = server) {
  const said = [];
  for (let n = 0; n < many; n += 1) said.push(await on.post("alice", `/conversations/${talk}/messages`, { content: `number ${n}` }));
  return said;
}

/** Bob in this conversation, behind a proxy. */
async function bobIn(t, talk, on = server) {
  const { client, proxy } = await behind(t, on, "bob");
  assert.equal((await client.ask("join:conversation", { conversationId: talk })).ok, true);
  return { client, proxy };
}

/** Asserts that these are all events of this name, after all events in flight have arrived, which an answer shows. */
async function assertHeard(client, event, expected) {
  await until(() => client.all(event).length >= expected.length, `${expected.length} of ${event}; came so far: ${JSON.stringify(client.frames)}`);
  await client.ask("message", { content: "is that all?" });
  assert.deepEqual(client.all(event), expected);
}

/** Waits for the next session, which has to be the same socket, recovered. */
async function assertRecovered(client, user) {
  const session = await client.next("session");
  assert.deepEqual(session, { session: client.connects[0].id, userId: user, recovered: true, serverTime: session.serverTime });
  assert.deepEqual(client.connects.at(-1), { id: client.connects[0].id, recovered: true });
}

/** Sends a notification to bob, and returns it as stored. */
async function notifyBob(title) {
  await server.post("admin", "/notifications", { userId: ids.bob, type: "promotion", title, message: "Half the price" });
  return (await server.call("bob", "GET", "/notifications?limit=1")).body[0];
}

describe("a lost connection", () => {
  test("missed events reach the same socket once and in order, and then new ones", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    const said = await say(talk, 3);
    await proxy.outage(async () => said.push(...(await say(talk, 20))));
    await assertRecovered(client, ids.bob);
    said.push(...(await say(talk, 3)));
    await assertHeard(client, "message:new", said);
    assert.deepEqual(client.all("messageReceived"), []);
  });

  test("a client that had received only its session event misses nothing", async (t) => {
    const { client: desk, proxy } = await behind(t, server, "admin", "/admin");
    assert.deepEqual(desk.frames.map(({ event }) => event), ["session"]);
    const orders = [];
    await proxy.outage(async () => {
      for (const total of ["1.00", "2.00"]) orders.push(await server.order("alice", total));
    });
    await assertRecovered(desk, ids.admin);
    await until(() => desk.all("new_order").length >= 2, "the missed events");
    orders.push(await server.order("alice", "3.00"));
    await until(() => desk.all("new_order").some(({ total }) => total === "3.00"), "the new event");
    assert.deepEqual(desk.all("new_order").map(({ orderId }) => orderId), orders.map(({ id }) => id));
  });

  test("a proxy that ends it by a close frame without a mask: missed events arrive once and in order", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    const said = await say(talk, 2);
    proxy.refuse();
    proxy.reload();
    await until(() => !client.socket.connected, "the end of the connection");
    said.push(...(await say(talk, 5)));
    proxy.accept();
    await assertRecovered(client, ids.bob);
    said.push(...(await say(talk, 2)));
    await assertHeard(client, "message:new", said);
  });

  test("three times in a row, with missed events and without", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    const said = [];
    for (const missed of [2, 0, 0, 3, 1]) {
      await proxy.outage(async () => said.push(...(await say(talk, missed))));
      await assertRecovered(client, ids.bob);
    }
    await assertHeard(client, "message:new", said);
    assert.equal(client.connects.length, 6);
  });

  test("an idle client gets only its own events, not those of others", async (t) => {
    const { client, proxy } = await behind(t, server, "bob");
    const lanes = (many) => Promise.all(Array.from({ length: 8 }, async () => {
      for (let n = 0; n < many; n += 1) await server.order("alice", "1.00");
    }));
    await lanes(40);
    let own;
    await proxy.outage(async () => {
      await lanes(20);
      own = await notifyBob("Yours");
      await lanes(20);
    });
    await assertRecovered(client, ids.bob);
    await assertHeard(client, "notification", [own]);
    const others = client.frames.filter(({ event }) => !["session", "notifications:unread", "notification", "notification:new", "message"].includes(event));
    assert.deepEqual(others, []);
  });

  test("its rooms are restored: their missed events, their presence, and new events", async (t) => {
    const { id: project } = await server.post("alice", "/projects", { name: "Garden" });
    await server.post("alice", `/projects/${project}/members`, { userId: ids.bob });
    const talk = await newTalk();
    const alice = await server.connect("alice");
    t.after(() => alice.close());
    const { client, proxy } = await bobIn(t, talk);
    for (const one of [alice, client]) {
      await one.ask("join:project", { projectId: project });
      await one.ask("join:conversation", { conversationId: talk });
    }
    const from = client.frames.length;
    let stage;
    let message;
    await proxy.outage(async () => {
      stage = await server.post("alice", `/projects/${project}/stages`, { name: "Dig" });
      [message] = await say(talk, 1);
    });
    await assertRecovered(client, ids.bob);
    await until(() => client.all("presence:state").length === 2, "the presence list");
    const members = [ids.alice, ids.bob].toSorted((a, b) => a - b);
    const states = client.all("presence:state").map(({ room, members }) => ({ room, members: members.toSorted((a, b) => a - b) }));
    assert.deepEqual(states.toSorted((a, b) => (a.room < b.room ? -1 : 1)), [{ room: `conversation:${talk}`, members }, { room: `project:${project}`, members }]);
    const told = client.frames.slice(from).filter(({ event }) => !["presence:join", "notifications:unread"].includes(event));
    assert.deepEqual(told.map(({ event }) => event), ["session", "project:update", "message:new", "presence:state", "presence:state"]);
    assert.deepEqual(told[1].data.data, { stage });
    assert.deepEqual(told[2].data, message);

    const done = await server.post("alice", `/projects/${project}/stages/${stage.id}/complete`);
    const [next] = await say(talk, 1);
    await assertHeard(client, "stage:completed", [{ projectId: project, stage: done }]);
    await assertHeard(client, "message:new", [message, next]);
    await alice.ask("message", { content: "is that all?" });
    assert.deepEqual(alice.all("presence:leave"), [], "nobody was gone for long enough to be missed");
  });

  test("a room that it left before is not restored", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    await client.ask("leave:conversation", { conversationId: talk });
    let said;
    await proxy.outage(async () => (said = await say(talk, 1)));
    await assertRecovered(client, ids.bob);
    await assertHeard(client, "messageReceived", said);
    assert.deepEqual([client.all("message:new"), client.all("presence:state")], [[], []]);
  });

  test("an event received in a room is not sent again under the other name after leaving the room", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    const heard = await say(talk, 2);
    await assertHeard(client, "message:new", heard);
    await client.ask("leave:conversation", { conversationId: talk });
    const missed = [];
    await proxy.outage(async () => missed.push(...(await say(talk, 2))));
    await assertRecovered(client, ids.bob);
    await assertHeard(client, "messageReceived", missed);
    assert.deepEqual(client.all("message:new"), heard);
  });

  test("a count that changed meanwhile is sent", async (t) => {
    const { client, proxy } = await behind(t, server, "bob");
    await notifyBob("Read elsewhere");
    await client.next("notification");
    await until(() => client.all("notifications:unread").at(-1)?.count > 0, "the count");
    await proxy.outage(() => server.call("bob", "PATCH", "/notifications/mark-all-read"));
    await assertRecovered(client, ids.bob);
    await client.next("notification:read");
    await until(() => client.all("notifications:unread").at(-1).count === 0, "the count of none");
  });

  test("strings in echoes and acks that are no offsets do no harm", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    const said = await say(talk, 1);
    await assertHeard(client, "message:new", said);
    assert.equal((await client.ask("message", { content: "not an offset" })).ok, true);
    await until(() => client.all("message").some(({ content }) => content === "not an offset"), "the echo");
    assert.equal((await client.ask("message", "not an offset")).error.code, "invalid");
    client.socket.emit("no:such:event", "not an offset", "nor this");
    await client.next("error");
    await proxy.outage(async () => said.push(...(await say(talk, 2))));
    await assertRecovered(client, ids.bob);
    await assertHeard(client, "message:new", said);
  });

  test("again within the replay: before, in and after one of its frames", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    const said = [];
    await proxy.outage(async () => said.push(...(await say(talk, 12))));
    for (const [at, where] of [[2, "after"], [5, "within"], [5, "before"], [6, "after"], [11, "within"]]) {
      await proxy.cutAt((text) => text.includes(`"number ${at}"`), where);
    }
    await assertHeard(client, "message:new", said);
    assert.deepEqual(client.connects.filter(({ recovered }) => !recovered).length, 1, "only the first was no resume");
  });

  test("again and again, after any number of bytes", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    const said = [];
    // The answer to the upgrade and the handshake take some hundred bytes; each round goes a little
    // further.
    let bytes = 150;
    let spent;
    await proxy.outage(async () => {
      said.push(...(await say(talk, 10)));
      spent = proxy.allow(bytes);
    });
    const isThrough = () => client.all("message:new").length >= said.length;
    while (!isThrough()) {
      await Promise.race([spent, until(isThrough, "the replay", 60_000)]);
      bytes += 40;
      spent = proxy.allow(bytes);
    }
    said.push(...(await say(talk, 1)));
    await assertHeard(client, "message:new", said);
    assert.deepEqual(client.connects.filter(({ recovered }) => !recovered).length, 1, "only the first was no resume");
  });

  for (const missed of [false, true]) {
    test(`between the two names of one event, ${missed ? "when it is replayed" : "when it is new"}: each name arrives once`, async (t) => {
      const { client, proxy } = await behind(t, server, "bob");
      const isFirstName = (text) => text.includes('"notification",');
      let cut;
      let told;
      if (missed) {
        await proxy.outage(async () => {
          told = [await notifyBob("One"), await notifyBob("Two")];
          cut = proxy.cutAt(isFirstName);
        });
        await cut;
      } else {
        cut = proxy.cutAt(isFirstName);
        told = [await notifyBob("One")];
        await cut;
        told.push(await notifyBob("Two"));
      }
      const names = () => client.frames.filter(({ event }) => event === "notification" || event === "notification:new");
      await until(() => names().length >= 4, `both names of both; came: ${JSON.stringify(client.frames)}`);
      await assertHeard(client, "notification", told);
      assert.deepEqual(names(), told.flatMap((data) => [{ event: "notification", data }, { event: "notification:new", data }]));
      assert.deepEqual(client.connects.slice(1).map(({ recovered }) => recovered), missed ? [true, true] : [true]);
    });
  }

  test("before or after the answer to CONNECT: the resume is repeated", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await bobIn(t, talk);
    const said = [];
    await proxy.outage(async () => said.push(...(await say(talk, 3))));
    for (const where of ["before", "within", "after"]) await proxy.cutAt((text) => text.startsWith("40{"), where);
    await assertHeard(client, "message:new", said);
    assert.deepEqual(client.connects.slice(1).map(({ recovered }) => recovered), client.connects.slice(1).map(() => true));
    assert.equal(new Set(client.connects.map(({ id }) => id)).size, 1);
  });
});

describe("a restarted server", () => {
  for (const [how, end] of [["kill -9", "kill"], ["SIGTERM", "stop"]]) {
    test(`by ${how} and started again: rooms, and events missed before its end and after it`, async (t) => {
      const mortal = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s" });
      t.after(() => mortal.close());
      const talk = await newTalk(mortal);
      const bob = await mortal.id("bob");
      const [away, there] = [await bobIn(t, talk, mortal), await bobIn(t, talk, mortal)];
      const { client: desk } = await behind(t, mortal, "admin", "/admin");
      const said = await say(talk, 2, mortal);
      // One client is offline before and after the end, the other sees the end.
      away.proxy.refuse();
      away.proxy.cut();
      said.push(...(await say(talk, 3, mortal)));
      const order = await mortal.order("alice", "1.00");
      await mortal[end]();
      await mortal.start();
      said.push(...(await say(talk, 3, mortal)));
      away.proxy.accept();
      for (const { client } of [away, there]) {
        await assertRecovered(client, bob);
        said.push(...(await say(talk, 1, mortal)));
      }
      for (const { client } of [away, there]) await assertHeard(client, "message:new", said);
      await assertRecovered(desk, await mortal.id("admin"));
      const next = await mortal.order("alice", "2.00");
      await until(() => desk.all("new_order").some(({ orderId }) => orderId === next.id), "the new order");
      assert.deepEqual(desk.all("new_order").map(({ orderId }) => orderId), [order.id, next.id]);
    });
  }

  test("twice by kill -9 before anybody reconnected: the missed events are still known", async (t) => {
    const mortal = await Server.start();
    t.after(() => mortal.close());
    const talk = await newTalk(mortal);
    const { client, proxy } = await bobIn(t, talk, mortal);
    const said = [];
    await proxy.outage(async () => {
      for (let n = 0; n < 2; n += 1) {
        said.push(...(await say(talk, 2, mortal)));
        await mortal.kill();
        await mortal.start();
      }
      said.push(...(await say(talk, 2, mortal)));
    });
    await assertRecovered(client, await mortal.id("bob"));
    await assertHeard(client, "message:new", said);
  });
});
