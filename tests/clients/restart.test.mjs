// The ends of a server, clean and not, and clients that hang up during a request.

import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { Server, until, within } from "./harness.mjs";

/** Runs `work` with its own server. */
async function withServer(work) {
  const server = await Server.start();
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

const listed = async (server) => (await server.call("admin", "GET", "/orders?limit=200")).body;

test("after a kill -9 every answered order is stored, and the clients reconnect by themselves", () =>
  withServer(async (server) => {
    const alice = await server.connect("alice");
    const desk = await server.connect("admin", "/admin");
    const answered = [];
    let isUp = true;
    const customers = Array.from({ length: 8 }, async (_, lane) => {
      for (let i = 0; isUp && i < 1000; i += 1) {
        const order = await server.order("alice", `${lane}.${String(i % 100).padStart(2, "0")}`).catch(() => null);
        if (order) answered.push(order);
      }
    });
    await until(() => answered.length >= 40, "40 answered orders");
    await server.kill();
    isUp = false;
    await Promise.all(customers);

    await server.start();
    for (const order of answered) {
      const { status, body } = await server.call("alice", "GET", `/orders/${order.id}`);
      assert.equal(status, 200, `order ${order.id} was answered and is gone`);
      assert.deepEqual({ total: body.total, createdAt: body.createdAt }, { total: order.total, createdAt: order.createdAt });
    }

    await alice.next("session");
    await desk.next("session");
    const seen = desk.all("new_order").length;
    const order = await server.order("alice", "77.00");
    await until(() => desk.all("new_order").some(({ orderId }) => orderId === order.id), "the new order's frame");
    assert.ok(desk.all("new_order").length > seen);
    await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
    await until(() => alice.all("orderUpdate").some(({ orderId }) => orderId === order.id), "the update");
  }));

test("a client hangs up within a POST: the order is complete with its event, or not stored at all", () =>
  withServer(async (server) => {
    const desk = await server.connect("admin", "/admin");
    const token = await server.token("alice");
    /** Sends a POST for `total` with only `part` of its body, and aborts the connection. */
    const hangUp = (total, part) =>
      new Promise((resolve, reject) => {
        const body = JSON.stringify({ total });
        const socket = net.connect(server.port, "127.0.0.1", () => {
          socket.write(
            `POST /orders HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n` +
              body.slice(0, Math.ceil(body.length * part)),
            () => socket.resetAndDestroy(),
          );
        });
        socket.on("error", reject).on("close", resolve);
      });
    const half = Array.from({ length: 25 }, (_, i) => `100.${10 + i}`);
    const whole = Array.from({ length: 50 }, (_, i) => `200.${10 + i}`);
    for (const total of half) await hangUp(total, 0.5);
    for (const total of whole) await hangUp(total, 1);

    const last = await server.order("alice", "300.00");
    assert.equal(last.status, "pending");
    const stored = async () => (await listed(server)).filter(({ total }) => /^[123]00\.\d\d$/.test(total));
    const announced = () => desk.all("new_order");
    // A late one shows in both within moments, so both must agree in the end.
    await until(async () => (await stored()).length === announced().length && announced().some(({ orderId }) => orderId === last.id), "rows and frames to agree");
    const rows = (await stored()).toSorted((a, b) => a.id - b.id);
    assert.deepEqual(announced().toSorted((a, b) => a.orderId - b.orderId), rows.map(({ id, customerId, total, createdAt }) => ({ orderId: id, customerId, total, createdAt })));
    assert.deepEqual(rows.filter(({ total }) => half.includes(total)), []);
    assert.equal((await server.call(null, "GET", "/healthz")).status, 200);
  }));

test("SIGTERM: the server exits 0 within 10 s, and the clients reconnect to the next one", () =>
  withServer(async (server) => {
    const alice = await server.connect("alice");
    const desk = await server.connect("admin", "/admin");
    const left = [alice, desk].map(
      ({ socket }) => new Promise((resolve) => socket.once("disconnect", resolve)),
    );
    const order = await server.order("alice", "5.00");
    const { code, signal, ms } = await server.stop();
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
    assert.ok(ms < 10_000, `it took ${ms} ms`);
    // After "io server disconnect" the official client would not reconnect.
    for (const reason of await within(Promise.all(left), "the clients to notice")) assert.notEqual(reason, "io server disconnect");

    await server.start();
    await alice.next("session");
    await desk.next("session");
    assert.equal((await server.call("alice", "GET", `/orders/${order.id}`)).body.total, "5.00");
    await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
    assert.equal((await alice.next("orderUpdate")).status, "paid");
    assert.equal((await desk.next("orderUpdate")).status, "paid");
  }));

test("SIGTERM during writes: every answered write is stored", () =>
  withServer(async (server) => {
    const answered = [];
    let isUp = true;
    const lanes = Array.from({ length: 8 }, async () => {
      while (isUp) {
        const order = await server.order("alice", "6.00").catch(() => null);
        if (order) answered.push(order.id);
        else isUp = false;
      }
    });
    await until(() => answered.length >= 40, "40 answered orders");
    const { code } = await server.stop();
    assert.equal(code, 0);
    await Promise.all(lanes);
    await server.start();
    const stored = new Set();
    let path = "/orders?limit=200";
    while (path) {
      const { body, headers } = await server.call("admin", "GET", path);
      for (const { id } of body) stored.add(id);
      path = /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
    }
    assert.deepEqual(answered.filter((id) => !stored.has(id)), []);
  }));
