// Notifications of the shop with the official client: each admin, or each waiting user, receives
// the whole notification, and nobody else.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { PASSWORD, Server } from "./harness.mjs";

let server;
let ids;
/** Sockets by user; `carla` is a second admin, `desk` is the admin's socket on `/admin`. */
let on;
before(async () => {
  server = await Server.start();
  await server.command("user", "add", "--email", "carla@demo.test", "--name", "Carla", "--role", "admin", "--password", PASSWORD);
  ids = { ...(await server.people()).ids, carla: await server.id("carla") };
  on = { desk: await server.connect("admin", "/admin") };
  for (const name of Object.keys(ids)) on[name] = await server.connect(name);
});
after(() => server?.close());
beforeEach(() => Promise.all(Object.values(on).map((client) => client.mark())));

/** The events of a new notification for one receiver, which equals the one of REST: `said` and the other fields. */
async function bell(name, said) {
  const [{ body: [stored] }, { body: count }] = await Promise.all(
    ["/notifications?limit=1", "/notifications/unread-count"].map((path) => server.call(name, "GET", path)),
  );
  assert.deepEqual(stored, { ...said, id: stored.id, userId: ids[name], isRead: false, createdAt: stored.createdAt });
  return [["notification", stored], ["notification:new", stored], ["notifications:unread", count]];
}

/** Asserts all events of each: on `/` those of `everyone` and alice's own, then the notification for its receivers; at the desk `atDesk`. */
async function assertHeard({ receivers, said, everyone = [], alices = [], atDesk = [] }) {
  for (const name of Object.keys(ids)) {
    const frames = [...everyone, ...(name === "alice" ? alices : []), ...(receivers.includes(name) ? await bell(name, said) : [])];
    assert.deepEqual(await on[name].since(), frames, name);
  }
  assert.deepEqual(await on.desk.since(), atDesk);
}

const ADMINS = ["admin", "carla"];
const product = async (stock) => {
  const made = await server.post("carla", "/products", { name: "Tea", price: "2.50", stock, lowStockThreshold: 5 });
  await Promise.all(Object.values(on).map((client) => client.mark()));
  return made;
};
const updated = (product) => ["productUpdated", { productId: product.id, action: "updated", product }];

describe("a notification is sent", () => {
  test("to each admin for a payment", async () => {
    const order = await server.order("alice", "10.00");
    await Promise.all([on.desk.mark(), on.alice.mark()]);
    const paid = await server.post("alice", `/orders/${order.id}/payments`, { amount: "4.5", method: "card" });
    assert.deepEqual(paid, {
      id: paid.id, orderId: order.id, amount: "4.50", method: "card", createdAt: paid.createdAt, due: "5.50", orderStatus: "pending",
    });
    const said = {
      type: "payment_received", title: `Payment for order ${order.id}`, message: `4.50 was paid for order ${order.id}, 5.50 is still due.`,
      data: { orderId: order.id, paymentId: paid.id, amount: "4.50" },
    };
    await assertHeard({ receivers: ADMINS, said });
  });

  test("to each admin when an order lowers a product's stock to its threshold, and not for the next order", async () => {
    const tea = await product(7);
    const buy = async (quantity) => {
      const order = await server.post("alice", "/orders", { items: [{ productId: tea.id, quantity }] });
      const { id: orderId, customerId, total, createdAt } = order;
      return { alices: [["orderCreated", order]], atDesk: [["new_order", { orderId, customerId, total, createdAt }]] };
    };
    const said = { type: "low_stock", title: "Low stock: Tea", message: "There are 5 left of Tea.", data: { productId: tea.id, stock: 5, threshold: 5 } };
    await assertHeard({ receivers: ADMINS, said, ...(await buy(2)) });
    await Promise.all(Object.values(on).map((client) => client.mark()));
    await assertHeard({ receivers: [], ...(await buy(1)) });
  });

  test("to each admin for a review", async () => {
    const tea = await product(9);
    const review = await server.post("bob", `/products/${tea.id}/reviews`, { rating: 4, comment: "Warm" });
    const said = { type: "new_review", title: "New review: Tea", message: "Bob gave Tea 4 of 5.", data: { productId: tea.id, reviewId: review.id, rating: 4 } };
    await assertHeard({ receivers: ADMINS, said });
  });

  test("to the users who wait for a product when it is back, and to nobody the next time", async () => {
    const tea = await product(0);
    for (const name of ["alice", "bob"]) await server.post(name, `/products/${tea.id}/waitlist`);
    assert.equal((await server.call("bob", "DELETE", `/products/${tea.id}/waitlist`)).status, 204);
    const fill = async (stock) => updated((await server.call("carla", "PATCH", `/products/${tea.id}`, { stock })).body);
    const said = { type: "back_in_stock", title: "Back in stock: Tea", message: "You can order Tea again.", data: { productId: tea.id, stock: 40 } };
    await assertHeard({ receivers: ["alice"], said, everyone: [await fill(40)] });
    // At stock 0 the admins are also notified of low stock, which is checked elsewhere.
    await fill(0);
    await Promise.all(Object.values(on).map((client) => client.mark()));
    await assertHeard({ receivers: [], everyone: [await fill(40)] });
  });
});
