// What one customer causes in the outboxes of others: readers of 1 and 5 MB/s, while one customer
// changes a product of 40 kB, told to everyone, and then sends messages of 262 kB to a conversation
// of which the readers are members, as fast as REST takes them. Prints when a reader was cut, and
// exits 1 if one was. HUBCAST_BIN is the program.

import { request, Agent } from "node:http";
import { connect } from "node:net";
import { Server } from "../../tests/clients/harness.mjs";

const SECONDS = 10;
const RATES = [1_000_000, 5_000_000];

/** A signed-in socket of /ws that takes so many bytes a second. */
class Reader {
  constructor(port, token, rate) {
    Object.assign(this, { rate, bytes: 0, cut: undefined, began: Date.now() });
    this.socket = connect({ port, host: "127.0.0.1", highWaterMark: 16_384 });
    this.socket.on("error", () => {});
    this.socket.write(`GET /ws?token=${token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
    this.socket.on("data", (chunk) => {
      this.bytes += chunk.length;
      this.socket.pause();
      this.due = Math.max(this.due ?? 0, Date.now() - 50) + (chunk.length / this.rate) * 1000;
      setTimeout(() => this.socket.resume(), Math.max(0, this.due - Date.now()));
    });
    this.socket.on("close", () => (this.cut ??= Date.now()));
  }

  /** Seconds from `began` to the cut, or undefined. */
  cutAfter(began) {
    return this.cut && (this.cut - began) / 1000;
  }
}

/** Calls REST on a kept connection. Resolves to the status. */
function call(agent, port, token, method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    const sent = request({ agent, port, host: "127.0.0.1", method, path, headers }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode)).on("error", reject);
    });
    sent.on("error", reject).end(body);
  });
}

/** Repeats a call from `parallel` connections. Returns how many of each status were answered. */
async function attack(server, token, parallel, method, path, body, isOver) {
  const agent = new Agent({ keepAlive: true, maxSockets: parallel });
  const counts = {};
  const end = Date.now() + SECONDS * 1000;
  const loop = async () => {
    while (Date.now() < end && !isOver()) {
      const status = await call(agent, server.port, token, method, path, body);
      counts[status] = (counts[status] ?? 0) + 1;
      if (status === 429) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all(Array.from({ length: parallel }, loop));
  agent.destroy();
  return counts;
}

const server = await Server.start({ MEMBERSHIP: "open", RATE_REST: "100000/s", RATE_REST_BYTES: "1000000000/s", CATALOG: "anyone" });
const person = async (name) => {
  const account = { email: `${name}@x.test`, name, password: "long-enough-and-safe" };
  const { body } = await server.call(null, "POST", "/auth/register", account);
  return { token: body.accessToken, id: body.user.id };
};
const [attacker, ...victims] = [await person("mallory"), await person("victor"), await person("vera")];
const made = await server.call(attacker.token, "POST", "/products", { name: "Large", price: 1, description: "😀" });
const talk = await server.call(attacker.token, "POST", "/conversations", { memberIds: victims.map(({ id }) => id) });
let isCut = false;
const admin = await server.token("admin");
for (const [name, method, path, body, token = attacker.token] of [
  ["product of 40 kB", "PATCH", `/products/${made.body.id}`, JSON.stringify({ description: "😀".repeat(10_000) })],
  ["messages of 262 kB", "POST", `/conversations/${talk.body.id}/messages`, JSON.stringify({ content: "😀".repeat(65_536) })],
  ["the same product, changed by an admin, who has no limit", "PATCH", `/products/${made.body.id}`, JSON.stringify({ description: "x".repeat(10_000) }), admin],
]) {
  const readers = victims.map(({ token }, at) => new Reader(server.port, token, RATES[at]));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const began = Date.now();
  const counts = await attack(server, token, 8, method, path, body, () => readers.every(({ cut }) => cut));
  const ends = readers.map((reader) => {
    const after = reader.cutAfter(began);
    isCut ||= after !== undefined;
    reader.socket.destroy();
    return `${reader.rate / 1e6} MB/s ${after === undefined ? `never cut, ${Math.round(reader.bytes / 1000)} kB read` : `cut after ${after} s`}`;
  });
  console.log(`${name}: ${ends.join("; ")}; answers ${JSON.stringify(counts)}`);
}
await server.close();
console.log(`outbox: ${isCut ? "a reader was cut" : "no reader was cut"} in ${SECONDS} s`);
process.exit(isCut ? 1 : 0);
