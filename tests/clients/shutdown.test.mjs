// A server during its shutdown: which requests it refuses, which it still answers, and how
// connected clients learn of it.

import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import { test } from "node:test";
import WebSocket from "ws";
import { Server, until, within } from "./harness.mjs";
import { PlainLine } from "./lines.mjs";

const SOCKET = "/socket.io/?EIO=4&transport=";
const GOING = { statusCode: 503, message: "The server is going down", error: "Service Unavailable" };
const SHUTDOWN = ["server:shutdown", { reconnectAfterMs: 1000 }];

/** A keep-alive request, or a refused upgrade: [status, Connection, body]. */
function ask({ url }, path, headers = {}) {
  const answered = new Promise((resolve, reject) => {
    const take = async (answer) => {
      const body = (await answer.setEncoding("utf8").toArray()).join("");
      resolve([answer.statusCode, answer.headers.connection, body && JSON.parse(body)]);
    };
    if (path.startsWith("/ws") || path.includes("transport=websocket")) {
      const socket = new WebSocket(url.replace("http", "ws") + path, { headers });
      socket.once("unexpected-response", (_, answer) => take(answer));
      socket.once("open", () => reject(new Error(`${path} was let in`))).on("error", reject);
    } else {
      const agent = new http.Agent({ keepAlive: true });
      http.get(url + path, { agent, headers }, (answer) => take(answer).finally(() => agent.destroy())).on("error", reject);
    }
  });
  return within(answered, path);
}

/** A plain socket that is accepted and then never reads or answers, which delays the shutdown. */
async function hold(t, server, token) {
  const held = net.connect(server.port, "127.0.0.1");
  t.after(() => held.destroy());
  const upgrade = `GET /ws?token=${token} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`;
  held.on("error", () => {}).write(`${upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
  await within(new Promise((resolve) => held.once("data", resolve)), "the upgrade");
  held.pause();
}

test("SIGTERM: new sockets are refused at once, REST is answered until the last socket has gone, and the others are informed and closed", async (t) => {
  const server = await Server.start();
  t.after(() => server.close());
  const { tokens } = await server.people();
  const [alice, poller, desk] = await Promise.all([
    server.connect("alice"), server.connect("bob", "/", { transports: ["polling"] }), server.connect("admin", "/admin"),
  ]);
  const line = await PlainLine.enter(server, { token: tokens.bob });
  const clients = [alice, poller, desk];
  const reasons = clients.map(({ socket }) => new Promise((resolve) => socket.once("disconnect", resolve)));
  for (const client of clients) client.socket.io.reconnection(false);
  for (const client of clients) await client.mark();
  await hold(t, server, tokens.alice);
  assert.deepEqual(await ask(server, "/readyz"), [200, undefined, { status: "ok" }]);

  const ended = server.stop();
  const unready = await until(async () => (await ask(server, "/readyz").then((answer) => answer[0] === 503 && answer)), "/readyz to fail", 1_000);
  assert.deepEqual(unready, [503, undefined, { status: "unavailable", reason: "shutting down" }]);
  const authorization = `Bearer ${tokens.alice}`;
  for (const path of ["/ws", `${SOCKET}websocket`, `${SOCKET}polling`]) assert.deepEqual(await ask(server, path, { authorization }), [503, "close", GOING], path);
  const order = await server.order("alice", "5.00");
  assert.deepEqual((await ask(server, `/orders/${order.id}`, { authorization })).slice(0, 2), [200, undefined]);
  assert.deepEqual(await ask(server, "/healthz"), [200, undefined, { status: "ok" }]);

  for (const reason of await within(Promise.all(reasons), "the clients to notice")) assert.equal(reason, "transport close");
  for (const client of clients) assert.deepEqual(client.frames.slice(client.from).map(({ event, data }) => [event, data]), [SHUTDOWN]);
  assert.equal(await within(line.closed, "the line's end"), 1001);
  assert.deepEqual(line.frames.at(-1), { event: SHUTDOWN[0], data: SHUTDOWN[1], offset: undefined });
  const { code, signal, ms } = await ended;
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
  assert.ok(ms < 10_000, `it took ${ms} ms`);
});
