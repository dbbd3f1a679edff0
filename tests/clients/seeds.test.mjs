// The clients of the documents that the product grew from, as they are written there.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, until } from "./harness.mjs";

let server;
before(async () => {
  server = await Server.start({ ALLOW_QUERY_USER: "true" });
});
after(() => server?.close());

describe("a socket with auth.Authentication.value", () => {
  test("hears of every product that is added, changed or removed; none on /admin does", async () => {
    const open = async (name, namespace) => {
      const client = server.open(namespace, { auth: { Authentication: { value: await server.token(name) } } });
      await client.next("session");
      return client.mark();
    };
    const everyone = await Promise.all(["alice", "bob", "admin"].map((name) => open(name, "/")));
    const desk = await open("admin", "/admin");
    const added = await server.call("alice", "POST", "/products", { name: "Tea", price: 12.5, stock: 9 });
    const { id, createdAt } = added.body;
    const tea = {
      id, name: "Tea", description: null, price: "12.50", stock: 9, lowStockThreshold: 5, ownerId: await server.id("alice"), createdAt, updatedAt: createdAt,
    };
    assert.deepEqual([added.status, added.body], [201, tea]);
    const changed = await server.call("alice", "PATCH", `/products/${id}`, { price: "13" });
    assert.deepEqual([changed.status, changed.body], [200, { ...tea, price: "13.00", updatedAt: changed.body.updatedAt }]);
    assert.equal((await server.call("alice", "DELETE", `/products/${id}`)).status, 204);
    for (const client of everyone) {
      assert.deepEqual(await client.since(), [
        ["productUpdated", { productId: id, action: "created", product: tea }],
        ["productUpdated", { productId: id, action: "updated", product: changed.body }],
        ["productUpdated", { productId: id, action: "deleted", product: null }],
      ]);
    }
    assert.deepEqual(await desk.since(), []);
  });
});

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
      await alice.mark();
      assert.deepEqual(alice.all("exception"), []);

      const order = await plain.order("alice", "5.00");
      const { id } = order;
      const { body } = await plain.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
      const update = { orderId: id, status: "paid", previousStatus: "pending", customerId: body.customerId, total: "5.00", updatedAt: body.updatedAt };
      const [{ body: [notification] }, { body: count }] = await Promise.all(
        ["/notifications?limit=1", "/notifications/unread-count"].map((path) => plain.call("alice", "GET", path)),
      );
      assert.equal(notification.data.orderId, id);
      assert.deepEqual(await alice.since(), [["orderCreated", order], ["orderUpdate", update], ["notification", notification], ["notifications:unread", count]]);
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
    await alice.mark();
    socket.emit("message:send", { conversationId: String(conversation.id), message: { content: "Hello!", type: "text" } });
    await alice.next("message:new");
    const { body: [message] } = await server.call("alice", "GET", `/conversations/${conversation.id}/messages`);
    assert.deepEqual(message, {
      id: message.id, conversationId: conversation.id, seq: 1, senderId: await server.id("alice"), content: "Hello!", type: "text", createdAt: message.createdAt,
    });
    const { body: done } = await server.call("alice", "PATCH", `/projects/${project.id}`, { status: "done" });
    const stage = await server.post("alice", `/projects/${project.id}/stages`, { name: "One" });
    const completed = await server.post("alice", `/projects/${project.id}/stages/${stage.id}/complete`);
    assert.deepEqual(completed, { ...stage, completedAt: completed.completedAt, completedBy: await server.id("alice") });
    const order = await server.order("alice", "5.00");
    const { body: { updatedAt } } = await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
    const { body: [notification] } = await server.call("alice", "GET", "/notifications?limit=1");
    assert.equal(notification.data.orderId, order.id);
    const { body: count } = await server.call("alice", "GET", "/notifications/unread-count");

    const frames = (await alice.since()).filter(([event]) => !event.startsWith("presence:"));
    const added = frames[2]?.[1].updatedAt;
    assert.ok(added >= done.updatedAt);
    assert.deepEqual(frames, [
      ["message:new", message],
      ["project:update", { projectId: project.id, type: "status_change", data: { status: "done", previousStatus: "active" }, updatedAt: done.updatedAt }],
      ["project:update", { projectId: project.id, type: "stage_added", data: { stage }, updatedAt: added }],
      ["stage:completed", { projectId: project.id, stage: completed }],
      ["orderCreated", order],
      ["orderUpdate", { orderId: order.id, status: "paid", previousStatus: "pending", customerId: order.customerId, total: "5.00", updatedAt }],
      ["notification", notification],
      ["notification:new", notification],
      ["notifications:unread", count],
    ]);
  });

  test("is a customer, whoever it is, and not let in for a user who is not there, or with a bad token", async () => {
    const admin = await open("admin");
    await until(() => admin.all("notifications:unread").length > 0, "the count of notifications");
    await admin.mark();
    const { id } = await server.order("bob", "5.00");
    await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
    assert.deepEqual(await admin.since(), []);
    const unauthorized = (reason) => ({ message: "Unauthorized", data: { code: "unauthorized", reason } });
    for (const userId of ["999999", "x", "0"]) {
      assert.deepEqual(await server.open("", { query: { userId } }).refusal(), unauthorized("invalid"));
    }
    const userId = String(await server.id("alice"));
    assert.deepEqual(await server.open("", { query: { userId }, auth: { token: "bad" } }).refusal(), unauthorized("invalid"));
    const forbidden = { message: "Forbidden", data: { code: "forbidden" } };
    for (const name of ["alice", "admin"]) {
      const query = { userId: String(await server.id(name)) };
      assert.deepEqual(await server.open("/admin", { query }).refusal(), forbidden);
    }
    assert.deepEqual(await server.open("/admin", { query: { userId: "999999" } }).refusal(), unauthorized("invalid"));
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
