// Databases as they are run: behind PgBouncer, read-only after a failover, with a standby that is
// gone, with a full disk; and a backup beside a busy server. What needs PostgreSQL uses an instance
// of its own, and runs when the suite runs on PostgreSQL (HUBCAST_TEST_POSTGRES).

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { Server, until } from "./harness.mjs";
import { freePort, Postgres, programs, query, rows } from "./postgres.mjs";

const PATIENCE_MS = 60_000;
const PYTHON = process.env.HUBCAST_PYTHON ?? "python3";

/** The reason to skip what needs an instance of PostgreSQL, or false. */
function needsPostgres() {
  if (!process.env.HUBCAST_TEST_POSTGRES) return "HUBCAST_TEST_POSTGRES runs it";
  return !programs() && "PostgreSQL's programs are not here; HUBCAST_PG_BIN can name their directory";
}

const PGBOUNCER = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"].map((place) => join(place, "pgbouncer")).find(existsSync);

async function start(t, env, Kind = Server) {
  const server = new Kind(env);
  t.after(() => server.close());
  await server.start();
  return server;
}

async function instance(t) {
  const postgres = await Postgres.start();
  t.after(() => postgres.remove());
  return postgres;
}

/** Sets a parameter of the instance, or resets it. */
async function configure(postgres, name, value) {
  await query(postgres.url, value === undefined ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${value}'`);
  await query(postgres.url, "SELECT pg_reload_conf()");
}

/** Waits until `/readyz` gives this answer. Nothing else is asked meanwhile. */
const readyz = (server, status, body) =>
  until(
    async () => {
      const answer = await server.call(null, "GET", "/readyz");
      return answer.status === status && JSON.stringify(answer.body) === JSON.stringify(body);
    },
    `/readyz to be ${status} ${JSON.stringify(body)}`,
    PATIENCE_MS,
  );
const ready = (server) => readyz(server, 200, { status: "ok" });
const unready = (server, reason) => readyz(server, 503, { status: "unavailable", reason });

/** Runs PgBouncer in front of the instance, and returns the URL of a database behind it. */
async function pooled(t, postgres, database, settings) {
  const port = await freePort();
  const file = join(postgres.directory, "pgbouncer.ini");
  writeFileSync(
    file,
    `[databases]\n* = host=127.0.0.1 port=${postgres.port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\n` +
      `auth_type = any\nunix_socket_dir =\nmax_client_conn = 200\n${settings}\n`,
  );
  const child = spawn(PGBOUNCER, ["-q", file], { stdio: "ignore", ...postgres.owner });
  t.after(() => child.kill("SIGKILL"));
  const url = `postgres://postgres@127.0.0.1:${port}/${new URL(database).pathname.slice(1)}`;
  await until(() => query(url, "SELECT 1").then(() => true, () => false), "PgBouncer to answer", PATIENCE_MS);
  return url;
}

test("PgBouncer: session mode works, transaction mode without prepared statements is refused at once and leaves no lock", { skip: needsPostgres() || (!PGBOUNCER && "pgbouncer is not here") }, async (t) => {
  const postgres = await instance(t);
  const database = await postgres.createDatabase();
  const url = await pooled(t, postgres, database, "pool_mode = session\ndefault_pool_size = 30");
  const server = await start(t, { DATABASE_URL: url });
  await server.order("alice", 5);
  await ready(server);

  // `max_prepared_statements` came with 1.21, which keeps them by default since 1.22.
  const knowsStatements = spawnSync(PGBOUNCER, ["--version"], { encoding: "utf8" }).stdout.match(/1\.(\d+)/)[1] >= 21;
  const losing = `pool_mode = transaction\ndefault_pool_size = 10\n${knowsStatements ? "max_prepared_statements = 0\n" : ""}`;
  const transactions = await pooled(t, postgres, database, losing);
  const refused = await start(t, { DATABASE_URL: transactions }).then(() => "it started", (error) => error.message);
  assert.match(refused, /ended at its start \(1\)/);
  assert.match(refused, /DATABASE_URL leads through a pooler in transaction mode that loses prepared statements/);
  assert.deepEqual(await rows(postgres.url, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"), []);
  if (!knowsStatements) return;
  const keeping = await pooled(t, postgres, database, "pool_mode = transaction\ndefault_pool_size = 10\nmax_prepared_statements = 200");
  const works = await start(t, { DATABASE_URL: keeping });
  await Promise.all(Array.from({ length: 30 }, () => works.order("alice", 5)));
  await ready(works);
});

test("a database that is read-only after a failover makes the server unready, and a server that starts on one waits", { skip: needsPostgres() }, async (t) => {
  const postgres = await instance(t);
  const DATABASE_URL = await postgres.createDatabase();
  const server = await start(t, { DATABASE_URL });
  await ready(server);
  await configure(postgres, "default_transaction_read_only", "on");
  await unready(server, "The database is read-only");
  assert.equal((await server.call("alice", "POST", "/orders", { total: 5 })).status, 503);

  const waiting = await start(t, { DATABASE_URL, HUBCAST_DEMO: "false" });
  await unready(waiting, "The database is read-only");
  assert.deepEqual((await waiting.call(null, "GET", "/healthz")).body, { status: "ok" });
  assert.deepEqual((await waiting.call(null, "GET", "/orders")).body, { statusCode: 503, message: "The database is read-only", error: "Service Unavailable" });
  await waiting.command("user", "list", "--no-migrate");
  const idle = await start(t, { DATABASE_URL });
  assert.equal((await idle.stop()).code, 0, "one that waits stops at once");

  await configure(postgres, "default_transaction_read_only");
  await ready(server);
  await ready(waiting);
  await waiting.order("alice", 7);
});

test("a COMMIT that a missing standby holds up counts against DATABASE_POOL, and /readyz says so", { skip: needsPostgres() }, async (t) => {
  const postgres = await instance(t);
  const server = await start(t, { DATABASE_URL: await postgres.createDatabase(), DATABASE_POOL: "6" });
  await server.token("alice");
  const connections = async () => Number((await rows(postgres.url, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hubcast'"))[0]);
  await configure(postgres, "synchronous_standby_names", "nobody");
  await unready(server, "The database does not confirm writes; a standby may be missing");
  // Twice the time limit of a write: the second half begins when the first is given up.
  for (let round = 0; round < 2; round += 1) {
    const answers = await Promise.all(Array.from({ length: 12 }, () => server.call("alice", "POST", "/orders", { total: 5 })));
    assert.deepEqual(answers.map(({ status }) => status), Array(12).fill(503));
    assert.ok((await connections()) <= 6, "no more connections than DATABASE_POOL");
  }
  await configure(postgres, "synchronous_standby_names");
  await ready(server);
  await until(() => server.order("alice", 9).catch(() => null), "a write to work again", PATIENCE_MS);
});

test("a lack of connections is over for /readyz when there are connections again, without a new one", { skip: needsPostgres() }, async (t) => {
  const postgres = await instance(t);
  const url = new URL(await postgres.createDatabase());
  const name = url.pathname.slice(1);
  // The limit does not hold for a superuser.
  await query(postgres.url, "CREATE ROLE shop LOGIN");
  await query(postgres.url, `ALTER DATABASE ${name} OWNER TO shop`);
  url.username = "shop";
  const server = await start(t, { DATABASE_URL: url.href });
  await ready(server);
  await server.token("alice");
  await query(postgres.url, `ALTER DATABASE ${name} WITH CONNECTION LIMIT 1`);
  // More reads at once than there are connections, so that some ask for a new one.
  const reads = await Promise.all(Array.from({ length: 40 }, () => server.call("alice", "GET", "/orders")));
  assert.deepEqual(new Set(reads.map(({ status }) => status)), new Set([200, 503]));
  await ready(server);
});

/** A small file system for the test, or null where one may not be made. */
function smallDisk(t, size = "24m") {
  const directory = mkdtempSync(join(tmpdir(), "hubcast-disk-"));
  const made = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory]).status === 0;
  t.after(() => {
    if (made) spawnSync("umount", ["-l", directory]);
    rmSync(directory, { recursive: true, force: true });
  });
  return made ? directory : null;
}

test("a full disk under SQLite: writes are unavailable, the log has a few lines, and /readyz follows", async (t) => {
  const disk = smallDisk(t);
  if (!disk) return t.skip("needs the right to mount a file system");
  const server = await start(t, { DATABASE_URL: `sqlite://${join(disk, "hubcast.db")}` });
  await ready(server);
  // An admin's requests have no rate.
  await server.token("admin");
  const filler = join(disk, "filler");
  spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=4096"]);
  const from = server.log.length;
  const statuses = new Set();
  for (let n = 0; n < 500; n += 1) statuses.add((await server.call("admin", "POST", "/orders", { total: 5 })).status);
  assert.deepEqual([...statuses].filter((status) => ![201, 503].includes(status)), []);
  assert.ok(statuses.has(503));
  await unready(server, "The disk of the database is full");
  const faults = server.log.slice(from).split("\n").filter((line) => /"level":"(ERROR|WARN)"/.test(line));
  assert.ok(faults.length > 0 && faults.length < 40, `${faults.length} lines:\n${faults.slice(0, 5).join("\n")}`);
  rmSync(filler);
  await ready(server);
  await server.order("admin", 5);
});

test("a full disk under PostgreSQL makes the server unready without a write of its own, and room makes it ready", { skip: needsPostgres() }, async (t) => {
  const disk = smallDisk(t, "160m");
  if (!disk) return t.skip("needs the right to mount a file system");
  chmodSync(disk, 0o777);
  const postgres = await Postgres.start(disk);
  t.after(() => postgres.remove());
  const server = await start(t, { DATABASE_URL: postgres.url });
  await ready(server);
  const filler = join(disk, "filler");
  spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=4096"]);
  await unready(server, "The disk of the database is full");
  rmSync(filler);
  await ready(server);
});

test("VACUUM INTO beside a busy server is a whole backup", async (t) => {
  if (process.env.HUBCAST_TEST_POSTGRES) return t.skip("SQLite only");
  const server = await start(t, {});
  const copy = mkdtempSync(join(tmpdir(), "hubcast-copy-"));
  t.after(() => rmSync(copy, { recursive: true, force: true }));
  const answered = [];
  let busy = true;
  const writers = Array.from({ length: 4 }, async () => {
    while (busy) answered.push((await server.order("alice", 5)).id);
  });
  await until(() => answered.length > 100, "orders", PATIENCE_MS);
  const before = [...answered];
  const file = join(copy, "hubcast.db");
  const script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', (sys.argv[2],))";
  execFileSync(PYTHON, ["-c", script, server.databaseFile, file]);
  busy = false;
  await Promise.all(writers);
  const restored = await start(t, { DATABASE_URL: `sqlite://${file}` });
  const found = new Set((await restored.list("admin", "/orders")).map(({ id }) => id));
  assert.deepEqual(before.filter((id) => !found.has(id)), []);
  await restored.order("alice", 5);
});
