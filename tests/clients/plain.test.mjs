// The plain WebSocket at /ws: the events of the official client, one JSON object per text frame.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { Server, sign, within } from "./harness.mjs";

let server;
before(async () => {
  server = await Server.start({ CONNECT_TIMEOUT_MS: "1500" });
});
after(() => server?.close());

/** A plain socket: `read()` resolves to the next frame, `closed` to the close code. */
function open(path, ...options) {
  const socket = new WebSocket(server.url.replace("http", "ws") + path, ...options);
  const frames = [];
  const waiting = [];
  socket.on("message", (data, isBinary) => {
    const frame = isBinary ? data : JSON.parse(data.toString());
    // `/admin` sends the figures periodically.
    if (frame.event === "server:stats") return;
    const reader = waiting.shift();
    if (reader) reader(frame);
    else frames.push(frame);
  });
  return {
    socket,
    opened: within(new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject)), "the upgrade"),
    closed: new Promise((resolve) => socket.once("close", resolve)),
    send: (frame) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
    read: () => within(frames.length ? Promise.resolve(frames.shift()) : new Promise((resolve) => waiting.push(resolve)), "a frame"),
  };
}

/** Signs in by the first frame, and reads the session event and, on `/`, the count of unread notifications. */
async function enter(who, path = "/ws") {
  const line = open(path);
  await line.opened;
  line.send({ event: "auth", data: { token: await server.token(who) } });
  const { event } = await line.read();
  assert.equal(event, "session");
  if (path === "/ws") assert.equal((await line.read()).event, "notifications:unread");
  return line;
}

test("the first frame signs in, and session is the first event", async () => {
  const line = open("/ws");
  await line.opened;
  line.send({ event: "auth", data: { token: await server.token("alice") } });
  const { event, data } = await line.read();
  assert.equal(event, "session");
  assert.equal(data.userId, await server.id("alice"));
  assert.equal(data.recovered, false);
  line.socket.close();
});

test("a token in the handshake (header, cookie, query) replaces the first frame", async () => {
  const token = await server.token("alice");
  for (const [path, headers] of [["/ws", { Authorization: `Bearer ${token}` }], ["/ws", { Cookie: `Authentication=${token}` }], [`/ws?token=${token}`, {}]]) {
    const line = open(path, { headers });
    assert.equal((await line.read()).event, "session");
    line.socket.close();
  }
});

test("a token among the subprotocols, as a browser can send it, signs in and is not answered", async () => {
  const token = await server.token("alice");
  const line = open("/ws", ["bearer", token]);
  assert.equal((await line.read()).event, "session");
  assert.equal(line.socket.protocol, "bearer");
  line.socket.close();
  const refused = open("/ws", ["bearer", `${token}x`]);
  assert.equal(await within(refused.closed, "the close"), 4401);
  assert.equal(refused.socket.protocol, "bearer");
  // The header of the client's own comes first, and one of another scheme is passed over.
  for (const [authorization, code] of [["Bearer bad", 4401], ["Basic YTpi", undefined]]) {
    const line = open("/ws", ["bearer", token], { headers: { Authorization: authorization } });
    if (code) assert.equal(await within(line.closed, "the close"), code);
    else assert.equal((await line.read()).event, "session");
    line.socket.terminate();
  }
});

test("both namespaces receive the same events as Socket.IO", async () => {
  const desk = await enter("admin", "/ws?namespace=/admin");
  const encoded = await enter("admin", "/ws?namespace=%2Fadmin");
  const alice = await enter("alice");
  const order = await server.order("alice", "21.00");
  for (const line of [desk, encoded]) {
    const { event, data } = await line.read();
    assert.deepEqual({ event, data }, { event: "new_order", data: { orderId: order.id, customerId: order.customerId, total: "21.00", createdAt: order.createdAt } });
  }
  const created = await alice.read();
  assert.deepEqual([created.event, created.data], ["orderCreated", order]);
  const { body } = await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
  for (const line of [desk, encoded, alice]) {
    const { event, data } = await line.read();
    assert.equal(event, "orderUpdate");
    assert.deepEqual(data, { orderId: order.id, status: "paid", previousStatus: "pending", customerId: order.customerId, total: "21.00", updatedAt: body.updatedAt });
    line.socket.close();
  }
});

test("a frame with an id is answered with that id, one without by an error event", async () => {
  const line = await enter("alice");
  line.send({ event: "no:such:event", data: {}, id: 7 });
  const { ack, data } = await line.read();
  assert.equal(ack, 7);
  assert.equal(data.ok, false);
  assert.equal(data.error.code, "invalid");
  line.send({ event: "no:such:event", data: {} });
  const error = await line.read();
  assert.equal(error.event, "error");
  assert.deepEqual({ ...error.data, message: "" }, { status: "error", code: "invalid", message: "", event: "no:such:event" });
  line.socket.close();
});

test("a frame is answered with its exact id, and not at all if that is null or missing", async () => {
  await server.call("alice", "PATCH", "/notifications/mark-all-read");
  const line = await enter("alice");
  for (const id of [0, "", 1.5, -1, "7"]) {
    line.send({ event: "notification:read-all", id });
    assert.deepEqual(await line.read(), { ack: id, data: { ok: true, updated: 0 } });
  }
  // In either case, the first answer after them belongs to the frame after them.
  line.send({ event: "notification:read-all", id: null });
  line.send({ event: "notification:read-all" });
  line.send({ event: "notification:read-all", id: "last" });
  assert.deepEqual(await line.read(), { ack: "last", data: { ok: true, updated: 0 } });
  line.send({ event: "no:such:event", id: null });
  const told = { status: "error", code: "invalid", message: "unknown event no:such:event", event: "no:such:event" };
  for (const event of ["error", "exception"]) assert.deepEqual(await line.read(), { event, data: told });
  line.socket.close();
});

const past = () => Math.floor(Date.now() / 1000) - 1;
const refusals = [
  ["a bad token", 4401, "/ws", async () => ({ event: "auth", data: { token: "not.a.token" } })],
  ["a token that has ended", 4401, "/ws", async () => ({ event: "auth", data: { token: sign({ sub: await server.id("alice"), exp: past() }) } })],
  ["no token in time", 4401, "/ws", async () => null],
  ["a customer on /admin", 4403, "/ws?namespace=/admin", async () => ({ event: "auth", data: { token: await server.token("alice") } })],
  ["an unknown namespace", 4404, "/ws?namespace=/shop", async () => ({ event: "auth", data: { token: await server.token("alice") } })],
  ["text that is not JSON", 4400, "/ws", async () => "hello"],
  ["a first frame other than auth", 4400, "/ws", async () => ({ event: "message", data: {} })],
];
for (const [what, code, path, first] of refusals) {
  test(`${what} closes with ${code}`, async () => {
    const line = open(path);
    await line.opened;
    const frame = await first();
    if (frame) line.send(frame);
    assert.equal(await within(line.closed, "the close"), code);
  });
}

test("a close code of the client comes back", async () => {
  for (const code of [1000, 3001, 4321]) {
    const line = await enter("alice");
    line.socket.close(code, "bye");
    assert.equal(await within(line.closed, "the close"), code);
  }
});

test("a frame over MAX_PAYLOAD closes with 1009", async () => {
  const line = await enter("alice");
  line.send({ event: "message", data: { content: "x".repeat(1_000_001) } });
  assert.equal(await within(line.closed, "the close"), 1009);
});
