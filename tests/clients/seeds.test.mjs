// The clients of the documents that the product grew from, as they are written there.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server } from "./harness.mjs";

let server;
before(async () => {
  server = await Server.start({ ALLOW_QUERY_USER: "true" });
});
after(() => server?.close());

describe("a first socket", () => {
  test("sends message and gets it back, with who sent it and when", async () => {
    const [alice, elsewhere] = [await server.connect("alice"), await server.connect("alice")];
    alice.socket.emit("message", { content: "Hello, server!" });
    const back = await alice.next("message");
    assert.deepEqual({ ...back, at: "" }, { content: "Hello, server!", from: await server.id("alice"), at: "" });
    assert.match(back.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    for (const content of [{ nested: [1, "two", null, 12345.5] }, 0, false, ["a"]]) {
      assert.deepEqual(await alice.ask("message", { content }), { ok: true });
      assert.deepEqual((await alice.next("message")).content, content);
    }
    await elsewhere.ask("message", { content: "mine" });
    assert.deepEqual(elsewhere.all("message").map(({ content }) => content), ["mine"]);
  });

  test("is told by error, and by exception, what was wrong with what it sent", async () => {
    const alice = await server.connect("alice");
    alice.socket.emit("message", {});
    const expected = { status: "error", code: "invalid", message: "content should not be empty", event: "message" };
    assert.deepEqual(await alice.next("error"), expected);
    assert.deepEqual(await alice.next("exception"), expected);
    assert.deepEqual(await alice.ask("message"), { ok: false, error: { code: "invalid", message: "content should not be empty" } });
  });

  test("hears nothing under the older names where EVENT_ALIASES is off", async () => {
    const plain = await Server.start({ EVENT_ALIASES: "off" });
    try {
      const alice = await plain.connect("alice");
      alice.socket.emit("message", {});
      await alice.next("error");
      await alice.ask("message", { content: 1 });
      assert.deepEqual(alice.all("exception"), []);
    } finally {
      await plain.close();
    }
  });
});

describe("a socket that comes with ?userId= alone", () => {
  const open = async (name) => {
    const client = server.open("", { query: { userId: String(await server.id(name)) } });
    await client.next("session");
    return client;
  };

  test("joins a project and a conversation and hears what happens there", async () => {
    const { body: project } = await server.call("alice", "POST", "/projects", { name: "Seed" });
    const { body: conversation } = await server.call("alice", "POST", "/conversations", { projectId: project.id });
    const alice = await open("alice");
    const { socket } = alice;
    socket.emit("join:project", { projectId: String(project.id) });
    socket.emit("join:conversation", { conversationId: String(conversation.id) });
    socket.emit("message:send", { conversationId: String(conversation.id), message: { content: "Hello!", type: "text" } });
    const { content, type, senderId, seq } = await alice.next("message:new");
    assert.deepEqual({ content, type, senderId, seq }, { content: "Hello!", type: "text", senderId: await server.id("alice"), seq: 1 });
    await server.call("alice", "PATCH", `/projects/${project.id}`, { status: "done" });
    const { type: change, data } = await alice.next("project:update");
    assert.deepEqual({ change, data }, { change: "status_change", data: { status: "done", previousStatus: "active" } });
    const { body: stage } = await server.call("alice", "POST", `/projects/${project.id}/stages`, { name: "One" });
    await server.call("alice", "POST", `/projects/${project.id}/stages/${stage.id}/complete`);
    assert.equal((await alice.next("stage:completed")).stage.id, stage.id);
    const { id } = await server.order("alice", "5.00");
    await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
    assert.equal((await alice.next("notification:new")).data.orderId, id);
  });

  test("is a customer, whoever it is, and not let in for a user who is not there, or with a bad token", async () => {
    const admin = await open("admin");
    const { id } = await server.order("bob", "5.00");
    await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
    await admin.ask("message", { content: 1 });
    assert.deepEqual(admin.all("orderUpdate"), []);
    const unauthorized = (reason) => ({ message: "Unauthorized", data: { code: "unauthorized", reason } });
    for (const userId of ["999999", "x", "0"]) {
      assert.deepEqual(await server.open("", { query: { userId } }).refusal(), unauthorized("invalid"));
    }
    const userId = String(await server.id("alice"));
    assert.deepEqual(await server.open("", { query: { userId }, auth: { token: "bad" } }).refusal(), unauthorized("invalid"));
    assert.deepEqual(await server.open("/admin", { query: { userId } }).refusal(), unauthorized("missing"));
    assert.equal((await server.call(null, "GET", `/orders?userId=${userId}`)).status, 401);
  });

  test("is not believed unless ALLOW_QUERY_USER is set", async () => {
    const strict = await Server.start();
    try {
      const { data } = await strict.open("", { query: { userId: String(await strict.id("alice")) } }).refusal();
      assert.deepEqual(data, { code: "unauthorized", reason: "missing" });
    } finally {
      await strict.close();
    }
  });
});
