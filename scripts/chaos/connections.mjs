// Attacks on connections, by one client without a token, or by one customer. Each case prints one
// line of figures, and the script exits 1 when a bound is broken.
//
//   HUBCAST_BIN=target/release/hubcast node scripts/chaos/connections.mjs [case …]
//
// | case | attack | bound |
// | --- | --- | --- |
// | bodies | 200 sign-ins, each with 900 kB of a body that does not end | 48 MiB more memory, all closed within 13 s |
// | descriptors | 256 descriptors, 250 sign-ins with one byte of a body | for 12 s /healthz within 1.5 s for a probe with an address of its own, and in four of five tries for one at the attacker's |
// | sockets | 256 descriptors, 240 sockets of one customer | another customer's socket opens |
// | unread | 12 large answers that nobody reads | 32 MiB more memory, or all of it back within 25 s |
// | heads | 50 second requests on a connection whose head does not come | all closed within 14 s |

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const BINARY = resolve(process.env.HUBCAST_BIN ?? "target/release/hubcast");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A demo server in a directory of its own, with at most `files` descriptors. */
class Server {
  static async start(env = {}, files = 0) {
    const server = new Server();
    server.directory = mkdtempSync(join(tmpdir(), "hubcast-chaos-"));
    const limit = files > 0 ? `ulimit -n ${files}; ` : "";
    server.process = spawn("sh", ["-c", `${limit}exec "${BINARY}" serve --demo`], {
      cwd: server.directory,
      env: { PATH: process.env.PATH, HOST: "127.0.0.1", PORT: "0", RATE_LOGIN: "100000/s", ...env },
    });
    let log = "";
    server.port = await new Promise((found, failed) => {
      const read = (text) => {
        log += text;
        const address = /listening on http:\/\/[^:]+:(\d+)/.exec(log);
        if (address) found(Number(address[1]));
      };
      server.process.stdout.on("data", read);
      server.process.stderr.on("data", read);
      server.process.on("exit", () => failed(new Error(`the server ended:\n${log}`)));
    });
    return server;
  }

  /** Resident memory in MiB. */
  memory() {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.process.pid}/status`, "utf8"))[1]) / 1024;
  }

  /** A connection that has sent `text`. `socket.text` is what it has heard. */
  open(text, from = "127.0.0.1") {
    const socket = net.connect({ port: this.port, host: "127.0.0.1", localAddress: from });
    socket.text = "";
    socket.ended = new Promise((ended) => socket.on("close", ended));
    socket.isOpen = true;
    socket.on("close", () => { socket.isOpen = false; });
    socket.on("error", () => {});
    socket.on("data", (data) => { socket.text += data.toString("latin1"); });
    if (text) socket.write(text);
    return socket;
  }

  /** One request on a connection of its own. Resolves with the status, 0 when there is none. */
  async request(head, body = "", ms = 10_000, from) {
    const socket = this.open(`${head}\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, from);
    await Promise.race([socket.ended, sleep(ms)]);
    socket.destroy();
    return { status: Number(socket.text.slice(9, 12)), body: socket.text.split("\r\n\r\n")[1] ?? "" };
  }

  async signIn(name) {
    const body = JSON.stringify({ email: `${name}@demo.test`, password: "demo-password" });
    const answer = await this.request("POST /auth/login HTTP/1.1\r\nContent-Type: application/json", body);
    return JSON.parse(answer.body).accessToken;
  }

  /** The answer of a plain WebSocket's handshake, and the socket. */
  async socket(token, ms = 5000) {
    const socket = this.open(
      `GET /ws?token=${token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    const end = Date.now() + ms;
    while (socket.isOpen && !socket.text.includes('"session"') && Date.now() < end) await sleep(5);
    return socket;
  }

  stop() {
    this.process.removeAllListeners("exit");
    this.process.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** How long `condition` takes to hold, in ms; `ms` when it does not. */
async function until(condition, ms) {
  const began = Date.now();
  while (Date.now() - began < ms) {
    if (await condition()) return Date.now() - began;
    await sleep(50);
  }
  return ms;
}

const LOGIN = "POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
const MIB = (number) => `${number.toFixed(0)} MiB`;

const CASES = {
  async bodies() {
    const server = await Server.start();
    try {
      await server.signIn("alice");
      const before = server.memory();
      const part = "x".repeat(900_000);
      const began = Date.now();
      const all = Array.from({ length: 200 }, () => server.open(`${LOGIN}Content-Length: 1000000\r\n\r\n${part}`));
      let most = before;
      let open = all.length;
      while (Date.now() - began < 16_000 && open > 0) {
        await sleep(100);
        most = Math.max(most, server.memory());
        open = all.filter((socket) => socket.isOpen).length;
      }
      const took = (Date.now() - began) / 1000;
      all.forEach((socket) => socket.destroy());
      const stalled = Array.from({ length: 200 }, () => server.open(`${LOGIN}Content-Length: 100\r\n\r\n{`));
      const late = await until(() => !stalled.some((socket) => socket.isOpen), 16_000);
      const timedOut = stalled.filter((socket) => socket.text.startsWith("HTTP/1.1 408")).length;
      stalled.forEach((socket) => socket.destroy());
      return {
        line: `memory ${MIB(before)} → ${MIB(most)}, ${open} of 200 open after ${took.toFixed(1)} s; ` +
          `of 200 one-byte bodies ${timedOut} got 408, after ${(late / 1000).toFixed(1)} s`,
        holds: most - before <= 48 && open === 0 && timedOut === 200 && late < 13_000,
      };
    } finally {
      server.stop();
    }
  },

  async descriptors() {
    const server = await Server.start({}, 256);
    try {
      const began = Date.now();
      const all = [];
      // A probe at an address of its own, and one that shares the attacker's.
      const probes = { "127.0.0.2": { times: [], failed: 0 }, "127.0.0.1": { times: [], failed: 0 } };
      while (Date.now() - began < 12_000) {
        while (all.filter((socket) => socket.isOpen).length < 250) {
          all.push(server.open(`${LOGIN}Content-Length: 100\r\n\r\n{`));
          if (all.length % 50 === 0) await sleep(1);
        }
        for (const [from, probe] of Object.entries(probes)) {
          const at = Date.now();
          const { status } = await server.request("GET /healthz HTTP/1.1", "", 3000, from);
          if (status === 200) probe.times.push(Date.now() - at);
          else probe.failed += 1;
        }
        await sleep(100);
      }
      all.forEach((socket) => socket.destroy());
      const told = Object.entries(probes).map(([from, { times, failed }]) => `${from === "127.0.0.1" ? "from the same address" : "from another"} ${times.length} times, at most after ${Math.max(0, ...times)} ms, and ${failed} times not`);
      const { times, failed } = probes["127.0.0.2"];
      const shared = probes["127.0.0.1"];
      return {
        line: `256 descriptors, 250 one-byte bodies held for 12 s, each opened again when it is closed (${all.length} opened): /healthz answered ${told.join("; ")}`,
        holds: failed === 0 && times.length > 0 && Math.max(...times) < 1500 && shared.failed * 4 <= shared.times.length,
      };
    } finally {
      server.stop();
    }
  },

  async sockets() {
    const server = await Server.start({}, 256);
    try {
      const [alice, bob] = [await server.signIn("alice"), await server.signIn("bob")];
      const all = [];
      for (let count = 0; count < 240; count += 1) {
        const socket = await server.socket(alice, 1000);
        all.push(socket);
        if (!socket.isOpen || !socket.text.includes('"session"')) break;
      }
      await sleep(500);
      const open = all.filter((socket) => socket.isOpen).length;
      const other = await server.socket(bob, 3000);
      const isIn = other.text.includes('"session"');
      const health = (await server.request("GET /healthz HTTP/1.1", "", 3000)).status;
      [...all, other].forEach((socket) => socket.destroy());
      return {
        line: `256 descriptors: of ${all.length} sockets of one customer ${open} are open; another's ` +
          `${isIn ? "gets in" : "is shut out"}, /healthz ${health}`,
        holds: isIn && health === 200,
      };
    } finally {
      server.stop();
    }
  },

  async unread() {
    const server = await Server.start();
    try {
      const admin = await server.signIn("admin");
      const json = `Content-Type: application/json\r\nAuthorization: Bearer ${admin}`;
      // A page of a hundred messages of 180 kB each.
      const made = await server.request(`POST /conversations HTTP/1.1\r\n${json}`, "{}");
      const path = `/conversations/${JSON.parse(made.body).id}/messages`;
      for (let count = 0; count < 100; count += 1) {
        const { status } = await server.request(`POST ${path} HTTP/1.1\r\n${json}`, JSON.stringify({ content: "字".repeat(60_000) }));
        if (status !== 201) throw new Error(`a message was answered ${status}`);
      }
      const { body } = await server.request(`GET ${path}?limit=100 HTTP/1.1\r\nAuthorization: Bearer ${admin}`);
      const before = server.memory();
      const all = Array.from({ length: 12 }, () => {
        const socket = server.open(`GET ${path}?limit=100 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${admin}\r\n\r\n`);
        socket.pause();
        return socket;
      });
      await sleep(3000);
      const held = server.memory();
      const took = await until(() => server.memory() < before + (held - before) / 4, 25_000);
      const after = server.memory();
      all.forEach((socket) => socket.destroy());
      return {
        line: `12 unread answers of ${(body.length / 1e6).toFixed(1)} MB: memory ${MIB(before)} → ${MIB(held)}, ` +
          `${MIB(after)} after ${((took + 3000) / 1000).toFixed(1)} s`,
        holds: held - before <= 32 || took < 25_000,
      };
    } finally {
      server.stop();
    }
  },

  async heads() {
    const server = await Server.start();
    try {
      const whole = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
      const all = Array.from({ length: 50 }, () => server.open(`${whole}GET /healthz HT`));
      await sleep(500);
      all.forEach((socket) => socket.isOpen && socket.write("TP/1.1\r\nX-"));
      const took = await until(() => !all.some((socket) => socket.isOpen), 20_000);
      const open = all.filter((socket) => socket.isOpen).length;
      all.forEach((socket) => socket.destroy());
      return { line: `50 second requests without an end: ${open} open after ${(took / 1000).toFixed(1)} s`, holds: open === 0 && took < 14_000 };
    } finally {
      server.stop();
    }
  },
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(CASES);
let isBroken = false;
for (const name of wanted) {
  const { line, holds } = await CASES[name]();
  isBroken ||= !holds;
  console.log(`${holds ? "holds " : "BROKEN"} ${name}: ${line}`);
}
process.exit(isBroken ? 1 : 0);
