// python-socketio, its asyncio client and its threaded one, over each transport, with handlers of
// one argument: it receives the same events as the official client, without an offset, and its
// calls are acked.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { Server, until, within } from "./harness.mjs";
import { WAYS } from "./ways.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PYTHON = process.env.HUBCAST_PYTHON ?? here(".venv/bin/python");
const lacks = spawnSync(PYTHON, ["-c", "import socketio, aiohttp, requests, websocket"]).status !== 0;
const skip = lacks && "HUBCAST_PYTHON has not got what requirements.txt names; scripts/test makes a venv that has";
const OURS = [
  "message", "message:new", "messageReceived", "conversation:read", "project:update", "stage:completed", "notification", "notification:new",
  "notification:read", "notifications:unread", "orderUpdate", "new_order", "order_shipped", "exception", "error",
];

const BAD = "not.a.token";

// pip before 23.3 installs nothing for an extra that is not written as in the package.
test("docs/ names the extras of Python packages as the packages do", { skip }, () => {
  const docs = here("../../docs/");
  const pages = readdirSync(docs).filter((name) => name.endsWith(".md")).map((name) => readFileSync(docs + name, "utf8"));
  const named = [...pages.join("\n").matchAll(/pip install "([\w-]+)\[([^\]]+)\]"/g)].map(([, name, extra]) => ({ name, extra }));
  assert.ok(named.length > 1);
  for (const { name, extra } of named) {
    const program = `import importlib.metadata as m; print(*m.metadata(${JSON.stringify(name)}).get_all("Provides-Extra"))`;
    const { stdout } = spawnSync(PYTHON, ["-c", program], { encoding: "utf8" });
    assert.ok(stdout.trim().split(" ").includes(extra), `${name}[${extra}]: ${stdout}`);
  }
});

/** Bytes have the JSON form of a Node Buffer. */
const read = (line) => JSON.parse(line, (_, value) => (value?.type === "Buffer" ? Buffer.from(value.data) : value));

/** A process of one of the programs in python/. */
class Python {
  said = "";

  constructor(program, options) {
    this.process = spawn(PYTHON, [here(`python/${program}`), JSON.stringify(options)], { stdio: ["pipe", "pipe", "pipe"] });
    this.exited = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.stderr.setEncoding("utf8").on("data", (text) => (this.said += text));
    this.lines = createInterface({ input: this.process.stdout });
  }
}

/** A process of python/client.py. */
class PythonClient extends Python {
  /** [{namespace, event, data}] of every call of its handlers. */
  frames = [];
  /** The transport of each connect. */
  transports = [];
  #acks = [];

  constructor(options) {
    super("client.py", options);
    this.lines.on("line", (line) => {
      const what = read(line);
      if ("event" in what) this.frames.push(what);
      else if ("transport" in what) this.transports.push(what.transport);
      else this.#acks.push(what.ack);
    });
  }

  /** `until`, with the output of Python on failure. */
  async until(check, what) {
    await until(check, what, 20_000).catch((error) => {
      throw new Error(`${error.message}\nheard: ${JSON.stringify(this.frames.slice(-50))}\nPython said: ${this.said}`);
    });
  }

  /** Sends an event and returns its ack. One at a time. */
  async ask(namespace, event, data) {
    this.process.stdin.write(`${JSON.stringify([namespace, event, data])}\n`);
    await this.until(() => this.#acks.length > 0, `the ack of ${event}`);
    return this.#acks.shift();
  }

  all(namespace, event) {
    return this.frames.filter((frame) => frame.namespace === namespace && frame.event === event).map(({ data }) => data);
  }

  /** Waits for its end. Returns the exit code and stderr. */
  async end() {
    this.process.stdin.end();
    return { code: await within(this.exited, "Python to end"), said: this.said };
  }
}

const CLIENTS = ["async", "sync"].flatMap((kind) => Object.entries(WAYS).map(([way, transports]) => ({ kind, way, transports })));

let server;
before(async () => {
  if (!skip) server = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s" });
});
after(() => server?.close());

/** Signs in and waits for the session event of each namespace. Ends with the test. */
async function connect(t, who, { namespaces = ["/"], ...options }) {
  const client = new PythonClient({ url: server.url, auth: { token: await server.token(who) }, namespaces, ...options });
  t.after(() => client.process.kill("SIGKILL"));
  const isIn = (namespace) => client.all(namespace, "session").length === 1;
  await client.until(() => client.transports.length === 1 && namespaces.every(isIn), "its sessions");
  return client;
}

/** The official client, which ends with the test. */
async function connectOfficial(t, who, namespace) {
  const client = await server.connect(who, namespace);
  t.after(() => client.close());
  return client;
}

/** A function that writes many messages into a new conversation of alice and bob at once, and returns the last seq. */
async function writer() {
  const { id: conversationId } = await server.post("alice", "/conversations", { memberIds: [await server.id("bob")] });
  const write = (alice) => alice.ask("message:send", { conversationId, message: { content: "tea", type: "text" } });
  return async (alice, many) => (await Promise.all(Array.from({ length: many }, () => write(alice)))).at(-1).message.seq;
}

for (const { kind, way, transports } of CLIENTS) {
  describe(`python-socketio's ${kind} client, ${way}`, { skip }, () => {
    /** Both received the same, in any order: the Python client handles each packet in its own thread or task. */
    async function heardTheSame(python, namespace, official) {
      const list = (frames) => frames.filter(({ event }) => OURS.includes(event)).map(({ event, data }) => JSON.stringify([event, data])).toSorted();
      const both = () => [list(python.frames.filter((frame) => frame.namespace === namespace)), list(official.frames)];
      await python.until(() => isDeepStrictEqual(...both()), "what the official client heard").catch(() => assert.deepEqual(...both()));
    }

    test("receives orders, notifications and messages like the official client, and sends its own", async (t) => {
      const [alice, bob] = [await server.id("alice"), await server.id("bob")];
      const official = await connectOfficial(t, "alice");
      const python = await connect(t, "alice", { kind, transports });
      assert.deepEqual(python.transports, [transports.at(-1)]);
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

    test("receives the events of /admin besides /", async (t) => {
      const desk = await connectOfficial(t, "admin", "/admin");
      const python = await connect(t, "admin", { kind, transports, namespaces: ["/", "/admin"] });
      const { id } = await server.order("bob", "7.00");
      await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
      await server.call("admin", "PATCH", `/orders/${id}/ship`);
      await desk.next("order_shipped");
      await heardTheSame(python, "/admin", desk);
      assert.deepEqual(python.all("/admin", "new_order").map(({ orderId }) => orderId), [id]);
      await python.until(() => python.all("/", "orderUpdate").length === 2, "the order's steps on /");
      assert.deepEqual(await python.end(), { code: 0, said: "" });
    });

    test("gets binary data back unchanged, nested and next to other data", async (t) => {
      const python = await connect(t, "bob", { kind, transports, inOrder: true });
      const [short, long] = [Buffer.from([0, 1, 2, 0x1e, 255]), Buffer.alloc(50_000, "äöü")];
      const many = Array.from({ length: 10 }, (_, n) => Buffer.alloc(n, n));
      const contents = [short, long, { short, again: [short, { long }, null], text: "beside" }, many, "text alone"];
      for (const content of contents) assert.deepEqual(await python.ask("/", "message", { content }), { ok: true });
      await python.until(() => python.all("/", "message").length === contents.length, "the last of it");
      assert.deepEqual(python.all("/", "message").map(({ content }) => content), contents);
    });

    test("receives everything that accumulated while it was idle", async (t) => {
      const [alice, write] = [await connectOfficial(t, "alice"), await writer()];
      const python = await connect(t, "bob", { kind, transports, inOrder: true });
      python.process.kill("SIGSTOP");
      // The client accepts at most 16 packets in the answer to one poll.
      const last = await write(alice, 40);
      python.process.kill("SIGCONT");
      const heard = () => python.all("/", "messageReceived").map(({ seq }) => seq);
      await python.until(() => heard().at(-1) === last || python.transports.length > 1, "the last message");
      assert.deepEqual(python.transports, [transports.at(-1)], "it has connected once");
      assert.deepEqual(heard(), Array.from({ length: last }, (_, n) => n + 1));
    });

    test("gets the error in the ack", async (t) => {
      const python = await connect(t, "bob", { kind, transports });
      assert.deepEqual(await python.ask("/", "join:conversation", { conversationId: 999_999 }), {
        ok: false, error: { code: "not_found", message: "Conversation with ID 999999 not found" },
      });
      assert.equal((await python.ask("/", "no:such", {})).error.code, "invalid");
    });

    test("reconnects after a kill -9 as a new session, and receives new events", async (t) => {
      const python = await connect(t, "bob", { kind, transports });
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

describe("of a thousand messages that are written while all of these connect", { skip }, () => {
  // These clients upgrade before they open a namespace, so they receive nothing before the upgrade,
  // which falls into the middle of the writes.
  const ends = [];
  let clients;
  let last;
  before(async () => {
    const scope = { after: (end) => ends.push(end) };
    const [alice, write] = [await connectOfficial(scope, "alice"), await writer()];
    let areIn = false;
    const connecting = Promise.all(CLIENTS.map((client) => connect(scope, "bob", { ...client, inOrder: true }))).finally(() => (areIn = true));
    while (!areIn) await write(alice, 20);
    clients = await connecting;
    last = await write(alice, 1_000);
  });
  after(() => ends.forEach((end) => end()));

  for (const [n, { kind, way, transports }] of CLIENTS.entries()) {
    test(`the ${kind} client, ${way}, receives each once and in order, from its session on`, async () => {
      const heard = () => clients[n].all("/", "messageReceived").map(({ seq }) => seq);
      await clients[n].until(() => heard().at(-1) === last || clients[n].transports.length > 1, "the last message");
      assert.deepEqual(clients[n].transports, [transports.at(-1)], "it has connected once");
      const [first] = heard();
      assert.ok(first <= last - 999);
      assert.deepEqual(heard(), Array.from({ length: last - first + 1 }, (_, n) => first + n));
    });
  }
});

/** The places where these clients may put a token. */
const PLACES = {
  "auth.token": (token) => ({ auth: { token } }),
  "auth.Authentication as a string": (token) => ({ auth: { Authentication: token } }),
  "auth.Authentication.value": (token) => ({ auth: { Authentication: { value: token } } }),
  "the Authorization header": (token) => ({ headers: { Authorization: `Bearer ${token}` } }),
  "the Authentication cookie": (token) => ({ headers: { Cookie: `theme=dark; Authentication=${token}` } }),
  "the query": (token) => ({ url: `${server.url}/?token=${token}` }),
};

/** A bad token in each place, and a valid one in a later place. */
const BAD_BEFORE_GOOD = {
  "auth.token before auth.Authentication": (good) => ({ auth: { token: BAD, Authentication: good } }),
  "auth.Authentication before the header": (good) => ({ auth: { Authentication: BAD }, headers: { Authorization: `Bearer ${good}` } }),
  "the header before the cookie": (good) => ({ headers: { Authorization: `Bearer ${BAD}`, Cookie: `Authentication=${good}` } }),
  "the cookie before the query": (good) => ({ headers: { Cookie: `Authentication=${BAD}` }, url: `${server.url}/?token=${good}` }),
};

const unauthorized = (reason) => ({ message: "Unauthorized", data: { code: "unauthorized", reason } });
const CASES = [
  ...Object.entries(PLACES).map(([place, options]) => ({ name: `with a token in ${place} is let in`, options })),
  ...Object.entries(PLACES).map(([place, options]) => ({
    name: `with a bad token in ${place} is refused`, options: () => options(BAD), refused: unauthorized("invalid"),
  })),
  ...Object.entries(BAD_BEFORE_GOOD).map(([places, options]) => ({
    name: `with ${places}: a bad token is not saved by the good one behind it`, options, refused: unauthorized("invalid"),
  })),
  { name: "without a token is refused", options: () => ({}), refused: unauthorized("missing") },
  {
    name: "of a customer on /admin is refused", options: (token) => ({ auth: { token }, namespace: "/admin" }),
    refused: { message: "Forbidden", data: { code: "forbidden" } },
  },
  {
    name: "on a namespace that there is not is refused", options: (token) => ({ auth: { token }, namespace: "/shop" }),
    refused: { message: "Invalid namespace" },
  },
];

for (const { kind, way, transports } of CLIENTS) {
  describe(`a connection of python-socketio's ${kind} client, ${way},`, { skip }, () => {
    // One process for all of them, because Python is slow to start.
    const answers = new Map();
    before(async () => {
      const token = await server.token("alice");
      const attempts = CASES.map(({ options }) => ({ url: server.url, ...options(token) }));
      const python = new Python("attempts.py", { kind, transports, attempts });
      const lines = [];
      python.lines.on("line", (line) => lines.push(line));
      const code = await within(python.exited, "Python to end", 300_000).finally(() => python.process.kill("SIGKILL"));
      assert.deepEqual({ code, said: python.said }, { code: 0, said: "" });
      for (const [n, line] of lines.entries()) answers.set(CASES[n].name, read(line));
    });

    for (const { name, refused } of CASES) {
      test(name, async () => {
        const answer = answers.get(name);
        if (refused) return assert.deepEqual(answer, { refused });
        const { session, serverTime } = answer.session;
        const userId = await server.id("alice");
        assert.deepEqual(answer, { session: { session, userId, recovered: false, serverTime }, transport: transports.at(-1) });
      });
    }
  });
}
