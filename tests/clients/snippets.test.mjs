// What docs/clients.md says works as it stands there: its files, in plain JavaScript, React and Vue, show what a user should see, and clean up.

import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Server, sign, until, within } from "./harness.mjs";
import { Proxy } from "./proxy.mjs";
import { blocks, Files } from "./snippets.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PYTHON = process.env.HUBCAST_PYTHON ?? `${HERE}.venv/bin/python`;
const run = promisify(execFile);

/** What a reader's own entry would be: `start` and `startOrders` put a component on the page, and give what takes it away again. */
const ENTRIES = {
  "plain JavaScript": `
    import { showOrders } from "./admin.js";
    export { start } from "./main.js";
    export const startOrders = () => {
      const list = document.querySelector("main").appendChild(document.createElement("ul"));
      list.className = "orders";
      return showOrders(list);
    };`,
  React: `
    import { StrictMode } from "react";
    import { createRoot } from "react-dom/client";
    import { App } from "./react/App.jsx";
    import { AdminOrders } from "./react/AdminOrders.jsx";
    const show = (what) => {
      const root = createRoot(document.body);
      root.render(<StrictMode>{what}</StrictMode>);
      return () => root.unmount();
    };
    export const start = (conversationId) => show(<App conversationId={conversationId} />);
    export const startOrders = () => show(<AdminOrders />);`,
  Vue: `
    import { createApp } from "vue";
    import App from "./vue/App.vue";
    import AdminOrders from "./vue/AdminOrders.vue";
    const show = (...what) => {
      const app = createApp(...what);
      app.mount(document.body);
      return () => app.unmount();
    };
    export const start = (conversationId) => show(App, { conversationId });
    export const startOrders = () => show(AdminOrders);`,
};
const LIBRARY = `export { ask, call, createSocket, session, signIn } from "./hub.js"; export { followLine } from "./line.js"; export { openRoom } from "./room.js";
    export { watchOrders } from "./orders.js"; export { keepSignedIn } from "./token.js";`;

let server;
let proxy;
let files;
let ids;
before(async () => {
  server = await Server.start({ RATE_LOGIN: "1000/s", RATE_REGISTER: "1000/s" });
  proxy = await Proxy.start(server);
  files = new Files(proxy.url);
  ({ ids } = await server.people());
});
after(async () => {
  files?.close();
  proxy?.close();
  await server?.close();
});

/** A page on which that user has signed in, for as long as the test runs. */
async function pageOf(t, code, who) {
  const page = files.open(code);
  t.after(() => page.close());
  await page.snippets.signIn(`${who}@demo.test`, "demo-password");
  return page;
}

/** A conversation of alice's with bob in it. */
const newTalk = async () => (await server.post("alice", "/conversations", { memberIds: [ids.bob] })).id;

test("each block of code is a file, and a test runs it unless it is for Dart", () => {
  const names = blocks.map(({ text, name }) => name ?? text);
  assert.deepEqual(names.toSorted(), [
    "admin.js", "bell.dart", "bell.js", "bell.py", "bell.rs", "bell.sh", "chat.js", "chat.py", "hub.js", "index.html", "line.js", "main.js", "orders.js", "plain.sh",
    "react/AdminOrders.jsx", "react/App.jsx", "react/Bell.jsx", "react/Chat.jsx", "react/useSocket.js", "room.js", "token.js",
    "vue/AdminOrders.vue", "vue/App.vue", "vue/Bell.vue", "vue/Chat.vue", "vue/useSocket.js",
  ]);
});

test("each one that sends a message gives it a clientId, because a retry would store it twice", () => {
  const sending = blocks.filter(({ text }) => text.includes('"message:send"'));
  assert.deepEqual(sending.map(({ name }) => name), ["room.js", "chat.py"]);
  for (const { name, text } of sending) assert.match(text, /clientId/, name);
});

for (const [framework, entry] of Object.entries(ENTRIES)) {
  describe(framework, () => {
    let code;
    before(async () => {
      code = await files.bundle(LIBRARY + entry);
    });

    /** The bell and the chat, live. */
    async function start(t, conversationId, who = "alice") {
      const page = await pageOf(t, code, who);
      page.stop = page.snippets.start(conversationId);
      await page.shows(".line", (text) => text === "live");
      return page;
    }

    test("the badge counts up and a toast appears when a notification comes; a click on the bell clears the badge", async (t) => {
      await server.call("alice", "PATCH", "/notifications/mark-all-read");
      const page = await start(t, await newTalk());
      assert.equal(page.text(".badge"), "");
      for (const [title, count] of [["One", "1"], ["Two", "2"]]) {
        await server.post("admin", "/notifications", { userId: ids.alice, type: "promotion", title, message: "Half the price" });
        await page.shows(".badge", (text) => text === count);
        await until(() => page.texts(".toast").includes(`${title}: Half the price`), "the toast");
      }
      page.click(".bell");
      await page.shows(".badge", (text) => text === "");
      assert.deepEqual(page.complaints, []);
    });

    test("a chat shows what was said before and what is said now, each once and in order, with ticks when it was read", async (t) => {
      const talk = await newTalk();
      await server.post("bob", `/conversations/${talk}/messages`, { content: "Before" });
      const page = await start(t, talk);
      await until(() => page.texts(".messages li").length === 1, "what was said before");
      const bob = await server.connect("bob");
      t.after(() => bob.close());
      await bob.ask("join:conversation", { conversationId: talk });
      await bob.ask("message:send", { conversationId: talk, message: { content: "Now" } });
      page.type(".say input", "Hello");
      assert.equal((await bob.next("typing")).isTyping, true);
      page.click(".say button");
      const { id, senderId, content } = await until(() => bob.all("message:new").find((message) => message.senderId === ids.alice), "alice's message");
      assert.deepEqual([senderId, content], [ids.alice, "Hello"]);
      await until(() => page.texts(".messages li").length === 3, "three messages");
      assert.deepEqual(page.texts(".messages li"), ["Bob: Before", "Bob: Now", "Alice: Hello"]);
      assert.equal(page.find(".say input").value, "");
      await until(() => bob.all("conversation:read").some((read) => read.userId === ids.alice && read.messageId === id), "that alice has read");

      await bob.ask("typing", { conversationId: talk, isTyping: true });
      await page.shows(".note", (text) => text === "Bob is typing");
      await bob.ask("typing", { conversationId: talk, isTyping: false });
      await page.shows(".note", (text) => text === "");
      await bob.ask("conversation:read", { conversationId: talk, messageId: id });
      await until(() => page.texts(".messages li")[2] === "Alice: Hello ✓", "the tick");
      assert.deepEqual(page.complaints, []);
    });

    for (const recovered of [true, false]) {
      test(`a chat whose line breaks misses nothing and shows nothing twice, ${recovered ? "recovered" : "in a new session"}`, async (t) => {
        const talk = await newTalk();
        const say = (content) => server.post("bob", `/conversations/${talk}/messages`, { content });
        await say("one");
        const page = await start(t, talk);
        await until(() => page.texts(".messages li").length === 1, "what was said before");
        const socket = page.window.sockets.find(({ connected }) => connected);
        socket.io.reconnectionDelay(20);
        if (recovered) {
          await proxy.outage(async () => {
            await say("two");
            await page.shows(".line", (text) => text === "waiting");
          });
        } else {
          socket.disconnect();
          await say("two");
          socket.connect();
        }
        await page.shows(".line", (text) => text === "live");
        assert.equal(socket.recovered, recovered);
        await until(() => page.texts(".messages li").length >= 2, "what was missed");
        await say("three");
        await until(() => page.texts(".messages li").length >= 3, "what is new");
        assert.deepEqual(page.texts(".messages li"), ["Bob: one", "Bob: two", "Bob: three"]);
      });
    }

    test("what the server refuses is shown in its words, and the text is still there", async (t) => {
      const talk = await newTalk();
      const page = await start(t, talk, "bob");
      await server.call("alice", "DELETE", `/conversations/${talk}/members/${ids.bob}`);
      page.type(".say input", "Anyone?");
      page.click(".say button");
      await page.shows(".note", (text) => text === `Conversation with ID ${talk} not found`);
      await until(() => page.find(".say input").value === "Anyone?", "the text again");
    });

    test("a new order appears on the desk, and changes its status when it is marked paid", async (t) => {
      const page = await pageOf(t, code, "admin");
      page.stop = page.snippets.startOrders();
      const before = (await server.list("admin", "/orders")).length;
      await until(() => page.texts(".orders li").length === before, "the orders there are");
      const { id } = await server.order("alice", "12.34");
      await page.shows(".orders li", (text) => text.startsWith(`${id}: 12.34, pending`));
      assert.equal(page.texts(".orders li").length, before + 1);
      page.click(".orders li button");
      await page.shows(".orders li", (text) => text === `${id}: 12.34, paid`);
      assert.equal(page.texts(".orders li").length, before + 1);
      assert.deepEqual(page.complaints, []);
      page.stop();
      assert.deepEqual(page.left(), { connected: 0, handlers: 0 });
    });

    test("what is taken away has left the room, its handlers and its connection", async (t) => {
      const talk = await newTalk();
      const page = await start(t, talk);
      await until(async () => (await server.call("bob", "GET", `/presence?room=conversation:${talk}`)).body.members.length === 1, "alice in the room");
      page.stop();
      assert.deepEqual(page.left(), { connected: 0, handlers: 0 });
      // At once: a lost line would count after five seconds only.
      await until(async () => (await server.call("bob", "GET", `/presence?room=conversation:${talk}`)).body.members.length === 0, "nobody in the room", 3_000);
      assert.deepEqual(page.complaints, []);
    });
  });
}

describe("the shared files", () => {
  let code;
  before(async () => {
    code = await files.bundle(LIBRARY);
  });

  test("line.js tells why the server does not let somebody in", async (t) => {
    const page = files.open(code);
    t.after(() => page.close());
    const told = async (namespace) => {
      const socket = page.snippets.createSocket(namespace);
      const words = within(new Promise((resolve) => page.snippets.followLine(socket, (...what) => resolve(what))), "how the line is");
      socket.connect();
      return words;
    };
    assert.deepEqual(await told("/"), ["ended", "missing"]);
    page.snippets.session.token = sign({ sub: String(ids.alice), exp: 1 });
    assert.deepEqual(await told("/"), ["ended", "expired"]);
    await page.snippets.signIn("alice@demo.test", "demo-password");
    assert.deepEqual(await told("/admin"), ["ended", "Forbidden"]);
    assert.deepEqual(await told("/nowhere"), ["ended", "Invalid namespace"]);
    assert.deepEqual(await told("/"), ["live", "new session"]);
  });

  test("hub.js fails with the server's words, by REST and by socket", async (t) => {
    const page = await pageOf(t, code, "alice");
    await assert.rejects(page.snippets.call("POST", "/orders", { total: -1 }), { message: "total must not be less than 0" });
    const socket = page.snippets.createSocket();
    socket.connect();
    const refused = { code: "not_found", message: "Conversation with ID 12345 not found" };
    await assert.rejects(page.snippets.ask(socket, "join:conversation", { conversationId: 12345 }), refused);
  });

  for (const [way, what] of [["there", "both live and by REST is shown once"], ["back", "live only is not lost to an older answer"]]) {
    test(`room.js: what is said while it reads, and comes ${what}`, async (t) => {
      const talk = await newTalk();
      const page = await pageOf(t, code, "alice");
      const { held, letGo } = page.hold("/messages", way);
      const socket = page.snippets.createSocket();
      let shown = [];
      page.snippets.openRoom(socket, talk, ({ messages }) => (shown = Array.from(messages, ({ content }) => content)));
      await server.post("bob", `/conversations/${talk}/messages`, { content: "one" });
      socket.connect();
      await held;
      await server.post("bob", `/conversations/${talk}/messages`, { content: "two" });
      await until(() => shown.includes("two"), "what is live");
      letGo();
      await until(() => shown.includes("one"), "what was before");
      assert.deepEqual(shown, ["one", "two"]);
    });
  }

  test("room.js: who leaves is out of the room at once, and is shown nothing more", async (t) => {
    const talk = await newTalk();
    const page = await pageOf(t, code, "alice");
    const { held, letGo } = page.hold("/messages", "back");
    const socket = page.snippets.createSocket();
    const shown = [];
    const room = page.snippets.openRoom(socket, talk, ({ messages }) => shown.push(messages.length));
    socket.connect();
    await held;
    await server.post("bob", `/conversations/${talk}/messages`, { content: "one" });
    await until(() => shown.at(-1) === 1, "what is live");
    const before = shown.length;
    room.leave();
    await page.snippets.ask(socket, "message", { content: "behind it" });
    assert.deepEqual((await server.call("bob", "GET", `/presence?room=conversation:${talk}`)).body.members, []);
    letGo();
    await server.post("bob", `/conversations/${talk}/messages`, { content: "two" });
    await page.snippets.ask(socket, "message", { content: "behind it" });
    assert.deepEqual([shown[0], shown.length], [0, before]);
  });

  test("room.js: a message whose ack is lost with the line is sent again, and is one message", async (t) => {
    const talk = await newTalk();
    const page = await pageOf(t, code, "alice");
    const socket = page.snippets.createSocket();
    socket.io.opts.transports = ["websocket"];
    socket.io.reconnectionDelay(20);
    let shown = [];
    const room = page.snippets.openRoom(socket, talk, ({ messages }) => (shown = Array.from(messages, ({ content }) => content)));
    socket.connect();
    await server.post("bob", `/conversations/${talk}/messages`, { content: "one" });
    await until(() => shown.length === 1, "that it is in the room");
    const cut = proxy.cutAt((text) => text.includes('"two"'), "before");
    const sent = room.send("two");
    await within(cut, "the line's end");
    assert.equal(await within(sent, "the answer"), true);
    await server.post("bob", `/conversations/${talk}/messages`, { content: "three" });
    await until(() => shown.includes("three"), "what is new");
    assert.deepEqual(shown, ["one", "two", "three"]);
  });

  test("orders.js: an answer that was on its way does not take back what came by the socket", async (t) => {
    const { id } = await server.order("alice", "1.00");
    const page = await pageOf(t, code, "admin");
    const { held, letGo } = page.hold("/orders", "back");
    const socket = page.snippets.createSocket("/admin");
    let shown = [];
    page.snippets.watchOrders(socket, (orders) => (shown = orders));
    socket.connect();
    await held;
    await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
    await until(() => shown.length > 0, "the update");
    letGo();
    await until(() => shown.length > 1, "the others");
    assert.equal(shown.find((order) => order.id === id).status, "paid");
  });

  test("token.js goes on with a new token when the server says that the old one ends", async (t) => {
    const page = await pageOf(t, code, "alice");
    const { session, createSocket, keepSignedIn, ask } = page.snippets;
    const fresh = session.token;
    session.token = sign({ sub: String(ids.alice), exp: Math.floor(Date.now() / 1000) + 3 });
    // One that does not answer, to see when the token's time is over.
    const [silent, socket] = [createSocket(), createSocket()];
    const ended = new Promise((resolve) => silent.once("disconnect", resolve));
    silent.connect();
    await within(new Promise((resolve) => silent.once("session", resolve)), "a socket of the old token");
    let ends = 0;
    socket.on("disconnect", () => (ends += 1));
    keepSignedIn(socket, async () => fresh);
    socket.connect();
    assert.equal(await within(ended, "the token's end"), "io server disconnect");
    assert.equal((await ask(socket, "message", { content: "still there" })).ok, true);
    assert.deepEqual([ends, session.token], [0, fresh]);
    assert.deepEqual(page.complaints, []);
  });
});

describe("a shell", () => {
  const bash = async (name) => {
    // The programs beside the suites, as if they were installed; stdin stays open, as a terminal's.
    const env = { ...process.env, PATH: `${HERE}node_modules/.bin:${process.env.PATH}` };
    return (await run("bash", ["-euo", "pipefail", files.path(name)], { env, timeout: 20_000 })).stdout.split("\n").filter(Boolean);
  };
  const skip = spawnSync("curl", ["--version"]).error && "curl is not installed";

  test("curl orders, ships, and reads at the bell what became of it", { skip }, async () => {
    const [paid, shipped, notifications, count, , none] = (await bash("bell.sh")).map((line) => JSON.parse(line));
    assert.deepEqual([paid.status, shipped.status], ["paid", "shipped"]);
    assert.deepEqual(notifications.map(({ title }) => title), [`Order ${paid.id} is shipped`, `Order ${paid.id} is paid`]);
    assert.ok(count.count >= 2);
    assert.deepEqual(none, { count: 0 });
  });

  test("wscat signs in both ways, is answered, and resumes its session", { skip }, async () => {
    const frames = (await bash("plain.sh")).map((line) => JSON.parse(line.replace(/^< /, "")));
    const sessions = frames.filter(({ event }) => event === "session").map(({ data }) => data);
    assert.deepEqual(sessions.map(({ recovered }) => recovered), [false, false, true]);
    assert.equal(sessions[2].session, sessions[1].session);
    assert.deepEqual(frames.filter(({ ack }) => ack), [{ ack: 1, data: { ok: true } }, { ack: 2, data: { ok: true } }]);
    assert.deepEqual(frames.filter(({ event }) => event === "message").map(({ data }) => data.content), ["Hello", "I am back"]);
  });
});

const lacks = spawnSync(PYTHON, ["-c", "import socketio, aiohttp, requests, websocket"]).status !== 0;
describe("Python", { skip: lacks && "HUBCAST_PYTHON has not got what requirements.txt names; scripts/test makes a venv that has" }, () => {
  test("the plain client tells the count and what comes", async (t) => {
    const python = spawn(PYTHON, [files.path("bell.py")], { stdio: ["ignore", "inherit", "pipe"] });
    t.after(() => python.kill());
    let said = "";
    python.stderr.setEncoding("utf8").on("data", (text) => (said += text));
    await until(() => /^unread: \d+$/m.test(said), "the count");
    await server.post("admin", "/notifications", { userId: ids.alice, type: "promotion", title: "Sale", message: "Half the price" });
    await until(() => /^Sale: Half the price$/m.test(said), "the notification").catch((error) => assert.fail(`${error.message}; said: ${said}`));
  });

  test("the asyncio client joins, says something and hears it", async () => {
    const { stdout } = await run(PYTHON, [files.path("chat.py")], { timeout: 20_000 });
    assert.deepEqual(stdout.trim().split("\n").toSorted(), [`${ids.bob}: Hello from Python`, "sent"]);
  });
});
