// The limits of connection state recovery: a disconnect, the window, other users, removals,
// take-overs, invalid input.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, until, within } from "./harness.mjs";
import { SocketIoLine, behind } from "./lines.mjs";

let server;
let ids;
let tokens;
before(async () => {
  server = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s" });
  ({ ids, tokens } = await server.people());
});
after(() => server?.close());

/** Sends a notification to this user, and returns it as stored. */
async function notify(who, title, on = server) {
  await on.post("admin", "/notifications", { userId: await on.id(who), type: "promotion", title, message: "Half the price" });
  return (await on.call(who, "GET", "/notifications?limit=1")).body[0];
}

/** A conversation of alice and bob. */
const newTalk = async () => (await server.post("alice", "/conversations", { memberIds: [ids.bob] })).id;
const say = (talk, content) => server.post("alice", `/conversations/${talk}/messages`, { content });

/** A raw socket that ends with the test. */
async function enter(t, auth, options) {
  const line = await SocketIoLine.enter(server, auth, options);
  t.after(() => line.cut());
  return line;
}

/** All events of these names, after all events in flight have arrived. */
async function heard(line, ...events) {
  await line.ask("message", { content: "is that all?" });
  return line.frames.filter(({ event }) => events.includes(event)).map(({ event, data }) => ({ event, data }));
}

/** Asserts that a resume with these credentials starts a new session, without anything of the old one. */
async function assertFresh(t, old, auth, options) {
  const line = await enter(t, auth, options);
  assert.equal(line.session.recovered, false);
  assert.equal(line.session.session, line.sid);
  assert.notEqual(line.sid, old.sid);
  assert.notEqual(line.pid, old.pid);
  assert.deepEqual(await heard(line, "notification", "notification:new", "message:new", "messageReceived", "presence:state"), []);
  return line;
}

describe("the end of a session", () => {
  test("an explicit disconnect of the official client is final, although it presents its pid again", async (t) => {
    const { client } = await behind(t, server, "bob");
    await notify("bob", "Before");
    await client.next("notification");
    client.socket.disconnect();
    await notify("bob", "Between");
    client.socket.connect();
    assert.equal((await client.next("session")).recovered, false);
    const next = await notify("bob", "Next");
    await until(() => client.all("notification").some(({ id }) => id === next.id), "the next");
    assert.deepEqual(client.all("notification").map(({ title }) => title), ["Before", "Next"]);
    assert.deepEqual(client.connects.map(({ recovered }) => recovered), [false, false]);
    assert.notEqual(client.connects[0].id, client.connects[1].id);
  });

  test("a raw DISCONNECT is final, although the pid is presented again", async (t) => {
    const line = await enter(t, { token: tokens.bob });
    await line.leave();
    line.cut();
    await notify("bob", "Missed for good");
    await assertFresh(t, line, { token: tokens.bob, pid: line.pid, offset: line.lastOffset });
  });

  for (const [what, end, code] of [
    ["a packet that is none of Socket.IO", (line) => line.socket.send("4x"), 1002],
    ["a packet that is none of Engine.IO", (line) => line.socket.send("x"), 1002],
    ["an attachment that was not announced", (line) => line.socket.send(Buffer.from([1])), 1002],
    ["a frame without a mask", (line) => line.socket._socket.write(Buffer.from([0x88, 2, 0x03, 0xe9])), 1002],
    ["text that is not UTF-8", (line) => line.socket._socket.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff])), 1007],
    ["a frame that is too large", (line) => line.socket.send("x".repeat(2_000_000)), 1009],
    ["close frame 4000", (line) => line.socket.close(4000), null],
  ]) {
    test(`is not ${what}, which ends the connection`, async (t) => {
      const line = await enter(t, { token: tokens.bob });
      end(line);
      const closed = await within(line.closed, "the close");
      if (code) assert.equal(closed, code);
      const told = await notify("bob", "Missed");
      const back = await enter(t, { token: tokens.bob, pid: line.pid, offset: line.lastOffset });
      assert.deepEqual([back.session.recovered, back.sid], [true, line.sid]);
      await until(() => back.all("notification").length >= 1, "the missed event");
      assert.deepEqual(await heard(back, "notification"), [{ event: "notification", data: told }]);
    });
  }

  test("RECOVERY_WINDOW counts from the loss of the connection, whatever the age of the session", async (t) => {
    const hasty = await Server.start({ RECOVERY_WINDOW: "1s" });
    t.after(() => hasty.close());
    const { client, proxy } = await behind(t, hasty, "bob");
    const first = client.connects[0].id;
    // The window is a duration, so time has to pass.
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await wait(2_500);
    let told;
    await proxy.outage(async () => (told = await notify("bob", "Within the window", hasty)));
    assert.equal((await client.next("session")).recovered, true);
    assert.deepEqual(await client.next("notification"), told);

    await proxy.outage(async () => {
      await notify("bob", "Past the window", hasty);
      await wait(2_500);
    });
    assert.equal((await client.next("session")).recovered, false);
    const next = await notify("bob", "Live again", hasty);
    await until(() => client.all("notification").some(({ id }) => id === next.id), "the live events");
    assert.deepEqual(client.all("notification"), [told, next]);
    assert.deepEqual(client.connects.map(({ recovered }) => recovered), [false, true, false]);
    assert.notEqual(client.socket.id, first);
  });

  test("RECOVERY_WINDOW counts from the next start for sessions lost by a kill -9", async (t) => {
    const hasty = await Server.start({ RECOVERY_WINDOW: "3s" });
    t.after(() => hasty.close());
    const { client, proxy } = await behind(t, hasty, "bob");
    proxy.refuse();
    await hasty.kill();
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    await hasty.start();
    const told = await notify("bob", "After the start", hasty);
    proxy.accept();
    assert.equal((await client.next("session")).recovered, true);
    assert.deepEqual(await client.next("notification"), told);
  });
});

describe("a pid belongs to its user", () => {
  test("another user's token starts a session of that user, and the first can still be resumed", async (t) => {
    const line = await enter(t, { token: tokens.alice });
    line.cut();
    const missed = await notify("alice", "For alice only");
    const pass = { pid: line.pid, offset: line.lastOffset };
    const thief = await assertFresh(t, line, { token: tokens.bob, ...pass });
    assert.equal(thief.session.userId, ids.bob);
    const back = await enter(t, { token: tokens.alice, ...pass });
    assert.deepEqual([back.session.recovered, back.sid, back.pid], [true, line.sid, line.pid]);
    assert.deepEqual((await heard(back, "notification")).map(({ data }) => data), [missed]);
  });

  test("without a token, or with a bad one, it is refused as usual", async (t) => {
    const line = await enter(t, { token: tokens.alice });
    line.cut();
    for (const [token, reason] of [[undefined, "missing"], ["not.a.token", "invalid"]]) {
      const refused = new SocketIoLine(server, { token, pid: line.pid, offset: line.lastOffset });
      t.after(() => refused.cut());
      assert.deepEqual(await refused.answer, { error: { message: "Unauthorized", data: { code: "unauthorized", reason } } });
    }
    const back = await enter(t, { token: tokens.alice, pid: line.pid, offset: line.lastOffset });
    assert.equal(back.session.recovered, true);
  });

  test("the pid of one namespace starts a new session on another", async (t) => {
    const [main, desk] = [await enter(t, { token: tokens.admin }), await enter(t, { token: tokens.admin }, { namespace: "/admin" })];
    main.cut();
    desk.cut();
    const order = await server.order("alice", "1.00");
    const there = await enter(t, { token: tokens.admin, pid: main.pid, offset: main.lastOffset }, { namespace: "/admin" });
    assert.deepEqual([there.session.recovered, there.all("new_order")], [false, []]);
    await assertFresh(t, desk, { token: tokens.admin, pid: desk.pid, offset: desk.lastOffset });
    const back = await enter(t, { token: tokens.admin, pid: desk.pid, offset: desk.lastOffset }, { namespace: "/admin" });
    assert.equal(back.session.recovered, true);
    assert.equal((await back.first("new_order")).data.orderId, order.id);
  });
});

describe("a member removed while offline", () => {
  test("is not in the room, and receives nothing sent after the removal", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await behind(t, server, "bob");
    await client.ask("join:conversation", { conversationId: talk });
    const before = await say(talk, "before it all");
    await client.next("message:new");
    await proxy.outage(async () => {
      await say(talk, "still a member");
      const { status } = await server.call("alice", "DELETE", `/conversations/${talk}/members/${ids.bob}`);
      assert.equal(status, 204);
      await say(talk, "among us");
    });
    assert.equal((await client.next("session")).recovered, true);
    await say(talk, "still among us");
    const told = await notify("bob", "Something of his own");
    await until(() => client.all("notification").some(({ id }) => id === told.id), "his own notification");
    // Messages from before the removal may be delivered or not; later ones must not.
    const contents = [...client.all("message:new"), ...client.all("messageReceived")].map(({ content }) => content);
    assert.deepEqual(contents.filter((content) => content !== "still a member"), [before.content]);
    assert.deepEqual(client.all("presence:state"), []);
    assert.equal((await client.ask("join:conversation", { conversationId: talk })).error.code, "not_found");
    assert.deepEqual((await server.call("alice", "GET", `/presence?room=conversation:${talk}`)).body.members, []);
  });

  for (const from of ["memory", "the database"]) {
    test(`receives what was sent to the members before, and a new member does not: from ${from}`, async (t) => {
      const own = await Server.start();
      t.after(() => own.close());
      const people = await own.people();
      const talk = (await own.post("alice", "/conversations", { memberIds: [people.ids.bob] })).id;
      const lines = {};
      for (const who of ["bob", "admin"]) {
        lines[who] = await SocketIoLine.enter(own, { token: people.tokens[who] });
        lines[who].cut();
      }
      const send = (content) => own.post("alice", `/conversations/${talk}/messages`, { content });
      const before = await send("before");
      assert.equal((await own.call("alice", "DELETE", `/conversations/${talk}/members/${people.ids.bob}`)).status, 204);
      await own.post("alice", `/conversations/${talk}/members`, { userId: people.ids.admin });
      const after = await send("after");
      if (from === "the database") {
        await own.kill();
        await own.start();
      }
      for (const [who, message] of [["bob", before], ["admin", after]]) {
        const { pid, lastOffset } = lines[who];
        const back = await SocketIoLine.enter(own, { token: people.tokens[who], pid, offset: lastOffset });
        t.after(() => back.cut());
        assert.equal(back.session.recovered, true);
        assert.deepEqual(await heard(back, "message:new", "messageReceived"), [{ event: "messageReceived", data: message }], who);
      }
    });
  }

  test("and added again receives nothing sent in between", async (t) => {
    const talk = await newTalk();
    const { client, proxy } = await behind(t, server, "bob");
    await client.ask("join:conversation", { conversationId: talk });
    await proxy.outage(async () => {
      await server.call("alice", "DELETE", `/conversations/${talk}/members/${ids.bob}`);
      await say(talk, "among us");
      await server.post("alice", `/conversations/${talk}/members`, { userId: ids.bob });
    });
    assert.equal((await client.next("session")).recovered, true);
    const told = await notify("bob", "Something of his own");
    await until(() => client.all("notification").some(({ id }) => id === told.id), "his own notification");
    assert.deepEqual([...client.all("message:new"), ...client.all("messageReceived")], []);
  });
});

describe("a take-over", () => {
  test("of a hanging connection: it is closed, the events that it swallowed arrive once, and no leave is reported", async (t) => {
    const talk = await newTalk();
    const alice = await server.connect("alice");
    t.after(() => alice.close());
    await alice.ask("join:conversation", { conversationId: talk });
    const { client, proxy } = await behind(t, server, "bob");
    await client.ask("join:conversation", { conversationId: talk });
    const said = [await say(talk, "heard")];
    await client.next("message:new");
    const left = proxy.freeze();
    for (const content of ["swallowed", "swallowed too"]) said.push(await say(talk, content));
    client.socket.io.engine.transport.ws.terminate();
    assert.equal((await client.next("session")).recovered, true);
    await within(left, "the server to close the old connection");
    said.push(await say(talk, "live"));
    await until(() => client.all("message:new").length >= said.length, "all that was said");
    await client.ask("message", { content: "is that all?" });
    assert.deepEqual(client.all("message:new"), said);
    assert.equal(client.connects[0].id, client.connects[1].id);
    await alice.ask("message", { content: "is that all?" });
    assert.deepEqual(alice.all("presence:leave"), []);
  });

  test("of a working connection: it is closed without a DISCONNECT, and only the new one is live", async (t) => {
    const old = await enter(t, { token: tokens.bob });
    const back = await enter(t, { token: tokens.bob, pid: old.pid, offset: old.lastOffset });
    assert.deepEqual([back.session.recovered, back.sid, back.pid], [true, old.sid, old.pid]);
    await within(old.closed, "the close of the old connection");
    const told = await notify("bob", "For the new one");
    assert.deepEqual(await heard(back, "notification", "notification:new"), [{ event: "notification", data: told }, { event: "notification:new", data: told }]);
    assert.deepEqual(old.all("notification"), []);
  });

  test("by many at once: one of them is live in the end, and each event arrived once", async (t) => {
    const old = await enter(t, { token: tokens.bob });
    old.cut();
    const missed = await notify("bob", "Missed");
    const lines = Array.from({ length: 8 }, () => new SocketIoLine(server, { token: tokens.bob, pid: old.pid, offset: old.lastOffset }));
    t.after(() => lines.forEach((line) => line.cut()));
    const closed = new Set();
    for (const line of lines) line.closed.then(() => closed.add(line));
    await until(() => closed.size === lines.length - 1, "all but one to be cut");
    const [live] = lines.filter((line) => !closed.has(line));
    assert.equal((await live.first("session")).data.recovered, true);
    const next = await notify("bob", "Next");
    await until(() => live.all("notification").length >= 2, "both");
    assert.deepEqual((await heard(live, "notification")).map(({ data }) => data), [missed, next]);
    for (const line of closed) assert.ok(line.all("notification").length <= 1);
  });

  test("a resume whose answer was lost can be repeated with the same result", async (t) => {
    const old = await enter(t, { token: tokens.bob });
    old.cut();
    const missed = await notify("bob", "Missed");
    for (let n = 0; n < 3; n += 1) {
      const back = await enter(t, { token: tokens.bob, pid: old.pid, offset: old.lastOffset });
      assert.deepEqual([back.session.recovered, back.sid, back.pid, back.offset], [true, old.sid, old.pid, old.lastOffset]);
      assert.deepEqual((await heard(back, "notification")).map(({ data }) => data), [missed]);
      back.cut();
    }
  });
});
