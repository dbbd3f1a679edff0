// Connections of the official client, unchanged: which are refused, and how an open one behaves.
// (For the places of a token see transports-auth.)

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { after, before, describe, test } from "node:test";
import { Manager } from "socket.io-client";
import msgpack from "socket.io-msgpack-parser";
import { Client, Server, sign, until, within } from "./harness.mjs";

const unauthorized = (reason) => ({ message: "Unauthorized", data: { code: "unauthorized", reason } });

let server;
before(async () => {
  server = await Server.start({ PING_INTERVAL_MS: "300", PING_TIMEOUT_MS: "2000" });
});
after(() => server?.close());

describe("a socket is refused", () => {
  const now = () => Math.floor(Date.now() / 1000);
  const cases = {
    "without a token: missing": [() => ({}), "missing"],
    "whose token has ended: expired": [(sub) => ({ auth: { token: sign({ sub, exp: now() - 1 }) } }), "expired"],
    "whose token is not valid yet": [(sub) => ({ auth: { token: sign({ sub, nbf: now() + 60 }) } }), "invalid"],
    "whose token never ends": [(sub) => ({ auth: { token: sign({ sub, exp: undefined }) } }), "invalid"],
    "whose token another signed": [(sub) => ({ auth: { token: sign({ sub }, "another-secret-another-secret-another") } }), "invalid"],
    "whose token names an unknown user": [() => ({ auth: { token: sign({ sub: 999999 }) } }), "invalid"],
  };
  for (const [what, [options, reason]] of Object.entries(cases)) {
    test(what, async () => {
      assert.deepEqual(await server.open("/", options(await server.id("alice"))).refusal(), unauthorized(reason));
    });
  }

  test("that a customer opens on /admin: Forbidden", async () => {
    const { message } = await server.open("/admin", { auth: { token: await server.token("alice") } }).refusal();
    assert.equal(message, "Forbidden");
  });

  test("on an unknown namespace: Invalid namespace", async () => {
    const { message } = await server.open("/shop", { auth: { token: await server.token("alice") } }).refusal();
    assert.equal(message, "Invalid namespace");
  });

  test("without an effect on the other sockets of its connection", async () => {
    const manager = new Manager(server.url, { transports: ["websocket"] });
    const auth = { token: await server.token("alice") };
    const main = new Client(manager.socket("/", { auth }));
    await main.next("session");
    const { engine } = manager;
    assert.equal((await new Client(manager.socket("/admin", { auth })).refusal()).message, "Forbidden");
    assert.equal((await main.ask("no:such:event")).ok, false);
    assert.equal(manager.engine, engine);
    main.close();
  });
});

describe("a client with a parser of its own", () => {
  // Like the example in https://socket.io/docs/v4/custom-parser/.
  class Encoder {
    encode(packet) {
      return [JSON.stringify(packet)];
    }
  }
  class Decoder extends EventEmitter {
    add(packet) {
      this.emit("decoded", JSON.parse(packet));
    }
    destroy() {}
  }
  const parsers = { "socket.io-msgpack-parser": msgpack, "a parser that writes JSON": { Encoder, Decoder } };
  for (const [name, parser] of Object.entries(parsers)) {
    for (const transports of [["websocket"], ["polling"]]) {
      for (const namespace of ["/", "/admin"]) {
        test(`${name}, by ${transports} on ${namespace}, is told so, and gives up`, async () => {
          const client = server.open(namespace, { parser, transports, auth: { token: await server.token("admin") } });
          const { message, data } = await client.refusal();
          assert.match(message, /^Unknown parser: .* default parser of Socket\.IO/);
          assert.deepEqual(data, { code: "invalid" });
          assert.equal(client.socket.active, false);
        });
      }
    }
  }
});

describe("the client's own file", () => {
  for (const file of ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js", "socket.io.js.map"]) {
    test(`${file} is not served, but the answer says in one line where it is to be had`, async () => {
      const { status, body } = await server.call(null, "GET", `/socket.io/${file}`);
      assert.equal(status, 404);
      assert.match(body.message, /npm package socket\.io-client.*https:\/\/cdn\.socket\.io/);
      assert.doesNotMatch(body.message, /\n/);
    });
  }
});

describe("with SOCKETIO_PATH", () => {
  let elsewhere;
  before(async () => {
    elsewhere = await Server.start({ SOCKETIO_PATH: "/api/live/" });
  });
  after(() => elsewhere?.close());

  test("clients connect there by each transport, with and without a slash at the end", async () => {
    for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
      for (const addTrailingSlash of [true, false]) {
        const client = await elsewhere.connect("alice", "/", { path: "/api/live", transports, addTrailingSlash });
        await until(() => client.socket.io.engine.transport.name === transports.at(-1), "its last transport");
        client.close();
      }
    }
  });

  test("nothing is at the usual path, and the page, the document and the file's answer know the other one", async () => {
    const { status, body } = await elsewhere.call(null, "GET", "/socket.io/?EIO=4&transport=polling");
    assert.deepEqual([status, body.message], [404, "Cannot GET /socket.io/"]);
    assert.match(await (await fetch(`${elsewhere.url}/`)).text(), /<meta name="hubcast-socketio-path" content="\/api\/live">/);
    assert.equal((await elsewhere.call(null, "GET", "/asyncapi.json")).body.servers.socketio.pathname, "/api/live/");
    assert.match((await elsewhere.call(null, "GET", "/api/live/socket.io.js")).body.message, /socket\.io-client/);
  });
});

describe("a connected socket", () => {
  test("accepts its own signed token with the subject as number or as string", async () => {
    const id = await server.id("alice");
    for (const sub of [id, String(id)]) {
      const client = server.open("/", { auth: { token: sign({ sub }) } });
      assert.equal((await client.next("session")).userId, id);
    }
  });

  test("receives its session event first", async () => {
    const client = await server.connect("alice");
    const { event, data } = client.frames[0];
    assert.equal(event, "session");
    assert.deepEqual(Object.keys(data).toSorted(), ["recovered", "serverTime", "session", "userId"]);
    assert.equal(data.userId, await server.id("alice"));
    assert.equal(data.recovered, false);
    assert.ok(typeof data.session === "string" && data.session.length > 0);
    assert.match(data.serverTime, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  });

  test("gets an ack even for an unknown event", async () => {
    const client = await server.connect("alice");
    const answer = await client.ask("no:such:event", { a: 1 });
    assert.deepEqual({ ...answer, error: { ...answer.error, message: typeof answer.error.message } }, { ok: false, error: { code: "invalid", message: "string" } });
  });

  test("gets an error event for a failure if it asked for no ack", async () => {
    const client = await server.connect("alice");
    client.socket.emit("no:such:event", {});
    const { message, ...rest } = await client.next("error");
    assert.equal(typeof message, "string");
    assert.deepEqual(rest, { status: "error", code: "invalid", event: "no:such:event" });
  });

  test("gets its acks in the order of its events, also with retries", async () => {
    const client = await server.connect("alice", "/", { retries: 2, ackTimeout: 5000 });
    const order = [];
    const numbers = Array.from({ length: 50 }, (_, index) => index);
    await Promise.all(numbers.map((index) => client.ask("no:such:event", index).then(() => order.push(index))));
    assert.deepEqual(order, numbers);
  });

  test("shares its connection with one on the other namespace", async () => {
    const manager = new Manager(server.url, { transports: ["websocket"] });
    const auth = { token: await server.token("admin") };
    const main = new Client(manager.socket("/", { auth }));
    const desk = new Client(manager.socket("/admin", { auth }));
    await main.next("session");
    await desk.next("session");
    assert.equal(main.socket.io.engine, desk.socket.io.engine);

    const order = await server.order("alice", "5.00");
    assert.equal((await desk.next("new_order")).orderId, order.id);

    // One socket leaves, and the other one stays.
    desk.close();
    await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
    assert.equal((await main.next("orderUpdate")).orderId, order.id);
    assert.deepEqual(desk.all("orderUpdate"), []);
    main.close();
  });

  test("is kept alive by pings and pongs beyond the timeout", async () => {
    const client = await server.connect("alice");
    let pings = 0;
    client.socket.io.on("ping", () => (pings += 1));
    client.socket.on("disconnect", assert.fail);
    // Ten intervals are longer than one interval and the timeout, so without its pongs it would be
    // closed.
    await until(() => pings >= 10, "ten pings");
    assert.equal((await client.ask("no:such:event")).ok, false);
    client.socket.off("disconnect", assert.fail);
  });

  test("that stops answering pings is closed", async () => {
    const client = await server.connect("alice", "/", { reconnection: false });
    const { engine } = client.socket.io;
    const closed = new Promise((resolve) => engine.once("close", resolve));
    // The client's pong is suppressed.
    const send = engine.transport.send.bind(engine.transport);
    engine.transport.send = (packets) => send(packets.filter(({ type }) => type !== "pong"));
    await within(closed, "the server to close the connection");
  });
});
