// Seed 003: an order that REST places or changes reaches exactly the right sockets of the official
// client.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server } from "./harness.mjs";

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.close());

/** The order events of a socket. */
const orderFrames = (client) => client.frames.filter(({ event }) => ["new_order", "orderUpdate", "order_shipped"].includes(event));

/** An order of alice in `status`. */
async function orderIn(status) {
  const order = await server.order("alice", "10.00");
  const way = { pending: [], paid: ["paid"], shipped: ["paid", "shipped"], delivered: ["paid", "shipped", "delivered"], cancelled: ["cancelled"] };
  for (const step of way[status]) {
    const answer = await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: step });
    assert.equal(answer.status, 200);
  }
  return order;
}

describe("POST /orders", () => {
  test("answers 201 with the order and sends new_order with exactly its four fields to /admin", async () => {
    const desk = await server.connect("admin", "/admin");
    const { status, body } = await server.call("alice", "POST", "/orders", { total: 25.5 });

    const aliceId = await server.id("alice");
    assert.equal(status, 201);
    assert.match(body.createdAt, TIME);
    const { id, createdAt, ...rest } = body;
    assert.ok(Number.isSafeInteger(id) && id > 0);
    assert.deepEqual(rest, { customerId: aliceId, total: "25.50", status: "pending", updatedAt: createdAt, shippedAt: null, items: [] });
    assert.deepEqual(await desk.next("new_order"), { orderId: id, customerId: aliceId, total: "25.50", createdAt });
  });

  test("sends orderCreated with the order to all of the customer's sockets on /, whoever places it, and to nobody else", async () => {
    const phones = [await server.connect("alice"), await server.connect("alice")];
    const others = [await server.connect("bob"), await server.connect("admin")];
    const product = await server.post("admin", "/products", { name: "Tea", price: "2.50", stock: 6 });
    const items = [{ productId: product.id, quantity: 2 }];
    const placed = [
      await server.order("alice", "1.00"),
      await server.post("alice", "/orders", { items }),
      await server.order("admin", "2.00", { customerId: await server.id("alice") }),
    ];
    for (const phone of phones) {
      for (const order of placed) assert.deepEqual(await phone.next("orderCreated"), order);
    }
    for (const other of others) {
      await other.mark();
      assert.deepEqual(other.all("orderCreated"), []);
    }
  });

  test("sends new_order to nobody on /, not even to the admin's sockets there", async () => {
    const desk = await server.connect("admin", "/admin");
    const others = [await server.connect("admin"), await server.connect("alice"), await server.connect("bob")];
    const placed = [await server.order("alice", "1.00"), await server.order("bob", "2.00")];
    await desk.next("new_order");
    await desk.next("new_order");

    // A later change reaches each of them, so no earlier event can still be in flight.
    for (const { id } of placed) await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
    for (const other of others) {
      await other.next("orderUpdate");
      assert.deepEqual(other.all("new_order"), []);
    }
  });

  test("an admin orders for anyone, or without a customer", async () => {
    const desk = await server.connect("admin", "/admin");
    const bobId = await server.id("bob");
    const forBob = await server.order("admin", 3, { customerId: bobId });
    const forNoOne = await server.order("admin", 4);
    assert.equal(forBob.customerId, bobId);
    assert.equal(forNoOne.customerId, null);
    assert.deepEqual(await desk.next("new_order"), { orderId: forBob.id, customerId: bobId, total: "3.00", createdAt: forBob.createdAt });
    assert.deepEqual(await desk.next("new_order"), { orderId: forNoOne.id, customerId: null, total: "4.00", createdAt: forNoOne.createdAt });
  });

  test("a customer orders only for itself", async () => {
    const answer = await server.call("alice", "POST", "/orders", { total: 1, customerId: await server.id("bob") });
    assert.equal(answer.status, 403);
    assert.deepEqual(answer.body, { statusCode: 403, message: "Forbidden resource", error: "Forbidden" });
  });

  for (const [sent, total] of [["0", "0.00"], ["12.3", "12.30"], ['"12.30"', "12.30"], ["99999999999999.99", "99999999999999.99"]]) {
    test(`accepts a total of ${sent} and returns it as "${total}"`, async () => {
      const { status, body } = await server.call("alice", "POST", "/orders", `{"total":${sent}}`);
      assert.equal(status, 201);
      assert.equal(body.total, total);
    });
  }

  test("lists every fault of a body in one 400", async () => {
    const { status, body } = await server.call("alice", "POST", "/orders", { total: -1, foo: 1, bar: 2 });
    assert.equal(status, 400);
    assert.deepEqual(
      { ...body, message: body.message.toSorted() },
      { statusCode: 400, message: ["property bar should not exist", "property foo should not exist", "total must not be less than 0"], error: "Bad Request" },
    );
  });

  for (const [what, sent] of [
    ["no total", "{}"],
    ["three places", '{"total":1.234}'],
    ["a text that is no number", '{"total":"much"}'],
    ["15 digits before the point", '{"total":100000000000000}'],
    ["null", '{"total":null}'],
    ["a list", "[]"],
    ["what is not JSON", "{"],
    ["nothing", ""],
  ]) {
    test(`refuses ${what} with 400 in the usual shape, and writes nothing`, async () => {
      const count = async () => (await server.call("bob", "GET", "/orders?limit=200")).body.length;
      const before = await count();
      const { status, body } = await server.call("bob", "POST", "/orders", sent);
      assert.equal(status, 400, JSON.stringify(body));
      assert.deepEqual(Object.keys(body).toSorted(), ["error", "message", "statusCode"]);
      assert.equal(body.statusCode, 400);
      assert.equal(body.error, "Bad Request");
      assert.ok([body.message].flat().every((fault) => typeof fault === "string" && fault.length > 0));
      assert.equal(await count(), before);
    });
  }

  test("the same Idempotency-Key returns the first answer again, without a second order or event", async () => {
    const desk = await server.connect("admin", "/admin");
    const post = (total, key) => server.call("alice", "POST", "/orders", { total }, { "Idempotency-Key": key });
    const answers = await Promise.all(Array.from({ length: 8 }, () => post("7.77", "eight-at-once")));
    for (const { status, body } of answers) assert.deepEqual({ status, body }, { status: 201, body: answers[0].body });

    const other = await post("8.88", "eight-at-once");
    assert.equal(other.status, 422);
    assert.equal(other.body.statusCode, 422);

    const last = await server.order("alice", "9.99");
    await desk.next("new_order");
    assert.equal((await desk.next("new_order")).orderId, last.id);
    assert.equal(desk.all("new_order").length, 2);
  });
});

describe("GET /orders", () => {
  test("returns an order with its customer, the same in the list and alone", async () => {
    const order = await server.order("alice", "11.00");
    const alone = await server.call("alice", "GET", `/orders/${order.id}`);
    assert.equal(alone.status, 200);
    const { customer, ...rest } = alone.body;
    assert.deepEqual(rest, order);
    const { createdAt, ...who } = customer;
    assert.match(createdAt, TIME);
    assert.deepEqual(who, { id: await server.id("alice"), email: "alice@demo.test", name: "Alice", role: "customer" });

    const list = await server.call("alice", "GET", "/orders");
    assert.deepEqual(list.body[0], alone.body);
  });

  test("returns a customer its own orders, newest first, and an admin all", async () => {
    const first = await server.order("bob", "1.00");
    const second = await server.order("bob", "2.00");
    const others = await server.order("alice", "3.00");
    const bobs = (await server.call("bob", "GET", "/orders?limit=200")).body;
    const all = (await server.call("admin", "GET", "/orders?limit=200")).body;
    assert.deepEqual(bobs.slice(0, 2).map(({ id }) => id), [second.id, first.id]);
    assert.ok(bobs.every(({ customerId }) => customerId === bobs[0].customerId));
    assert.deepEqual(all.slice(0, 3).map(({ id }) => id), [others.id, second.id, first.id]);
  });

  test("pages by the Link header, without loss or repetition", async () => {
    for (let i = 0; i < 5; i += 1) await server.order("alice", "1.00");
    const whole = (await server.call("alice", "GET", "/orders?limit=200")).body.map(({ id }) => id);
    const paged = [];
    let path = "/orders?limit=2";
    while (path) {
      const { body, headers } = await server.call("alice", "GET", path);
      assert.ok(body.length <= 2);
      paged.push(...body.map(({ id }) => id));
      path = /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
    }
    assert.deepEqual(paged, whole);
  });

  test("answers 404 for an unknown order, and the same for one of another customer", async () => {
    const order = await server.order("alice", "1.00");
    for (const [who, id] of [["alice", 999999], ["bob", order.id]]) {
      const { status, body } = await server.call(who, "GET", `/orders/${id}`);
      assert.equal(status, 404);
      assert.deepEqual(body, { statusCode: 404, message: `Order with ID ${id} not found`, error: "Not Found" });
    }
  });

  test("answers 400 for an id that is no number", async () => {
    const { status, body } = await server.call("alice", "GET", "/orders/five");
    assert.equal(status, 400);
    assert.deepEqual(body, { statusCode: 400, message: "Validation failed (numeric string is expected)", error: "Bad Request" });
  });

  test("answers 401 without a token, and with a bad one", async () => {
    for (const who of [null, "not.a.token"]) {
      const { status, body } = await server.call(who, "GET", "/orders");
      assert.equal(status, 401);
      assert.equal(body.statusCode, 401);
      assert.equal(body.message, "Unauthorized");
    }
  });
});

describe("PATCH /orders/:id", () => {
  test("status: orderUpdate once to each of the customer's and the admins' sockets, and to no other customer", async () => {
    const desk = await server.connect("admin", "/admin");
    const admin = await server.connect("admin");
    const alice = [await server.connect("alice"), await server.connect("alice")];
    const bob = await server.connect("bob");
    const order = await server.order("alice", "30.00");
    const bobs = await server.order("bob", "40.00");

    const answer = await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
    const { items: _, ...itself } = order;
    assert.deepEqual([answer.status, answer.body], [200, { ...itself, status: "paid", updatedAt: answer.body.updatedAt }]);
    // An update of bob's order ends the check: any event of alice's order came before it.
    const closing = await server.call("admin", "PATCH", `/orders/${bobs.id}/status`, { status: "cancelled" });

    const update = { orderId: order.id, status: "paid", previousStatus: "pending", customerId: order.customerId, total: "30.00", updatedAt: answer.body.updatedAt };
    const last = { orderId: bobs.id, status: "cancelled", previousStatus: "pending", customerId: bobs.customerId, total: "40.00", updatedAt: closing.body.updatedAt };
    const asFrames = (...updates) => updates.map((data) => ({ event: "orderUpdate", data }));
    for (const client of [desk, admin]) {
      assert.deepEqual(await client.next("orderUpdate"), update);
      assert.deepEqual(await client.next("orderUpdate"), last);
    }
    assert.deepEqual(orderFrames(desk).filter(({ event }) => event === "orderUpdate"), asFrames(update, last));
    assert.deepEqual(orderFrames(admin), asFrames(update, last));
    await bob.next("orderUpdate");
    assert.deepEqual(orderFrames(bob), asFrames(last));

    // Alice receives nothing of bob's order; the next status of her own ends the check.
    const shipped = await server.call("admin", "PATCH", `/orders/${order.id}/ship`);
    for (const client of alice) {
      await client.next("orderUpdate");
      await client.next("orderUpdate");
      assert.deepEqual(orderFrames(client), asFrames(update, { ...update, status: "shipped", previousStatus: "paid", updatedAt: shipped.body.updatedAt }));
    }
  });

  test("ship: also order_shipped on /admin, and there only", async () => {
    const desk = await server.connect("admin", "/admin");
    const others = [await server.connect("admin"), await server.connect("alice")];
    const order = await orderIn("paid");
    const { status, body } = await server.call("admin", "PATCH", `/orders/${order.id}/ship`);
    assert.match(body.shippedAt, TIME);
    const { items: _, ...itself } = order;
    assert.deepEqual([status, body], [200, { ...itself, status: "shipped", updatedAt: body.shippedAt, shippedAt: body.shippedAt }]);
    assert.deepEqual(await desk.next("order_shipped"), { orderId: order.id, customerId: order.customerId, shippedAt: body.shippedAt });

    await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "delivered" });
    for (const client of [desk, ...others]) {
      assert.deepEqual([(await client.next("orderUpdate")).status, (await client.next("orderUpdate")).status, (await client.next("orderUpdate")).status], [
        "paid",
        "shipped",
        "delivered",
      ]);
    }
    assert.equal(desk.all("order_shipped").length, 1);
    for (const client of others) assert.deepEqual(client.all("order_shipped"), []);
  });

  test("sends nothing else: all events of each socket from the placing of an order to its shipment", async () => {
    const [desk, ...on] = await Promise.all([server.connect("admin", "/admin"), ...["admin", "alice", "alice", "bob"].map((who) => server.connect(who))]);
    for (const client of [desk, ...on]) await client.mark();
    const { body: { count } } = await server.call("alice", "GET", "/notifications/unread-count");
    const order = await server.order("alice", "30.00");
    const paid = (await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" })).body;
    const shipped = (await server.call("admin", "PATCH", `/orders/${order.id}/ship`)).body;

    const { id: orderId, customerId, total, createdAt } = order;
    const update = (previousStatus, { status, updatedAt }) => ["orderUpdate", { orderId, status, previousStatus, customerId, total, updatedAt }];
    const rung = (id, from, { status }, { createdAt }) => ({
      id, userId: customerId, type: "order_status", title: `Order ${orderId} is ${status}`, message: `Your order ${orderId} went from ${from} to ${status}.`,
      data: { orderId, status, previousStatus: from }, isRead: false, createdAt,
    });
    const { body: stored } = await server.call("alice", "GET", "/notifications?limit=2");
    const [second, first] = [rung(stored[0].id, "paid", shipped, stored[0]), rung(stored[1].id, "pending", paid, stored[1])];
    assert.deepEqual(stored, [second, first]);
    const bell = (notification, count) => [["notification", notification], ["notification:new", notification], ["notifications:unread", { count }]];

    const [admin, alice, aliceToo, bob] = on;
    assert.deepEqual(await desk.since(), [
      ["new_order", { orderId, customerId, total, createdAt }],
      update("pending", paid),
      update("paid", shipped),
      ["order_shipped", { orderId, customerId, shippedAt: shipped.shippedAt }],
    ]);
    assert.deepEqual(await admin.since(), [update("pending", paid), update("paid", shipped)]);
    for (const client of [alice, aliceToo]) {
      assert.deepEqual(await client.since(), [["orderCreated", order], update("pending", paid), ...bell(first, count + 1), update("paid", shipped), ...bell(second, count + 2)]);
    }
    assert.deepEqual(await bob.since(), []);
  });

  test("the status shipped is a shipment too", async () => {
    const desk = await server.connect("admin", "/admin");
    const order = await orderIn("paid");
    const { body } = await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "shipped" });
    assert.deepEqual(await desk.next("order_shipped"), { orderId: order.id, customerId: order.customerId, shippedAt: body.shippedAt });
  });

  const steps = { pending: ["paid", "cancelled"], paid: ["shipped", "cancelled"], shipped: ["delivered"], delivered: [], cancelled: [] };
  for (const [from, allowed] of Object.entries(steps)) {
    for (const to of Object.keys(steps)) {
      const expected = allowed.includes(to) ? 200 : 409;
      test(`${from} → ${to} is ${expected}`, async () => {
        const order = await orderIn(from);
        const { status, body } = await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: to });
        assert.equal(status, expected, JSON.stringify(body));
        if (expected === 409) assert.deepEqual({ statusCode: body.statusCode, error: body.error }, { statusCode: 409, error: "Conflict" });
        const now = (await server.call("admin", "GET", `/orders/${order.id}`)).body.status;
        assert.equal(now, expected === 200 ? to : from);
      });
    }
  }

  test("of two concurrent equal changes, one is answered 409, and one event is sent", async () => {
    const desk = await server.connect("admin", "/admin");
    const order = await orderIn("pending");
    const answers = await Promise.all([1, 2].map(() => server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" })));
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 409]);
    await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "cancelled" });
    assert.deepEqual([(await desk.next("orderUpdate")).status, (await desk.next("orderUpdate")).status], ["paid", "cancelled"]);
    assert.equal(desk.all("orderUpdate").length, 2);
  });

  test("is for admins: a customer gets 403, even for its own order", async () => {
    const order = await orderIn("pending");
    for (const [path, body] of [["status", { status: "paid" }], ["ship", undefined]]) {
      const answer = await server.call("alice", "PATCH", `/orders/${order.id}/${path}`, body);
      assert.equal(answer.status, 403);
      assert.deepEqual(answer.body, { statusCode: 403, message: "Forbidden resource", error: "Forbidden" });
    }
  });

  test("an unknown order is 404, an unknown status 400", async () => {
    const missing = await server.call("admin", "PATCH", "/orders/999999/status", { status: "paid" });
    assert.deepEqual(missing.body, { statusCode: 404, message: "Order with ID 999999 not found", error: "Not Found" });
    const order = await orderIn("pending");
    const unknown = await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "lost" });
    assert.equal(unknown.status, 400);
    assert.ok(Array.isArray(unknown.body.message) && unknown.body.message[0].startsWith("status "), JSON.stringify(unknown.body));
  });
});
