// One customer against the others, by REST: how much the database grows in four seconds of products
// with Idempotency-Keys, and what a flood of long messages does to another customer's orders.
//
//   HUBCAST_BIN=target/release/hubcast node scripts/chaos/rest.mjs

import { statSync } from "node:fs";
import { Agent, request } from "node:http";
import { Server } from "../../tests/clients/harness.mjs";

const LANES = 16;
const FLOOD_MS = 4_000;
const MAX_GROWTH_MIB = 32;
/** Others wait at most so long, or so many times as long as without the flood. */
const MAX_P99_MS = 50;
const MAX_SLOWER = 3;

const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves with the status. */
function post(port, path, token, body, key) {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    if (key) headers["Idempotency-Key"] = key;
    const call = request({ host: "127.0.0.1", port, path, method: "POST", headers, agent }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode));
    });
    call.on("error", reject).end(body);
  });
}

/** Sends the same body on all lanes until the time is over. Returns the count of each status. */
async function flood(port, path, token, body, ms) {
  const counts = {};
  const end = Date.now() + ms;
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    for (let n = 0; Date.now() < end; n += 1) {
      const status = await post(port, path, token, body, `${lane}-${n}`).catch(() => "broken");
      counts[status] = (counts[status] ?? 0) + 1;
    }
  });
  await Promise.all(lanes);
  return counts;
}

/** The 99th percentile of an order's time in ms, one after another. */
async function ordersP99(port, token, ms) {
  const times = [];
  const end = Date.now() + ms;
  while (Date.now() < end) {
    const began = performance.now();
    await post(port, "/orders", token, '{"total":1}');
    times.push(performance.now() - began);
    await pause(25);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)];
}

const server = await Server.start();
let failed = false;
try {
  const [alice, bob] = [await server.token("alice"), await server.token("bob")];
  const size = () => ["", "-wal"].reduce((sum, end) => sum + (statSync(server.databaseFile + end, { throwIfNoEntry: false })?.size ?? 0), 0);
  const alone = await ordersP99(server.port, bob, FLOOD_MS);
  const talk = await server.post("alice", "/conversations", {});
  const message = JSON.stringify({ content: "\u{1F600}".repeat(32_768) });
  const flooding = flood(server.port, `/conversations/${talk.id}/messages`, alice, message, FLOOD_MS);
  const beside = await ordersP99(server.port, bob, FLOOD_MS);
  await flooding;
  const before = size();
  const product = JSON.stringify({ name: "Tea", price: 1, description: "\u{1F600}".repeat(10_000) });
  const counts = await flood(server.port, "/products", alice, product, FLOOD_MS);
  const growth = (size() - before) / 2 ** 20;
  failed = growth > MAX_GROWTH_MIB || beside > Math.max(MAX_P99_MS, alone * MAX_SLOWER);
  console.log(`rest: one customer grows the database by ${growth.toFixed(0)} MiB in ${FLOOD_MS / 1000} s (answers ${JSON.stringify(counts)}); another's order p99 ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside a flood of messages`);
} finally {
  await server.close();
  agent.destroy();
}
process.exit(failed ? 1 : 0);
