// A customer with a million unread messages and a million unread notifications reads one of each 50
// times a second, and connects again and again; meanwhile an admin places orders. Prints how long
// the orders took without and with that customer, and how long a connection took until its count.
// Exits with 1 if the orders' 99th percentile moves by more than a fifth and 5 ms, which is the
// noise of a busy machine.
//
//     npm --prefix tests/clients ci && HUBCAST_BIN=target/release/hubcast node scripts/chaos/counts.mjs

import { execFileSync } from "node:child_process";
import { Server } from "../../tests/clients/harness.mjs";

const ROWS = Number(process.env.ROWS ?? 1_000_000);
const PART_MS = 4_000;
/** A second one, if something else has kept the machine busy in the first. */
const ROUNDS = 2;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const percentile = (times, part) => times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * part)];
const shown = (times) => `p50 ${percentile(times, 0.5).toFixed(1)} ms, p99 ${percentile(times, 0.99).toFixed(1)} ms`;

function isBounded(alone, beside) {
  const [quiet, loaded] = [alone, beside ?? [Infinity]].map((times) => percentile(times, 0.99));
  return loaded <= Math.max(quiet * 1.2, quiet + 5);
}

/** Adds the rows to the file, while no server runs; sets the counts where the schema has them. */
function fill(file, { alice, bob, talk }) {
  const sql = `
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
n = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS}) "
at = "'2026-01-01 00:00:00'"
c.execute("DELETE FROM notifications WHERE user_id = ${alice}")
c.execute(n + "INSERT INTO messages (conversation_id, seq, sender_id, content, kind, created_at) SELECT ${talk}, i, ${bob}, 'x', 'text', " + at + " FROM n")
c.execute("UPDATE conversations SET last_seq = ${ROWS} WHERE id = ${talk}")
c.execute(n + "INSERT INTO notifications (user_id, type, title, message, is_read, created_at) SELECT ${alice}, 'message', 't', 'm', FALSE, " + at + " FROM n")
if any(row[1] == "unread_notifications" for row in c.execute("PRAGMA table_info(users)")):
    c.execute("UPDATE users SET unread_notifications = ${ROWS} WHERE id = ${alice}")
c.commit()
low = lambda table, where: c.execute("SELECT min(id) FROM " + table + " WHERE " + where).fetchone()[0]
print(low("messages", "conversation_id = ${talk}"), low("notifications", "user_id = ${alice}"))
`;
  return execFileSync("python3", ["-c", sql, file], { encoding: "utf8" }).trim().split(" ").map(Number);
}

/** Places orders one after another for a while, and returns how long each took. */
async function placeOrders(server, ms) {
  const times = [];
  for (const end = Date.now() + ms; Date.now() < end; await sleep(5)) {
    const from = performance.now();
    await server.order("admin", 1);
    times.push(performance.now() - from);
  }
  return times;
}

class Customer {
  isOn = false;
  greeted = [];
  reads = 0;

  constructor(server, socket, talk, [message, notification]) {
    Object.assign(this, { server, socket, talk, message, notification });
  }

  async readAlong() {
    for (;;) {
      await sleep(20);
      if (this.isOver) return;
      if (!this.isOn) continue;
      this.reads += 1;
      this.socket.socket.emit("conversation:read", { conversationId: this.talk, messageId: this.message++ });
      this.socket.socket.emit("notification:read", { id: this.notification++ });
    }
  }

  async comeAndGo() {
    for (;;) {
      await sleep(50);
      if (this.isOver) return;
      if (!this.isOn) continue;
      const from = performance.now();
      const client = await this.server.connect("alice");
      await client.next("notifications:unread");
      this.greeted.push(performance.now() - from);
      client.close();
    }
  }
}

const server = await Server.start({ RATE_LOGIN: "1000/s" });
try {
  const { ids } = await server.people();
  const talk = (await server.post("bob", "/conversations", { memberIds: [ids.alice] })).id;
  await server.stop();
  const first = fill(server.databaseFile, { ...ids, talk });
  await server.start();
  const customer = new Customer(server, await server.connect("alice"), talk, first);
  const lanes = [customer.readAlong(), customer.comeAndGo()];
  await placeOrders(server, 1_000);
  const alone = await placeOrders(server, PART_MS);
  let beside;
  for (let round = 0; round < ROUNDS && !isBounded(alone, beside); round += 1) {
    customer.isOn = true;
    beside = await placeOrders(server, PART_MS);
    customer.isOn = false;
    await sleep(500);
  }
  customer.isOver = true;
  await Promise.all(lanes);
  console.log(`counts: orders alone ${shown(alone)}; beside ${customer.reads} reads of each kind ${shown(beside)}; ${customer.greeted.length} connections greeted in ${shown(customer.greeted)}`);
  process.exitCode = isBounded(alone, beside) ? 0 : 1;
} finally {
  await server.close();
}
