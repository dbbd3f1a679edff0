// python-socketio, its asyncio client and its plain one, with handlers that take one argument: what it hears is what the official client
// beside it hears, without an offset behind it, and its calls are acked.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { Server, until, within } from "./harness.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PYTHON = process.env.HUBCAST_PYTHON ?? here(".venv/bin/python");
const lacks = spawnSync(PYTHON, ["-c", "import socketio, aiohttp, requests, websocket"]).status !== 0;
const skip = lacks && "HUBCAST_PYTHON has not got what requirements.txt names; scripts/test makes a venv that has";
const OURS = [
  "message", "message:new", "messageReceived", "conversation:read", "project:update", "stage:completed", "notification", "notification:new",
  "notification:read", "notifications:unread", "orderUpdate", "new_order", "order_shipped", "exception", "error",
];

/** A process of python/client.py. */
class PythonClient {
  /** [{namespace, event, data}], all that its handlers were given. */
  frames = [];
  #acks = [];
  #said = "";

  constructor(kind, url, token, transports, namespaces) {
    this.process = spawn(PYTHON, [here("python/client.py"), kind, url, token, transports, ...namespaces], { stdio: ["pipe", "pipe", "pipe"] });
    this.exited = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.stderr.setEncoding("utf8").on("data", (text) => (this.#said += text));
    createInterface({ input: this.process.stdout }).on("line", (line) => {
      const what = JSON.parse(line);
      if ("event" in what) this.frames.push(what);
      else this.#acks.push(what.ack);
    });
  }

  /** `until`, and with what Python said where it fails. */
  async until(check, what) {
    await until(check, what).catch((error) => {
      throw new Error(`${error.message}\nheard: ${JSON.stringify(this.frames)}\nPython said: ${this.#said}`);
    });
  }

  /** Sends an event and gives its ack. One at a time. */
  async ask(namespace, event, data) {
    this.process.stdin.write(`${JSON.stringify([namespace, event, data])}\n`);
    await this.until(() => this.#acks.length > 0, `the ack of ${event}`);
    return this.#acks.shift();
  }

  all(namespace, event) {
    return this.frames.filter((frame) => frame.namespace === namespace && frame.event === event).map(({ data }) => data);
  }

  /** Lets it come to its end; gives its exit code and what it complained of. */
  async end() {
    this.process.stdin.end();
    return { code: await within(this.exited, "Python to end"), said: this.#said };
  }
}

const WAYS = { "websocket only": "websocket", "polling only": "polling", "polling, then upgrade": "polling,websocket" };
const CLIENTS = ["async", "sync"].flatMap((kind) => Object.entries(WAYS).map(([way, transports]) => ({ kind, way, transports })));

for (const { kind, way, transports } of CLIENTS) {
  describe(`python-socketio's ${kind} client, ${way}`, { skip }, () => {
    let server;
    before(async () => {
      server = await Server.start();
    });
    after(() => server?.close());

    async function connect(t, who, namespaces = ["/"]) {
      const client = new PythonClient(kind, server.url, await server.token(who), transports, namespaces);
      t.after(() => client.process.kill("SIGKILL"));
      await client.until(() => namespaces.every((namespace) => client.all(namespace, "session").length === 1), "its sessions");
      return client;
    }

    /** Each heard the same. In no order: the Python client hands each packet to a thread or task of its own. */
    async function heardTheSame(python, namespace, official) {
      const list = (frames) => frames.filter(({ event }) => OURS.includes(event)).map(({ event, data }) => JSON.stringify([event, data])).toSorted();
      const both = () => [list(python.frames.filter((frame) => frame.namespace === namespace)), list(official.frames)];
      await python.until(() => isDeepStrictEqual(...both()), "what the official client heard").catch(() => assert.deepEqual(...both()));
    }

    test("hears of orders, notifications and messages as the official client does, and sends its own", async (t) => {
      const [alice, bob] = [await server.id("alice"), await server.id("bob")];
      const official = await server.connect("alice");
      const python = await connect(t, "alice");
      const [session] = python.all("/", "session");
      assert.deepEqual(Object.keys(session).toSorted(), ["recovered", "serverTime", "session", "userId"]);
      assert.deepEqual([session.recovered, session.userId], [false, alice]);

      const { id: talk } = await server.post("alice", "/conversations", { memberIds: [bob] });
      const room = { ok: true, room: `conversation:${talk}`, members: [alice], memberCount: 1 };
      assert.deepEqual(await python.ask("/", "join:conversation", { conversationId: talk }), room);
      assert.deepEqual(await official.ask("join:conversation", { conversationId: talk }), room);
      const sent = { conversationId: talk, message: { content: "from Python", type: "text" }, clientId: "p-1" };
      const { ok, message } = await python.ask("/", "message:send", sent);
      assert.deepEqual([ok, message.content, message.seq], [true, "from Python", 1]);
      assert.deepEqual(await python.ask("/", "message:send", sent), { ok: true, message }, "the same clientId: no second message");
      await server.post("bob", `/conversations/${talk}/messages`, { content: "from bob" });
      const { id: notJoined } = await server.post("bob", "/conversations", { memberIds: [alice] });
      await server.post("bob", `/conversations/${notJoined}/messages`, { content: "psst" });

      const { id: project } = await server.post("alice", "/projects", { name: "Garden" });
      await python.ask("/", "join:project", { projectId: project });
      await official.ask("join:project", { projectId: project });
      await server.post("alice", `/projects/${project}/members`, { userId: bob });

      const { id: order } = await server.order("alice", "12.50");
      for (const status of ["paid", "shipped"]) await server.call("admin", "PATCH", `/orders/${order}/status`, { status });
      const [{ id: newest }] = (await server.call("alice", "GET", "/notifications?limit=1")).body;
      assert.deepEqual(await python.ask("/", "notification:read", { id: newest }), await official.ask("notification:read", { id: newest }));
      await heardTheSame(python, "/", official);
      for (const event of ["message:new", "messageReceived", "project:update", "orderUpdate", "notification", "notification:new", "notification:read"]) {
        assert.notEqual(python.all("/", event).length, 0, event);
      }
      assert.deepEqual(await python.end(), { code: 0, said: "" });
    });

    test("hears what comes to /admin beside /", async (t) => {
      const desk = await server.connect("admin", "/admin");
      const python = await connect(t, "admin", ["/", "/admin"]);
      const { id } = await server.order("bob", "7.00");
      await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
      await server.call("admin", "PATCH", `/orders/${id}/ship`);
      await desk.next("order_shipped");
      await heardTheSame(python, "/admin", desk);
      assert.deepEqual(python.all("/admin", "new_order").map(({ orderId }) => orderId), [id]);
      await python.until(() => python.all("/", "orderUpdate").length === 2, "the order's steps on /");
      assert.deepEqual(await python.end(), { code: 0, said: "" });
    });

    test("is told what was wrong, by the ack", async (t) => {
      const python = await connect(t, "bob");
      assert.deepEqual(await python.ask("/", "join:conversation", { conversationId: 999_999 }), {
        ok: false, error: { code: "not_found", message: "Conversation with ID 999999 not found" },
      });
      assert.equal((await python.ask("/", "no:such", {})).error.code, "invalid");
    });

    test("comes back after a kill -9 as a new session, and hears on", async (t) => {
      const python = await connect(t, "bob");
      await server.kill();
      await server.start();
      await python.until(() => python.all("/", "session").length === 2, "a second session");
      const [first, second] = python.all("/", "session");
      assert.deepEqual([first.recovered, second.recovered, first.session === second.session], [false, false, false]);
      const bob = await server.id("bob");
      await server.post("admin", "/notifications", { userId: bob, type: "promotion", title: "Tea", message: "Half the price" });
      await python.until(() => python.all("/", "notification").length === 1, "the notification");
    });
  });
}
