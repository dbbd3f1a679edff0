// Sign-ins under attack: 120 connections from one address sign in with random e-mails, while
// somebody at another address signs in twelve times. Then an office of 500 behind one address signs
// in at once. Starts the binary that $HUBCAST_BIN names. Exits 1 if a sign-in of somebody else fails
// or takes a second, or if one of the office fails.
//
//   HUBCAST_BIN=target/release/hubcast node scripts/chaos/sign-ins.mjs [attack | office]

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BINARY = process.env.HUBCAST_BIN ?? "target/release/hubcast";
const [ATTACKERS, OTHERS, OFFICE] = [120, 12, 500];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const folder = mkdtempSync(join(tmpdir(), "hubcast-chaos-"));
const server = spawn(BINARY, ["serve"], {
  cwd: folder,
  env: {
    PATH: process.env.PATH, HOST: "127.0.0.1", PORT: "0", HUBCAST_DEMO: "true", LOG_FORMAT: "text",
    DATABASE_URL: `sqlite://${join(folder, "hubcast.db")}`,
  },
  stdio: ["ignore", "ignore", "pipe"],
});
let log = "";
const listening = new Promise((resolve, reject) => {
  server.stderr.setEncoding("utf8").on("data", (chunk) => {
    log += chunk;
    const found = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(log);
    if (found) resolve(Number(found[1]));
  });
  server.once("exit", () => reject(new Error(log)));
});

const port = await listening;

/** One POST from this address of the machine. Returns the status, and how many ms it took. */
function post(path, body, localAddress, agent) {
  return new Promise((resolve) => {
    const began = performance.now();
    const done = (status) => resolve({ status, ms: performance.now() - began });
    const text = JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const request = http.request({ port, host: "127.0.0.1", method: "POST", path, headers, localAddress, agent }, (response) => {
      response.resume().once("end", () => done(response.statusCode));
    });
    request.once("error", () => done(0)).end(text);
  });
}

const count = (answers) => {
  const counts = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return JSON.stringify(counts);
};

async function attack() {
  let on = true;
  const answers = [];
  const attackers = Array.from({ length: ATTACKERS }, async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    while (on) {
      const body = { email: `${Math.random()}@x.test`, password: "guess" };
      answers.push(await post("/auth/login", body, "127.0.0.2", agent));
    }
    agent.destroy();
  });
  await sleep(500);
  const others = [];
  for (let n = 0; n < OTHERS; n += 1) {
    others.push(await post("/auth/login", { email: "alice@demo.test", password: "demo-password" }, "127.0.0.3"));
    await sleep(250);
  }
  on = false;
  await Promise.all(attackers);
  const good = others.filter(({ status }) => status === 200).length;
  const slowest = Math.max(...others.map(({ ms }) => ms));
  console.log(`others: ${good} of ${OTHERS} signed in ${count(others)}, the slowest in ${slowest.toFixed(0)} ms; attackers: ${count(answers)}`);
  return good === OTHERS && slowest < 1000;
}

async function office() {
  const people = Array.from({ length: OFFICE }, (_, n) => ({ email: `person-${n}@office.test`, password: "demo-password" }));
  // Everyone has Alice's password; to register them would take as long as to sign them in.
  execFileSync("python3", ["-c", `
import sqlite3
with sqlite3.connect("${join(folder, "hubcast.db")}", timeout=5) as database:
    for n in range(${OFFICE}):
        email = f"person-{n}@office.test"
        database.execute("INSERT INTO users (email, email_key, name, password_hash, role, created_at) "
            "SELECT ?, ?, 'Person', password_hash, role, created_at FROM users WHERE email = 'alice@demo.test'", (email, email))
`]);
  const began = performance.now();
  const agent = new http.Agent({ maxSockets: OFFICE });
  const answers = await Promise.all(people.map((person) => post("/auth/login", person, "127.0.0.5", agent)));
  const good = answers.filter(({ status }) => status === 200).length;
  console.log(`office: ${good} of ${OFFICE} signed in at once from one address ${count(answers)}, all in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return good === OFFICE;
}

const only = process.argv[2];
const outcome = [only === "office" || (await attack()), only === "attack" || (await office())];
server.removeAllListeners("exit");
server.kill("SIGTERM");
await new Promise((resolve) => server.once("exit", resolve));
for (const line of log.split("\n").filter((line) => line.includes("sign-ins failed"))) console.log(line.replace(/\u001b\[[0-9;]*m/g, "").trim());
rmSync(folder, { recursive: true });
process.exit(outcome.every(Boolean) ? 0 : 1);
