// Engine.IO's long-polling by raw HTTP requests, and a raw WebSocket for the upgrade.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { Server, until } from "./harness.mjs";

let server;
let token;
before(async () => {
  server = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s", MAX_PAYLOAD: "2000" });
  token = await server.token("alice");
});
after(() => server?.close());

const agent = new http.Agent({ keepAlive: true });
after(() => agent.destroy());

/** Sends one request. Returns {status, body, headers}. `at` is appended to `/socket.io/?EIO=4&transport=polling`. */
function request(method, at = "", { body, headers, query = "EIO=4&transport=polling", signal } = {}) {
  return new Promise((resolve, reject) => {
    const sent = http.request(`${server.url}/socket.io/?${query}${at}`, { method, agent, headers, signal }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve({ status: answer.statusCode, body: Buffer.concat(chunks).toString(), headers: answer.headers }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const poll = (sid, options) => request("GET", `&sid=${sid}`, options);
const post = (sid, body, options) => request("POST", `&sid=${sid}`, { body, ...options });

/** Opens a session, and returns its sid. */
async function open() {
  const { status, body } = await request("GET");
  assert.equal(status, 200);
  return JSON.parse(body.slice(1)).sid;
}

/** Opens a session that joins `/`. Returns it with its first packets. */
async function join() {
  const sid = await open();
  assert.deepEqual(await post(sid, `40{"token":"${token}"}`).then(({ status, body }) => [status, body]), [200, "ok"]);
  let greeted = "";
  while (!greeted.includes("notifications:unread")) greeted += `${(await poll(sid)).body}\x1e`;
  return { sid, greeted: greeted.split("\x1e").filter(Boolean) };
}

const UNKNOWN = [400, '{"code":1,"message":"Session ID unknown"}'];
const short = ({ status, body }) => [status, body];

describe("a handshake", () => {
  test("answers with the open packet", async () => {
    const { status, body, headers } = await request("GET");
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
    assert.equal(headers["cache-control"], "no-store");
    const { sid, ...rest } = JSON.parse(body.slice(1));
    assert.match(sid, /^[\w-]{20}$/);
    assert.deepEqual(rest, { upgrades: ["websocket"], pingInterval: 25_000, pingTimeout: 20_000, maxPayload: 2_000 });
  });

  for (const [name, method, query, expected] of [
    ["without a transport", "GET", "EIO=4", [400, '{"code":0,"message":"Transport unknown"}']],
    ["with an unknown transport", "GET", "EIO=4&transport=pigeon", [400, '{"code":0,"message":"Transport unknown"}']],
    ["with an unknown session", "GET", "EIO=4&transport=polling&sid=none", UNKNOWN],
    ["by POST", "POST", "EIO=4&transport=polling", [400, '{"code":2,"message":"Bad handshake method"}']],
    ["by PUT", "PUT", "EIO=4&transport=polling", [400, '{"code":2,"message":"Bad handshake method"}']],
    ["for a WebSocket that is none", "GET", "EIO=4&transport=websocket", [400, '{"code":3,"message":"Bad request"}']],
    ["of version 3", "GET", "EIO=3&transport=polling", [400, '{"code":5,"message":"Unsupported protocol version"}']],
    ["of no version", "GET", "transport=polling", [400, '{"code":5,"message":"Unsupported protocol version"}']],
  ]) {
    test(`${name} is refused`, async () => assert.deepEqual(short(await request(method, "", { query })), expected));
  }

  test("from a foreign Origin is refused", async () => {
    const answer = await request("GET", "", { headers: { origin: "https://elsewhere.test" } });
    assert.deepEqual(short(answer), [403, '{"code":4,"message":"Forbidden"}']);
  });
});

describe("a session", () => {
  test("gets waiting packets in one payload, and else waits for the next", async () => {
    const { sid, greeted } = await join();
    assert.match(greeted[0], /^40\{"sid":"[\w-]+","pid":"[^"]+"\}$/);
    assert.match(greeted[1], /^42\["session",\{/);
    assert.match(greeted[2], /^42\["notifications:unread",\{"count":\d+\}\]$/);
    const waiting = poll(sid);
    await server.post("admin", "/notifications", { userId: await server.id("alice"), type: "promotion", title: "Tea", message: "Tea" });
    let heard = (await waiting).body;
    while (!heard.includes("notifications:unread")) heard += `\x1e${(await poll(sid)).body}`;
    assert.deepEqual(heard.split("\x1e").map((packet) => JSON.parse(packet.slice(2))[0]), ["notification", "notification:new", "notifications:unread"]);
    await post(sid, "41\x1e1");
    assert.deepEqual(short(await poll(sid)), UNKNOWN);
  });

  test("handles several packets of one POST in order", async () => {
    const { sid } = await join();
    await post(sid, '420["notification:read-all"]\x1e421["none"]\x1e422["notification:read-all"]');
    let acks = "";
    while (!acks.includes("432[")) acks += `\x1e${(await poll(sid)).body}`;
    assert.deepEqual(acks.match(/43\d\[/g), ["430[", "431[", "432["]);
  });

  test("ends with a second poll during the first", async () => {
    const { sid } = await join();
    const first = poll(sid);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(short(await poll(sid)), [400, '{"code":3,"message":"Bad request"}']);
    assert.deepEqual(short(await first), [200, "1"]);
    assert.deepEqual(short(await poll(sid)), UNKNOWN);
  });

  test("ends with an aborted poll", async () => {
    const { sid } = await join();
    const away = new AbortController();
    const broken = poll(sid, { signal: away.signal });
    await new Promise((resolve) => setTimeout(resolve, 50));
    away.abort();
    await assert.rejects(broken);
    await until(async () => (await post(sid, "3")).body === UNKNOWN[1], "its end");
  });

  test("ends with a malformed packet", async () => {
    for (const packet of ["", "7", "4", "49", '42["a"]\x1e', "b!", "2x", "42[]", "4\xff"]) {
      const { sid } = await join();
      assert.deepEqual(short(await post(sid, Buffer.from(packet, "latin1"))), [400, '{"code":3,"message":"Bad request"}'], packet);
      assert.deepEqual(short(await poll(sid)), UNKNOWN, packet);
    }
  });

  test("ignores packets that only a server sends", async () => {
    const { sid } = await join();
    assert.deepEqual(short(await post(sid, '0{"sid":"x"}\x1e5\x1e6')), [200, "ok"]);
    assert.deepEqual(short(await post(sid, '420["notification:read-all"]')), [200, "ok"]);
    assert.match((await poll(sid)).body, /430\[/);
  });

  test("that is closed by the client answers the open poll", async () => {
    const { sid } = await join();
    const waiting = poll(sid);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(short(await post(sid, "1")), [200, "ok"]);
    assert.deepEqual(short(await waiting), [200, "6"]);
    assert.deepEqual(short(await poll(sid)), UNKNOWN);
  });

  test("refuses a body above MAX_PAYLOAD, and goes on", async () => {
    const { sid } = await join();
    assert.equal((await post(sid, `42["x","${"y".repeat(2_000)}"]`)).status, 413);
    assert.deepEqual(short(await post(sid, "3")), [200, "ok"]);
  });

  test("refuses a binary body", async () => {
    const { sid } = await join();
    assert.equal((await post(sid, "3", { headers: { "content-type": "application/octet-stream" } })).status, 400);
    await until(async () => (await poll(sid)).body === UNKNOWN[1], "its end");
  });
});

/** A raw WebSocket to this session, which records its packets. */
function socket(sid, query = "EIO=4&transport=websocket") {
  const ws = new WebSocket(`${server.url.replace("http", "ws")}/socket.io/?${query}&sid=${sid}`);
  const heard = [];
  ws.on("message", (data) => heard.push(data.toString()));
  ws.on("error", () => {});
  const closed = new Promise((resolve) => ws.once("close", (code) => resolve(code)));
  return { ws, heard, closed, opened: new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject)) };
}

describe("the upgrade to a WebSocket", () => {
  test("answers the open poll, and continues with the waiting packets", async () => {
    const { sid } = await join();
    const waiting = poll(sid);
    const { ws, heard, opened, closed } = socket(sid);
    await opened;
    ws.send("2probe");
    await until(() => heard.includes("3probe"), "the probe's answer");
    assert.deepEqual(short(await waiting), [200, "6"]);
    await post(sid, '420["notification:read-all"]');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(heard, ["3probe"]);
    ws.send("5");
    ws.send('421["notification:read-all"]');
    await until(() => heard.some((packet) => packet.startsWith("431")), "the second ack");
    assert.deepEqual(heard.filter((packet) => packet.startsWith("43")).map((packet) => packet.slice(0, 3)), ["430", "431"]);
    assert.deepEqual(short(await poll(sid)), [400, '{"code":3,"message":"Bad request"}']);
    assert.deepEqual(short(await post(sid, "3")), [400, '{"code":3,"message":"Bad request"}']);
    ws.send("1");
    await closed;
    await until(async () => (await poll(sid)).body === UNKNOWN[1], "its end");
  });

  test("with a wrong probe fails, and polling goes on", async () => {
    for (const words of ["2", "5", "2probe!", '42["a"]']) {
      const { sid } = await join();
      const { ws, opened, closed } = socket(sid);
      await opened;
      ws.send(words);
      await closed;
      assert.deepEqual(short(await post(sid, '420["notification:read-all"]')), [200, "ok"]);
      assert.match((await poll(sid)).body, /430\[/);
    }
  });

  test("is refused to a second WebSocket meanwhile, and to an unknown session", async () => {
    const { sid } = await join();
    const first = socket(sid);
    await first.opened;
    first.ws.send("2probe");
    await until(() => first.heard.length === 1, "the probe's answer");
    const second = socket(sid);
    await second.opened;
    await second.closed;
    first.ws.close();
    await first.closed;
    await assert.rejects(socket("none").opened, /400/);
  });
});
