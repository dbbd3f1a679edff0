// Recovery of the plain WebSocket: `/ws?resume=SESSION&offset=OFFSET` continues where a lost
// connection ended.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, until, within } from "./harness.mjs";
import { PlainLine } from "./lines.mjs";
import { Proxy } from "./proxy.mjs";

let server;
let ids;
let tokens;
before(async () => {
  server = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s" });
  ({ ids, tokens } = await server.people());
});
after(() => server?.close());

/** A connection that ends with the test. */
async function enter(t, query, at = server) {
  const line = await PlainLine.enter(at, query);
  t.after(() => line.cut());
  return line;
}

/** Bob's next connection after a lost one. */
const back = (t, line, at = server) => enter(t, { token: tokens.bob, ...line.pass }, at);

/** Sends a notification to this user, and returns it as stored. */
async function notify(title, who = "bob", on = server) {
  await on.post("admin", "/notifications", { userId: await on.id(who), type: "promotion", title, message: "Half the price" });
  return (await on.call(who, "GET", "/notifications?limit=1")).body[0];
}

const newTalk = async () => (await server.post("alice", "/conversations", { memberIds: [ids.bob] })).id;

async function say(talk, many, on = server) {
  const said = [];
  for (let n = 0; n < many; n += 1) said.push(await on.post("alice", `/conversations/${talk}/messages`, { content: `number ${n}` }));
  return said;
}

const names = ["notification", "notification:new"];
const notified = (line) => line.frames.filter(({ event }) => names.includes(event));

/** Asserts that these are all events of this name on these connections together, after all events in flight have arrived. */
async function assertHeard(lines, event, expected) {
  const all = () => lines.flatMap((line) => line.all(event));
  await until(() => all().length >= expected.length, `${expected.length} of ${event}; came so far: ${JSON.stringify(lines.at(-1).frames)}`);
  await lines.at(-1).ask("message", { content: "is that all?" });
  assert.deepEqual(all(), expected);
}

test("session and stored events have an offset, one for each of two names; transient events have none", async (t) => {
  const line = await enter(t, { token: tokens.bob });
  assert.deepEqual(line.frames[0], { event: "session", data: { session: line.session.session, userId: ids.bob, recovered: false, serverTime: line.session.serverTime }, offset: line.offset });
  await notify("One");
  await line.ask("message", { content: "an echo" });
  await until(() => notified(line).length === 2 && line.all("message").length === 1, "both names and the echo");
  for (const offset of [line.offset, ...notified(line).map(({ offset }) => offset)]) assert.equal(typeof offset, "string");
  assert.equal(new Set([line.offset, ...notified(line).map(({ offset }) => offset)]).size, 3);
  for (const { event, offset } of line.frames) if (["message", "notifications:unread"].includes(event)) assert.equal(offset, undefined, event);
});

test("after a lost connection, missed events arrive once and in order, and then new ones", async (t) => {
  const talk = await newTalk();
  const first = await enter(t, { token: tokens.bob });
  assert.equal((await first.ask("join:conversation", { conversationId: talk })).ok, true);
  const said = await say(talk, 3);
  await until(() => first.all("message:new").length === 3, "the live events");
  first.cut();
  said.push(...(await say(talk, 20)));
  const second = await back(t, first);
  assert.deepEqual(second.session, { ...first.session, recovered: true, serverTime: second.session.serverTime });
  await until(() => second.all("presence:state").length === 1, "the presence list");
  assert.deepEqual(second.all("presence:state"), [{ room: `conversation:${talk}`, members: [ids.bob] }]);
  said.push(...(await say(talk, 3)));
  await assertHeard([first, second], "message:new", said);
});

test("a client that had only its session event, also on /admin, and three times in a row", async (t) => {
  const query = { token: tokens.admin, namespace: "/admin" };
  const lines = [await enter(t, query)];
  const orders = [];
  for (let n = 0; n < 3; n += 1) {
    lines.at(-1).cut();
    orders.push((await server.order("alice", "1.00")).id);
    lines.push(await enter(t, { ...query, ...lines.at(-1).pass }));
    assert.deepEqual(lines.at(-1).session, { ...lines[0].session, recovered: true, serverTime: lines.at(-1).session.serverTime });
    await until(() => lines.at(-1).all("new_order").length >= 1, "the missed events");
  }
  assert.deepEqual(lines.flatMap((line) => line.all("new_order")).map(({ orderId }) => orderId), orders);
});

test("an idle client gets only its own events, not those of others", async (t) => {
  const first = await enter(t, { token: tokens.bob });
  const others = (many) => Promise.all(Array.from({ length: 8 }, async () => {
    for (let n = 0; n < many; n += 1) await server.order("alice", "1.00");
  }));
  await others(20);
  first.cut();
  await others(20);
  const own = await notify("Yours");
  await others(20);
  const second = await back(t, first);
  await assertHeard([first, second], "notification", [own]);
  const rest = second.frames.map(({ event }) => event).filter((event) => !["session", "notifications:unread", "message", ...names].includes(event));
  assert.deepEqual(rest, []);
});

test("lost between the two names of one event: each name arrives once", async (t) => {
  const proxy = await Proxy.start(server);
  t.after(() => proxy.close());
  const first = await enter(t, { token: tokens.bob }, proxy);
  const cut = proxy.cutAt((text) => text.includes('"event":"notification"') && text.includes('"One"'));
  const told = [await notify("One")];
  await cut;
  await first.closed;
  told.push(await notify("Two"));
  const second = await back(t, first, proxy);
  await until(() => notified(second).length >= 3, "the rest");
  await assertHeard([first, second], "notification", told);
  await assertHeard([first, second], "notification:new", told);
  assert.deepEqual([...notified(first), ...notified(second)].map(({ event }) => event), [...names, ...names]);
});

test("lost again within the replay", async (t) => {
  const talk = await newTalk();
  const proxy = await Proxy.start(server);
  t.after(() => proxy.close());
  const lines = [await enter(t, { token: tokens.bob }, proxy)];
  await lines[0].ask("join:conversation", { conversationId: talk });
  lines[0].cut();
  const said = await say(talk, 12);
  for (const [at, where] of [[2, "after"], [5, "within"], [5, "before"], [6, "after"], [11, "within"]]) {
    const cut = proxy.cutAt((text) => text.includes(`"number ${at}"`), where);
    lines.push(await back(t, lines.at(-1), proxy));
    await cut;
    await lines.at(-1).closed;
  }
  lines.push(await back(t, lines.at(-1), proxy));
  await assertHeard(lines, "message:new", said);
  assert.deepEqual(lines.slice(1).filter(({ session }) => !session.recovered), []);
});

for (const [how, end] of [["kill -9", "kill"], ["SIGTERM", "stop"]]) {
  test(`over ${how} and a restart`, async (t) => {
    const mortal = await Server.start();
    t.after(() => mortal.close());
    const talk = (await mortal.post("alice", "/conversations", { memberIds: [await mortal.id("bob")] })).id;
    const token = await mortal.token("bob");
    const [away, there] = [await enter(t, { token }, mortal), await enter(t, { token }, mortal)];
    for (const line of [away, there]) await line.ask("join:conversation", { conversationId: talk });
    away.cut();
    const said = await say(talk, 3, mortal);
    await mortal[end]();
    const code = await within(there.closed, "the end of the connection");
    assert.equal(code, end === "kill" ? 1006 : 1001);
    assert.equal(there.all("server:shutdown").length, end === "kill" ? 0 : 1);
    await mortal.start();
    said.push(...(await say(talk, 3, mortal)));
    for (const line of [away, there]) {
      const next = await enter(t, { token, ...line.pass }, mortal);
      assert.equal(next.session.recovered, true);
      await assertHeard([line, next], "message:new", said);
    }
  });
}

/** Writes bytes that the library would not send. */
const raw = (...bytes) => (line) => line.socket._socket.write(Buffer.from(bytes));

for (const [what, end, code, recovered] of [
  ["close frame 1000 ends the session", (line) => line.socket.close(1000), 1000, false],
  ["close frame 1001, of a page that is left, does not", (line) => line.socket.close(1001), null, true],
  ["close frame 3000, of a browser's watchdog, does not", (line) => line.socket.close(3000), null, true],
  ["close frame 4999 does not", (line) => line.socket.close(4999), null, true],
  ["close frame without a code does not", (line) => line.socket.close(), null, true],
  ["broken connection does not", (line) => line.cut(), 1006, true],
  ["close frame without a mask, of a proxy, does not", raw(0x88, 2, 0x03, 0xe9), 1002, true],
  ["text frame without a mask does not", raw(0x81, 2, 0x7b, 0x7d), 1002, true],
  ["reserved bit does not", raw(0xc1, 0x80, 0, 0, 0, 0), 1002, true],
  ["reserved opcode does not", raw(0x83, 0x80, 0, 0, 0, 0), 1002, true],
  ["text that is not UTF-8 does not", raw(0x81, 0x81, 0, 0, 0, 0, 0xff), 1007, true],
  ["text that is not JSON does not", (line) => line.socket.send("hello"), 4400, true],
  ["binary frame does not", (line) => line.socket.send(Buffer.from([1])), 4400, true],
  ["frame that is too large does not", (line) => line.socket.send("x".repeat(2_000_000)), 1009, true],
]) {
  test(`a ${what}`, async (t) => {
    const first = await enter(t, { token: tokens.bob });
    end(first);
    const closed = await within(first.closed, "the end of the connection");
    if (code) assert.equal(closed, code);
    const told = await notify("Missed");
    const second = await back(t, first);
    assert.equal(second.session.recovered, recovered);
    assert.equal(second.session.session === first.session.session, recovered);
    await assertHeard([first, second], "notification", recovered ? [told] : []);
  });
}

test("past RECOVERY_WINDOW there is a new session", async (t) => {
  const hasty = await Server.start({ RECOVERY_WINDOW: "1s" });
  t.after(() => hasty.close());
  const token = await hasty.token("bob");
  const first = await enter(t, { token }, hasty);
  first.cut();
  await notify("Missed for good", "bob", hasty);
  // The window is a duration, so time has to pass.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const second = await enter(t, { token, ...first.pass }, hasty);
  assert.equal(second.session.recovered, false);
  await assertHeard([first, second], "notification", []);
});

test("another user's token starts a session of that user, and the first can still be resumed", async (t) => {
  const first = await enter(t, { token: tokens.alice });
  first.cut();
  const told = await notify("For alice only", "alice");
  const other = await enter(t, { token: tokens.bob, ...first.pass });
  assert.deepEqual([other.session.recovered, other.session.userId], [false, ids.bob]);
  await assertHeard([other], "notification", []);
  const second = await enter(t, { token: tokens.alice, ...first.pass });
  assert.equal(second.session.recovered, true);
  await assertHeard([first, second], "notification", [told]);
});

test("a member removed while offline is not in the room, and receives nothing sent after the removal", async (t) => {
  const talk = await newTalk();
  const first = await enter(t, { token: tokens.bob });
  await first.ask("join:conversation", { conversationId: talk });
  first.cut();
  assert.equal((await server.call("alice", "DELETE", `/conversations/${talk}/members/${ids.bob}`)).status, 204);
  await say(talk, 2);
  const second = await back(t, first);
  assert.equal(second.session.recovered, true);
  await say(talk, 1);
  await assertHeard([second], "notification", []);
  for (const event of ["message:new", "messageReceived", "presence:state"]) assert.deepEqual(second.all(event), [], event);
  assert.equal((await second.ask("join:conversation", { conversationId: talk })).error.code, "not_found");
});

test("a hanging connection is taken over: it is closed, and the events that it swallowed arrive once", async (t) => {
  const proxy = await Proxy.start(server);
  t.after(() => proxy.close());
  const first = await enter(t, { token: tokens.bob }, proxy);
  const left = proxy.freeze();
  const told = [await notify("Swallowed"), await notify("Swallowed too")];
  const second = await back(t, first, proxy);
  assert.equal(second.session.recovered, true);
  await within(left, "the server to close the old connection");
  told.push(await notify("Live"));
  await assertHeard([first, second], "notification", told);
});

test("a resume whose answer was lost can be repeated with the same result", async (t) => {
  const first = await enter(t, { token: tokens.bob });
  first.cut();
  const told = await notify("Missed");
  for (let n = 0; n < 3; n += 1) {
    const next = await back(t, first);
    assert.deepEqual([next.session.recovered, next.session.session, next.offset], [true, first.session.session, first.offset]);
    await assertHeard([next], "notification", [told]);
    next.cut();
  }
});

test("a resume can be signed in by the first frame instead of the query", async (t) => {
  const first = await enter(t, { token: tokens.bob });
  first.cut();
  const told = await notify("Missed");
  const second = new PlainLine(server, first.pass);
  t.after(() => second.cut());
  await second.opened;
  second.socket.send(JSON.stringify({ event: "auth", data: { token: tokens.bob } }));
  assert.equal((await second.first("session")).data.recovered, true);
  await assertHeard([first, second], "notification", [told]);
});

test("an invalid session or offset is no error", async (t) => {
  const first = await enter(t, { token: tokens.bob });
  first.cut();
  const told = await notify("Missed");
  const { resume, offset } = first.pass;
  for (const bad of ["x", "", "%00", "[1]", resume.slice(1), resume.slice(0, -4), "x".repeat(4_000)]) {
    const next = await enter(t, { token: tokens.bob, resume: bad, offset });
    assert.equal(next.session.recovered, false, bad);
    await assertHeard([next], "notification", []);
    next.cut();
  }
  for (const bad of ["x", "", "1", ".", `${offset}.7`, `${offset.split(".")[0]}.-1`]) {
    const next = await enter(t, { token: tokens.bob, resume, offset: bad });
    await assertHeard([next], "notification", next.session.recovered ? [told] : []);
    next.cut();
  }
  const ahead = await enter(t, { token: tokens.bob, resume, offset: `${offset.split(".")[0]}.${2n ** 62n}` });
  assert.equal(ahead.session.recovered, false, "an offset that the log cannot have given is reported as a gap");
});
