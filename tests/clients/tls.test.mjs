// https and wss: the official client over each transport and during upgrades, the plain WebSocket,
// REST; and peers that violate TLS. Several workers, so that a WebSocket may land on another worker
// than its session.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { Duplex } from "node:stream";
import { after, before, describe, test } from "node:test";
import tls from "node:tls";
import WebSocket from "ws";
import { makeCertificates, TlsServer } from "./certificates.mjs";
import { Client, until, within } from "./harness.mjs";

const WAYS = { "websocket only": ["websocket"], "polling only": ["polling"], "polling, then upgrade": ["polling", "websocket"] };

let certificates;
let ids;
let server;
before(async () => {
  certificates = makeCertificates();
  server = await TlsServer.with(certificates, { WORKERS: "4", RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s", RUST_LOG: "info,hubcast=debug" });
  ({ ids } = await server.people());
});
after(async () => {
  await server?.close();
  certificates?.remove();
});

const transport = (client) => client.socket.io.engine.transport.name;
const numbers = (client) => client.all("notification").map(({ title }) => Number(title));

/** Sends notifications to this user, numbered from `first`. */
async function notify(userId, first, many) {
  for (let n = first; n < first + many; n += 1) {
    await server.post("admin", "/notifications", { userId, type: "promotion", title: `${n}`, message: "Tea" });
  }
}

for (const [name, transports] of Object.entries(WAYS)) {
  describe(name, () => {
    test("connects, receives events and acks on several namespaces of one connection", async (t) => {
      const client = await server.connect("admin", "/", { transports });
      const admin = new Client(client.socket.io.socket("/admin", { auth: { token: await server.token("admin") } }));
      t.after(() => [client, admin].forEach(({ socket }) => socket.disconnect()));
      await admin.next("session");
      const { id } = await server.order("alice", "5.00");
      await until(() => admin.all("new_order").some((order) => order.orderId === id), "the order");
      assert.equal((await client.ask("notification:read-all")).ok, true);
    });

    test("gets binary data back unchanged", async (t) => {
      const client = await server.connect("bob", "/", { transports });
      t.after(() => client.socket.disconnect());
      const [short, long] = [Buffer.from([0, 1, 2, 0x1e, 255]), Buffer.alloc(500_000, "äöü")];
      for (const content of [short, { short, again: [short, { long }], text: "beside" }, "text alone"]) {
        client.socket.emit("message", { content });
        const back = await client.next("message");
        assert.deepEqual([back.content, back.from], [content, ids.bob]);
      }
    });

    test("receives a thousand events once and in order, also during an upgrade", async (t) => {
      const writing = notify(ids.bob, 0, 1_000);
      const client = server.open("/", { transports, auth: { token: await server.token("bob") } });
      t.after(() => client.socket.disconnect());
      await client.next("session");
      await writing;
      await notify(ids.bob, 1_000, 1);
      await until(() => numbers(client).at(-1) === 1_000, "the last one");
      const heard = numbers(client);
      assert.deepEqual(heard, Array.from({ length: heard.length }, (_, n) => 1_001 - heard.length + n));
      assert.equal(transport(client), transports.at(-1));
    });

    test("reconnects after a restart, and resumes", async (t) => {
      const client = await server.connect("alice", "/", { transports });
      t.after(() => client.socket.disconnect());
      await server.kill();
      await server.start();
      assert.equal((await client.next("session")).recovered, true);
      await notify(ids.alice, 5_000, 1);
      await until(() => numbers(client).at(-1) === 5_000, "what is new");
    });
  });
}

test("many polling clients upgrade at the same time, between any two workers", async (t) => {
  const clients = await Promise.all(Array.from({ length: 24 }, () => server.connect("alice", "/", { transports: ["polling", "websocket"] })));
  t.after(() => clients.forEach(({ socket }) => socket.disconnect()));
  await until(() => clients.every((client) => transport(client) === "websocket"), "all of them to move");
  for (const client of clients) {
    const content = Buffer.alloc(70_000, client.socket.id);
    assert.equal((await client.ask("message", { content })).ok, true);
    assert.deepEqual((await client.next("message")).content, content);
  }
});

/** A plain socket, signed in as `who`, that records its frames. */
async function plain(who, at = server, options = { ca: certificates.ca }) {
  const socket = new WebSocket(`${at.url.replace("http", "ws")}/ws?token=${await at.token(who)}`, options);
  const frames = [];
  socket.on("message", (text) => frames.push(JSON.parse(text.toString()))).on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", (code) => resolve(code)));
  await until(() => frames.length >= 2, "the first frames");
  const send = (event, data, id) => socket.send(JSON.stringify({ event, data, id }));
  return { socket, frames, closed, send, all: (event) => frames.filter((frame) => frame.event === event).map(({ data }) => data) };
}

/** A TCP connection that can hold back its bytes, and send them in one piece. */
class Held extends Duplex {
  kept = [];
  #holds = false;

  constructor(tcp) {
    super();
    this.tcp = tcp.on("data", (bytes) => this.push(bytes)).on("error", () => {}).once("close", () => this.destroy());
  }

  hold() {
    this.#holds = true;
  }

  letGo() {
    this.#holds = false;
    this.tcp.write(Buffer.concat(this.kept));
  }

  _read() {}

  _write(bytes, _, done) {
    if (this.#holds) this.kept.push(bytes);
    else this.tcp.write(bytes);
    done();
  }

  _destroy(error, done) {
    this.tcp.destroy();
    done(error);
  }
}

describe("the plain WebSocket", () => {
  test("signs in, sends and receives", async () => {
    const line = await plain("alice");
    line.send("message", { content: "äöü".repeat(50_000) }, 7);
    await until(() => line.frames.some(({ ack, data }) => ack === 7 && data.ok), "the ack");
    assert.equal(line.all("message")[0].content, "äöü".repeat(50_000));
    await notify(ids.alice, 7_000, 1);
    await until(() => line.all("notification").some(({ title }) => title === "7000"), "the notification");
    line.socket.close(1000);
    assert.equal(await line.closed, 1000);
  });

  test("gets an answer to every frame of one TLS record", async () => {
    const held = new Held(net.connect(server.port, "127.0.0.1"));
    const line = await plain("alice", server, { createConnection: () => tls.connect({ socket: held, host: "127.0.0.1", ca: certificates.ca }) });
    held.hold();
    for (let id = 1; id <= 9; id += 1) {
      line.send("notification:read-all", undefined, id);
      await until(() => held.kept.length === id, "a record of its own");
    }
    held.letGo();
    await until(() => line.frames.filter(({ ack }) => ack).length === 9, "the acks");
    line.socket.terminate();
  });

  test("gets the reason of a close", async () => {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws?token=none`, { ca: certificates.ca });
    assert.equal(await within(new Promise((resolve) => socket.once("close", resolve)), "the close"), 4401);
  });

  test("accepts pages of our own https origin, and not those of http", async () => {
    const upgrade = (origin) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`, { ca: certificates.ca, origin });
        socket.once("open", () => resolve(socket.close() ?? 101)).once("unexpected-response", (_, response) => resolve(response.statusCode));
        socket.once("error", reject);
      });
    assert.equal(await upgrade(server.url), 101);
    assert.equal(await upgrade(server.url.replace("https", "http")), 403);
  });
});

/** openssl's client on one connection: `say` sends, `heard()` is its output, `said()` its errors. */
function openssl(t, ...options) {
  const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${server.port}`, "-CAfile", certificates.caFile, "-verify_return_error", ...options]);
  t.after(() => child.kill());
  let [out, err] = ["", ""];
  child.stdout.setEncoding("latin1").on("data", (text) => (out += text));
  child.stderr.setEncoding("latin1").on("data", (text) => (err += text));
  const ended = new Promise((resolve) => child.once("close", resolve));
  return { say: (bytes) => child.stdin.write(bytes), heard: () => out, said: () => err, ended };
}

/** A client's frame with a mask of zeros. */
const frame = (opcode, text = "") => Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);

const handshake = async () =>
  [
    `GET /ws?token=${await server.token("alice")} HTTP/1.1`, `Host: 127.0.0.1:${server.port}`, "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "",
  ].join("\r\n");

describe("TLS itself", () => {
  const shake = (options) =>
    within(
      new Promise((resolve, reject) => {
        const socket = tls.connect({ host: "127.0.0.1", port: server.port, ca: certificates.ca, ...options });
        socket.once("error", reject).once("secureConnect", () => resolve([socket.getProtocol(), socket.alpnProtocol, socket.destroy()].slice(0, 2)));
      }),
      "the handshake",
    );

  test("is 1.3 or 1.2, and speaks http/1.1", async () => {
    assert.deepEqual(await shake({ ALPNProtocols: ["h2", "http/1.1"] }), ["TLSv1.3", "http/1.1"]);
    assert.deepEqual(await shake({ maxVersion: "TLSv1.2" }), ["TLSv1.2", false]);
    await assert.rejects(shake({ minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }));
    await assert.rejects(shake({ ALPNProtocols: ["h2"] }), /no application protocol/i);
  });

  test("presents a certificate that only clients with its CA accept", async () => {
    await assert.rejects(shake({ ca: undefined }), { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
  });

  test("is ended by close_notify, after the close frame of the WebSocket", async (t) => {
    const client = openssl(t, "-quiet");
    client.say(await handshake());
    await until(() => client.heard().includes('"session"'), "the session");
    client.say(frame(8));
    await within(client.ended, "the end");
    assert.match(client.heard(), /\x88\x00$/);
    assert.doesNotMatch(client.said(), /unexpected eof/);
  });

  test("continues with new keys when the client requests them", async (t) => {
    const client = openssl(t, "-tls1_3");
    client.say(await handshake());
    await until(() => client.heard().includes('"session"'), "the session");
    for (const id of [1, 2]) {
      client.say("K\n");
      await until(() => client.said().split("KEYUPDATE").length > id, "the new keys");
      client.say(frame(1, JSON.stringify({ event: "notification:read-all", id })));
      await until(() => client.heard().includes(`"ack":${id}`), `the answer; came so far: ${client.heard()} ${client.said()}`);
    }
  });
});

describe("a peer that violates TLS", () => {
  const connect = (t, bytes) => {
    const socket = net.connect(server.port, "127.0.0.1", () => bytes && socket.write(bytes));
    t.after(() => socket.destroy());
    return within(new Promise((resolve) => socket.on("error", () => {}).resume().once("close", resolve)), "the end", 15_000);
  };

  test("is refused when it sends plain HTTP", async () => {
    const asked = new Promise((resolve, reject) => http.get({ host: "127.0.0.1", port: server.port, path: "/healthz" }, resolve).once("error", reject));
    await assert.rejects(within(asked, "the refusal", 3_000), (error) => !/in vain/.test(error.message));
  });

  test("is closed when it sends garbage, nothing, or half a handshake, and others are not affected", async (t) => {
    const hello = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1]);
    const ends = ["garbage\n", Buffer.alloc(100_000, 0xff), hello, null].flatMap((bytes) => Array.from({ length: 5 }, () => connect(t, bytes)));
    const client = await server.connect("bob", "/", { transports: ["polling", "websocket"] });
    t.after(() => client.socket.disconnect());
    assert.equal((await client.ask("notification:read-all")).ok, true);
    assert.equal((await server.call(null, "GET", "/healthz")).status, 200);
    await Promise.all(ends);
  });
});

test("a renewed certificate is shown to new connections, and those that are there stay", async (t) => {
  const [files, renewed] = [makeCertificates(), makeCertificates()];
  const own = await TlsServer.with(files);
  t.after(() => own.close().then(() => [files, renewed].forEach((made) => made.remove())));
  const client = await own.connect("bob", "/", { transports: ["websocket"] });
  const shown = () =>
    new Promise((resolve, reject) => {
      const socket = tls.connect({ host: "127.0.0.1", port: own.port, ca: renewed.ca }, () => socket.end());
      socket.once("secureConnect", () => resolve(socket.getPeerCertificate().serialNumber)).once("error", () => resolve(null));
      socket.once("close", reject);
    });
  assert.equal(await shown(), null);
  // One file after the other, as tools that renew certificates do it.
  copyFileSync(renewed.certificate, files.certificate);
  copyFileSync(renewed.key, files.key);
  own.signal("SIGHUP");
  assert.equal(await until(shown, "the renewed certificate", 60_000), "01");
  assert.equal((await client.ask("notification:read-all")).ok, true);
});

describe("a slow peer", () => {
  const content = "x".repeat(100_000);

  for (const [what, limits] of Object.entries({ "more than its outbox": { OUTBOX_LIMIT: "256KiB" }, "what it does not take for long": { OUTBOX_LIMIT: "256MiB", STALL_TIMEOUT: "1s" } })) {
    test(`is closed when it does not read, and there is ${what}; others receive events`, async (t) => {
      const own = await TlsServer.with(certificates, { WORKERS: "1", RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s", RUST_LOG: "info,hubcast=debug", ...limits });
      t.after(() => own.close());
      const [idle, other] = [await plain("alice", own), await own.connect("bob")];
      idle.socket.pause();
      for (let n = 0; n < 300; n += 1) idle.send("message", { content });
      await until(() => own.log.includes('"slow_consumer"'), "the cut", 20_000);
      assert.equal((await other.ask("message", { content })).ok, true);
      assert.equal((await other.next("message")).content, content);
      idle.socket.resume();
      assert.equal(await within(idle.closed, "the end"), 1006);
    });
  }

  test("receives everything when it reads slowly", async (t) => {
    const own = await TlsServer.with(certificates, { WORKERS: "1", RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s", OUTBOX_LIMIT: "256MiB", STALL_TIMEOUT: "2s" });
    t.after(() => own.close());
    const slow = await plain("alice", own);
    const pausing = setInterval(() => (slow.socket.isPaused ? slow.socket.resume() : slow.socket.pause()), 15);
    t.after(() => clearInterval(pausing));
    for (let n = 0; n < 120; n += 1) slow.send("message", { content: `${n} ${content}` });
    await until(() => slow.all("message").length === 120, "all of them", 60_000);
    assert.deepEqual(slow.all("message").map((data) => data.content), Array.from({ length: 120 }, (_, n) => `${n} ${content}`));
    slow.socket.resume();
    slow.socket.close();
    await slow.closed;
  });
});
