// Traffic with a record of every answer, and the final check: every answered write is stored, and
// each reader received it once, in order.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { until } from "./harness.mjs";

/** Settings that let tests send as fast as they can. */
export const RATES = { RATE_EVENTS: "1000000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s", RATE_LOGIN: "100000/s", RATE_REGISTER: "100000/s", RATE_CONNECT: "100000/s" };

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Registers new customers. Returns {id, token} of each. */
export async function register(server, many) {
  const people = [];
  for (let n = 0; n < many; n += 1) {
    const { user, accessToken } = await server.post(null, "/auth/register", { email: `member-${n}@x.test`, name: `Member ${n}`, password: "long-enough" });
    people.push({ id: user.id, token: accessToken });
  }
  return people;
}

/**
 * 8 senders of messages, 2 of orders and 2 of notifications, and readers: sockets of four users in one conversation, who also receive
 * the notifications, and two of an admin on `/admin`. All use official clients and the same server, which may be killed meanwhile.
 */
export class Load {
  /** Every write that was acked or answered 201. */
  messages = [];
  orders = [];
  notifications = [];
  /** How often something had to be sent again. */
  retries = 0;
  /** How often REST answered with which status. */
  statuses = new Map();
  /** Answers that were neither a success nor a request to retry. */
  faults = [];
  #isOn = false;
  #lanes = [];
  #count = 0;

  /** Connects all readers and senders, without traffic yet; ends with the test `t`. Each sender waits `pause` ms between two writes. */
  static async prepare(t, server, pause) {
    const load = new Load();
    t.after(() => load.faults.push("the test is over"));
    Object.assign(load, { server, pause });
    const people = await register(server, 12);
    load.talk = (await server.post(people[0].token, "/conversations", { memberIds: people.map(({ id }) => id) })).id;
    load.admin = await server.token("admin");
    load.people = people;
    load.firstOrder = Math.max(0, ...(await server.list(load.admin, "/orders")).map(({ id }) => id)) + 1;
    const connect = (token, namespace) => server.connect(token, namespace);
    load.readers = await Promise.all(people.slice(8).map(({ token }) => connect(token, "/")));
    load.senders = await Promise.all(people.slice(0, 8).map(({ token }) => connect(token, "/")));
    load.desks = await Promise.all([0, 1].map(() => connect(load.admin, "/admin")));
    for (const reader of load.readers) assert.equal((await reader.ask("join:conversation", { conversationId: load.talk })).ok, true);
    return load;
  }

  /** All sockets. */
  get clients() {
    return [...this.readers, ...this.senders, ...this.desks];
  }

  /** The number of answers so far. */
  get answered() {
    return this.messages.length + this.orders.length + this.notifications.length;
  }

  start() {
    this.#isOn = true;
    const userIds = this.people.slice(8).map(({ id }) => id);
    this.#lanes = [
      ...this.senders.map((client) => this.#lane((n) => this.#message(client, { conversationId: this.talk, message: { content: `number ${n}` }, clientId: `${n}` }))),
      ...this.people.slice(0, 2).map(({ token }) => this.#lane((n) => this.#rest(token, "/orders", { total: `${n}.25` }, this.orders))),
      ...[0, 1].map(() => this.#lane((n) => this.#rest(this.admin, "/notifications", { userIds, type: "promotion", title: `number ${n}`, message: "Tea" }, this.notifications))),
    ];
  }

  /** Waits for `many` more answers; fails at the first fault. */
  async more(many, ms) {
    const enough = this.answered + many;
    await until(() => this.faults.length || this.answered >= enough, `${many} more answers`, ms);
    assert.deepEqual(this.faults, []);
  }

  /** Stops the traffic, and waits for the answers to every pending write. */
  async stop() {
    this.#isOn = false;
    await Promise.all(this.#lanes);
    assert.deepEqual(this.faults, []);
  }

  /** Sends one after another, and each again until it is answered; `send` resolves to true for an answer. */
  async #lane(send) {
    while (this.#isOn && !this.faults.length) {
      const attempt = send((this.#count += 1));
      while (!(await attempt()) && !this.faults.length) {
        this.retries += 1;
        await sleep(20);
      }
      await sleep(this.pause);
    }
  }

  #message({ socket }, payload) {
    return async () => {
      const answer = await socket.timeout(2_000).emitWithAck("message:send", payload).catch(() => null);
      if (answer?.ok) this.messages.push(answer.message);
      else if (answer && answer.error.code !== "unavailable") this.faults.push(answer);
      return answer?.ok;
    };
  }

  #rest(token, path, body, made) {
    const key = randomUUID();
    return async () => {
      const answer = await this.server.call(token, "POST", path, body, { "Idempotency-Key": key }).catch(() => null);
      if (!answer) return false;
      this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
      if (answer.status === 201) made.push(answer.body);
      else if (answer.status !== 503) this.faults.push({ path, status: answer.status, body: answer.body });
      return answer.status === 201;
    };
  }

  /** Asserts that exactly the answered writes are stored, and that each reader received each once, in order. Returns the counts. */
  async reckon() {
    const history = (await this.server.list(this.people[0].token, `/conversations/${this.talk}/messages`)).reverse();
    assert.deepEqual(history.map(({ seq }) => seq), history.map((_, index) => index + 1), "seq has no gap");
    assert.deepEqual(this.messages.toSorted((a, b) => a.seq - b.seq), history, "what was acked is history, each once");
    for (const reader of this.readers) await assertTold(reader, "message:new", history);
    for (const sender of this.senders) await assertTold(sender, "messageReceived", history);

    const rows = (await this.server.list(this.admin, "/orders")).filter(({ id }) => id >= this.firstOrder).reverse();
    const placed = rows.map(({ id, customerId, total, createdAt }) => ({ orderId: id, customerId, total, createdAt }));
    assert.deepEqual(this.orders.map(({ id }) => id).toSorted((a, b) => a - b), rows.map(({ id }) => id), "what was answered 201 is listed, each once");
    for (const desk of this.desks) await assertTold(desk, "new_order", placed, ({ orderId }) => orderId);
    assert.deepEqual(this.desks[1].all("new_order"), this.desks[0].all("new_order"), "in one room all see one order");

    assert.deepEqual(this.notifications.filter(({ count }) => count !== this.readers.length), []);
    for (const [index, { token }] of this.people.slice(8).entries()) {
      const stored = (await this.server.list(token, "/notifications")).reverse();
      assert.equal(stored.length, this.notifications.length, "each notification is there once");
      await assertTold(this.readers[index], "notification", stored, ({ id }) => id);
      assert.deepEqual(this.readers[index].all("notification:new"), this.readers[index].all("notification"));
    }
    return { messages: history.length, orders: rows.length, notifications: this.notifications.length };
  }

  /** How often sockets reconnected, and how often without recovery. */
  get resumes() {
    const back = this.clients.flatMap(({ connects }) => connects.slice(1));
    return { made: back.filter(({ recovered }) => recovered).length, refused: back.filter(({ recovered }) => !recovered).length };
  }
}

/** Asserts that the client received exactly these, each once; in this order, or sorted by `key` if it is given. */
async function assertTold(client, event, expected, key) {
  await until(() => client.all(event).length >= expected.length, `${expected.length} of ${event} instead of ${client.all(event).length}`, 30_000);
  // Events in flight arrive before this answer; every namespace answers an unknown event.
  await client.ask("no:such:event", {});
  const told = client.all(event);
  assert.equal(told.length, expected.length, `${event}: ${told.length} told, ${expected.length} stored`);
  assert.deepEqual(key ? told.toSorted((a, b) => key(a) - key(b)) : told, expected);
}
