// Crowds behind one address, which no limit may meet at default settings: an office of 500 people,
// and 10,000 sockets that a deploy brings back at once. Prints a line of figures for each, and exits
// 1 when anybody was refused.
//
//   HUBCAST_BIN=target/release/hubcast node scripts/chaos/crowds.mjs [office] [deploy]

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const BINARY = resolve(process.env.HUBCAST_BIN ?? "target/release/hubcast");
const SECRET = "only-for-tests-only-for-tests-only-for-tests";
const PEOPLE = 500;
const SOCKETS = 10_000;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** The token of a person whom the server makes a user at first sight. */
function token(person) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: "office", sub: `person-${person}`, iat: now, exp: now + 3600 };
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${body}.${createHmac("sha256", SECRET).update(body).digest("base64url")}`;
}

const directory = mkdtempSync(join(tmpdir(), "hubcast-chaos-"));
const server = spawn(BINARY, ["serve"], {
  cwd: directory,
  env: {
    PATH: process.env.PATH, HOST: "127.0.0.1", PORT: "0", JWT_SECRET: SECRET, JWT_ISSUER: "office",
    JWT_SUBJECT: "outside", JWT_PROVISION: "on",
  },
});
let log = "";
const port = await new Promise((found, failed) => {
  const read = (text) => {
    log += text;
    const address = /listening on http:\/\/[^:]+:(\d+)/.exec(log);
    if (address) found(Number(address[1]));
  };
  server.stdout.on("data", read);
  server.stderr.on("data", read);
  server.on("exit", () => failed(new Error(`the server ended:\n${log}`)));
});

/** A connection; `answered(text)` resolves when what it has heard since matches. */
function open() {
  const socket = net.connect(port, "127.0.0.1");
  let text = "";
  let check = () => {};
  socket.on("data", (data) => { text += data.toString("latin1"); check(); });
  socket.on("error", () => {});
  socket.answered = (wanted, ms = 60_000) => new Promise((done) => {
    const finish = (isIn) => { clearTimeout(timer); check = () => {}; done(isIn ? "in" : text.slice(0, 40) || "nothing"); text = ""; };
    const timer = setTimeout(finish, ms, false);
    check = () => { if (wanted.test(text)) finish(true); };
    socket.on("close", () => finish(false));
    check();
  });
  return socket;
}

function upgrade(socket, bearer) {
  socket.write(
    `GET /ws?token=${bearer} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  return socket.answered(/"session"/);
}

/** How often each outcome came. */
const count = (outcomes) => outcomes.reduce((all, one) => ({ ...all, [one]: (all[one] ?? 0) + 1 }), {});

async function office() {
  const began = Date.now();
  const outcomes = await Promise.all(Array.from({ length: PEOPLE }, async (_, person) => {
    const bearer = token(person);
    const [line, rest] = [open(), open()];
    const all = [await upgrade(line, bearer)];
    for (let times = 0; times < 5; times += 1) {
      rest.write(`GET /orders HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${bearer}\r\n\r\n`);
      all.push(await rest.answered(/^HTTP\/1\.1 200 [\s\S]*\]$/));
    }
    return { all, line, rest };
  }));
  const open_ = outcomes.filter(({ line }) => !line.destroyed).length;
  outcomes.forEach(({ line, rest }) => { line.destroy(); rest.destroy(); });
  const counted = count(outcomes.flatMap(({ all }) => all));
  const holds = counted.in === PEOPLE * 6 && open_ === PEOPLE;
  return { line: `${PEOPLE} people behind one address, a socket and five requests each: ${JSON.stringify(counted)}, ` +
    `${open_} sockets open, in ${((Date.now() - began) / 1000).toFixed(1)} s`, holds };
}

async function deploy() {
  const tokens = Array.from({ length: PEOPLE }, (_, person) => token(person));
  const all = async () => {
    const began = Date.now();
    const sockets = Array.from({ length: SOCKETS }, open);
    const outcomes = await Promise.all(sockets.map((socket, number) => upgrade(socket, tokens[number % PEOPLE])));
    return { sockets, counted: count(outcomes), took: (Date.now() - began) / 1000 };
  };
  const first = await all();
  first.sockets.forEach((socket) => socket.destroy());
  await sleep(500);
  const again = await all();
  const open_ = again.sockets.filter((socket) => !socket.destroyed).length;
  again.sockets.forEach((socket) => socket.destroy());
  const holds = first.counted.in === SOCKETS && again.counted.in === SOCKETS && open_ === SOCKETS;
  return { line: `${SOCKETS} sockets of one address at once: ${JSON.stringify(first.counted)} in ${first.took.toFixed(1)} s; ` +
    `all back at once: ${JSON.stringify(again.counted)} in ${again.took.toFixed(1)} s, ${open_} open`, holds };
}

let isBroken = false;
const cases = { office, deploy };
for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(cases)) {
  const { line, holds } = await cases[name]();
  isBroken ||= !holds;
  console.log(`${holds ? "holds " : "BROKEN"} ${name}: ${line}`);
}
server.removeAllListeners("exit");
server.kill("SIGKILL");
rmSync(directory, { recursive: true, force: true });
process.exit(isBroken ? 1 : 0);
