// Connection state recovery on the wire: pids, offsets, connections without them, and invalid ones.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { Server, until } from "./harness.mjs";
import { SocketIoLine, behind } from "./lines.mjs";

const OFFSET = /^[^.]+\.\d+(\.[01])?$/;

let server;
let bob;
let token;
before(async () => {
  server = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s" });
  bob = await server.id("bob");
  token = await server.token("bob");
});
after(() => server?.close());

async function enter(t, auth, options) {
  const line = await SocketIoLine.enter(server, auth, options);
  t.after(() => line.cut());
  return line;
}

/** Sends a notification to bob, and returns it as stored. */
async function notify(title) {
  await server.post("admin", "/notifications", { userId: bob, type: "promotion", title, message: "Half the price" });
  return (await server.call("bob", "GET", "/notifications?limit=1")).body[0];
}

const names = ["notification", "notification:new"];
const notified = (line) => line.frames.filter(({ event }) => names.includes(event));

describe("offsets", () => {
  test("are the last argument of session and of stored events, one for each of two names, and of no other", async (t) => {
    const line = await enter(t, { token });
    assert.equal(typeof line.pid, "string");
    assert.match(line.offset, OFFSET);
    await notify("One");
    await line.ask("message", { content: "an echo" });
    await until(() => notified(line).length === 2 && line.all("message").length === 1, "both names and the echo");
    const offsets = notified(line).map(({ offset }) => offset);
    for (const offset of offsets) assert.match(offset, OFFSET);
    assert.equal(new Set([line.offset, ...offsets]).size, 3);
    assert.deepEqual(offsets.map((offset) => offset.split(".").slice(0, 2).join(".")), Array(2).fill(offsets[0].split(".").slice(0, 2).join(".")));
    const without = line.frames.filter(({ offset }) => offset === undefined).map(({ event }) => event);
    assert.deepEqual([...new Set(without)].toSorted(), ["message", "notifications:unread"]);
  });

  test("of replayed frames are those of the original frames", async (t) => {
    const lines = [await enter(t, { token }), await enter(t, { token })];
    lines[1].cut();
    for (const title of ["One", "Two"]) await notify(title);
    await until(() => notified(lines[0]).length === 4, "both");
    const back = await enter(t, { token, pid: lines[1].pid, offset: lines[1].offset });
    await until(() => notified(back).length === 4, "both, replayed");
    assert.deepEqual(notified(back), notified(lines[0]));
  });

  test("each is a point to resume from: earlier events are not repeated, later ones are", async (t) => {
    const line = await enter(t, { token });
    for (const title of ["One", "Two", "Three"]) await notify(title);
    await until(() => notified(line).length === 6, "all three");
    const told = notified(line);
    line.cut();
    for (const [at, offset] of [line.offset, ...told.map(({ offset }) => offset)].entries()) {
      const back = await enter(t, { token, pid: line.pid, offset });
      assert.equal(back.session.recovered, true);
      assert.match(back.offset, OFFSET);
      await back.ask("message", { content: "is that all?" });
      await until(() => notified(back).length >= 6 - at, `${6 - at} frames`);
      assert.deepEqual(notified(back), told.slice(at));
      back.cut();
    }
  });

  test("without an offset, a client with only its pid receives everything since its session began", async (t) => {
    const line = await enter(t, { token });
    await notify("One");
    await until(() => notified(line).length === 2, "the first");
    line.cut();
    await notify("Two");
    const back = await enter(t, { token, pid: line.pid });
    assert.equal(back.session.recovered, true);
    await until(() => notified(back).length >= 4, "both");
    assert.deepEqual(back.all("notification").map(({ title }) => title), ["One", "Two"]);
  });
});

describe("no recovery", () => {
  const ways = [
    ["?recovery=0", { query: "&recovery=0" }],
    ["python-socketio by its User-Agent", { headers: { "User-Agent": "python-requests/2.31" } }],
    ["python-socketio by aiohttp's User-Agent", { headers: { "User-Agent": "Python/3.11 aiohttp/3.9.1" } }],
    ["python-socketio by its decimal t=", { query: "&t=1700000000.1234567" }],
    ["Dart's client outside of a browser", { headers: { "User-Agent": "Dart/3.9 (dart:io)" } }],
    ["Rust's client by its t= in digits and its missing name", { query: "&t=2875459021" }],
  ];
  for (const [what, options] of ways) {
    test(`${what}: no pid and no offset`, async (t) => {
      const raw = [];
      const line = new SocketIoLine(server, { token }, options);
      t.after(() => line.cut());
      line.socket.on("message", (text) => raw.push(text.toString()));
      assert.deepEqual(Object.keys(await line.answer), ["sid"]);
      await line.first("session");
      const told = await notify("One");
      await until(() => notified(line).length === 2, "both names");
      const events = raw.filter((text) => text.startsWith("42")).map((text) => JSON.parse(text.slice(2)));
      assert.deepEqual(events.filter((args) => args.length !== 2), []);
      assert.deepEqual(events.filter(([event]) => names.includes(event)), names.map((name) => [name, told]));
    });
  }

  test("a browser's t= that happens to be digits alone changes nothing", async (t) => {
    const line = new SocketIoLine(server, { token }, { query: "&t=2875459021", headers: { "User-Agent": "Mozilla/5.0" } });
    t.after(() => line.cut());
    assert.deepEqual(Object.keys(await line.answer), ["sid", "pid"]);
  });

  test("the official client with ?recovery=0 has no pid, and reconnects as a new session", async (t) => {
    const { client, proxy } = await behind(t, server, "bob", "/", { query: { recovery: "0" } });
    const args = new Promise((resolve) => client.socket.once("notification", (...all) => resolve(all)));
    assert.deepEqual(await notify("One"), (await args)[0]);
    assert.equal((await args).length, 1);
    await proxy.outage(() => notify("Missed"));
    const session = await client.next("session");
    assert.equal(session.recovered, false);
    assert.notEqual(client.connects[0].id, client.connects[1].id);
    await client.ask("message", { content: "is that all?" });
    assert.deepEqual(client.all("notification").map(({ title }) => title), ["One"]);
  });
});

describe("invalid input", () => {
  const flipped = (text) => text.replace(/[A-Za-z0-9](?=[^A-Za-z0-9]*$)/, (last) => (last === "A" ? "B" : "A"));
  const pids = {
    "a word": () => "x",
    "an empty text": () => "",
    "a number": () => 5,
    "null": () => null,
    "a list": () => [1],
    "an object": () => ({ sid: "x" }),
    "a long text": () => "x".repeat(100_000),
    "its first half": (pid) => pid.slice(0, pid.length >> 1),
    "one with another end": (pid) => flipped(pid),
    "one with another beginning": (pid) => (pid[0] === "A" ? "B" : "A") + pid.slice(1),
    "the sid": (_, sid) => sid,
  };
  test("as a pid is no error, and starts a new session", async (t) => {
    const line = await enter(t, { token });
    line.cut();
    await notify("Missed");
    for (const [what, change] of Object.entries(pids)) {
      const back = await enter(t, { token, pid: change(line.pid, line.sid), offset: line.offset });
      assert.equal(back.session.recovered, false, what);
      assert.notEqual(back.sid, line.sid, what);
      await back.ask("message", { content: "is that all?" });
      assert.deepEqual(notified(back), [], what);
      back.cut();
    }
    const back = await enter(t, { token, pid: line.pid, offset: line.offset });
    assert.equal(back.session.recovered, true, "the true one is still good");
  });

  const offsets = {
    "a word": () => "x",
    "an empty text": () => "",
    "a number": () => 5,
    "null": () => null,
    "a list": () => [1],
    "a long text": () => "1.".repeat(50_000),
    "one below nothing": (epoch) => `${epoch}.-1`,
    "one with a third name": (epoch, id) => `${epoch}.${id}.2`,
    "one with more behind": (epoch, id) => `${epoch}.${id}.0.0`,
    "one without an epoch": (_, id) => `.${id}`,
    "one with a fraction": (epoch) => `${epoch}.1e3`,
  };
  test("as an offset is no error: everything since the session began arrives, or a new session starts", async (t) => {
    const line = await enter(t, { token });
    await notify("One");
    await until(() => notified(line).length === 2, "the first");
    line.cut();
    await notify("Two");
    const [epoch, id] = line.lastOffset.split(".");
    for (const [what, make] of Object.entries(offsets)) {
      const back = await enter(t, { token, pid: line.pid, offset: make(epoch, id) });
      if (back.session.recovered) await until(() => notified(back).length >= 4, `${what}: all since the beginning`);
      await back.ask("message", { content: "is that all?" });
      assert.equal(notified(back).length, back.session.recovered ? 4 : 0, what);
      back.cut();
    }
  });

  const gaps = {
    "one that is not there yet": (epoch, id) => `${epoch}.${Number(id) + 1_000}`,
    "the largest": (epoch) => `${epoch}.${2n ** 63n - 1n}`,
    "one of an epoch that never was": (epoch, id) => `${epoch.replace(/[a-z0-9]$/i, (last) => (last === "1" ? "2" : "1"))}.${id}`,
  };
  test("as an offset that the log cannot have given is reported as a gap: never recovered", async (t) => {
    const line = await enter(t, { token });
    line.cut();
    await notify("Missed");
    const [epoch, id] = line.offset.split(".");
    for (const [what, make] of Object.entries(gaps)) {
      const back = await enter(t, { token, pid: line.pid, offset: make(epoch, id) });
      assert.equal(back.session.recovered, false, what);
      assert.notEqual(back.sid, line.sid, what);
      back.cut();
    }
  });

  test("from a plain WebSocket that then hangs up disturbs nobody", async (t) => {
    const line = await enter(t, { token });
    for (const text of ["40{", '40{"pid":', `40${JSON.stringify({ token, pid: line.pid, offset: "\u0000" })}`, '40{"pid":"\ud800"}']) {
      const socket = new WebSocket(`${server.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
      socket.on("error", () => {});
      await new Promise((resolve) => socket.once("message", resolve));
      await new Promise((resolve) => socket.send(text, resolve));
      socket.terminate();
    }
    assert.equal((await server.call(null, "GET", "/healthz")).status, 200);
    const told = await notify("Still served");
    const other = await enter(t, { token });
    await other.ask("message", { content: "here" });
    assert.equal((await server.call("bob", "GET", "/notifications?limit=1")).body[0].id, told.id);
  });
});
