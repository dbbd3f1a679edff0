// Many members of one conversation: all see the same messages, once, in one order; and acked
// messages survive a kill -9.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, until } from "./harness.mjs";

const PASSWORD = "long-enough";

/** A server without a practical rate limit. */
async function withServer(use) {
  const server = await Server.start({ RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s", RATE_LOGIN: "1000/s", RATE_REGISTER: "1000/s" });
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

async function post(server, who, path, body) {
  const answer = await server.call(who, "POST", path, body);
  assert.ok(answer.status < 300, `${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Registers new customers, {id, token} of each, and creates a conversation of them all. */
async function crowd(server, size) {
  const people = [];
  for (let n = 0; n < size; n += 1) {
    const { user, accessToken } = await post(server, null, "/auth/register", { email: `member-${n}@x.test`, name: `Member ${n}`, password: PASSWORD });
    people.push({ id: user.id, token: accessToken });
  }
  const talk = (await post(server, people[0].token, "/conversations", { memberIds: people.map(({ id }) => id) })).id;
  return { people, talk };
}

/** All messages, oldest first. */
async function history(server, who, talk) {
  const messages = [];
  let path = `/conversations/${talk}/messages?limit=200`;
  while (path) {
    const { body, headers } = await server.call(who, "GET", path);
    messages.push(...body);
    path = /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
  }
  return messages.reverse();
}

test("20 members, 5 senders in parallel, 1,000 messages: all members see each once, in one order, equal to the history", () =>
  withServer(async (server) => {
    const { people, talk } = await crowd(server, 20);
    const inRoom = await Promise.all(people.map(({ token }) => server.connect(token)));
    await Promise.all(inRoom.map((client) => client.ask("join:conversation", { conversationId: talk })));
    // The last member has a second socket that is not in the room.
    const elsewhere = await server.connect(people[19].token);

    // Each sender has several messages in flight, by socket and by REST.
    const sent = await Promise.all(
      Array.from({ length: 20 }, (_, lane) => lane).map(async (lane) => {
        const sender = lane % 5;
        const acked = [];
        for (let n = 0; n < 50; n += 1) {
          const body = { content: `${lane}/${n}`, type: "text" };
          const clientId = `${lane}/${n}`;
          if (lane < 10) acked.push((await inRoom[sender].ask("message:send", { conversationId: talk, message: body, clientId })).message);
          else acked.push(await post(server, people[sender].token, `/conversations/${talk}/messages`, { ...body, clientId }));
        }
        return acked;
      }),
    );
    const all = sent.flat().toSorted((a, b) => a.seq - b.seq);
    assert.deepEqual(all.map(({ seq }) => seq), Array.from({ length: 1000 }, (_, n) => n + 1));
    assert.equal(new Set(all.map(({ id }) => id)).size, 1000);

    for (const [client, event, other] of [...inRoom.map((client) => [client, "message:new", "messageReceived"]), [elsewhere, "messageReceived", "message:new"]]) {
      await client.ask("message", { content: "is that all?" });
      assert.deepEqual(client.all(event), all);
      assert.deepEqual(client.all(other), []);
    }
    assert.deepEqual(await history(server, people[7].token, talk), all);
    for (const { id, token } of people) {
      const { body } = await server.call(token, "GET", `/conversations/${talk}`);
      assert.deepEqual({ unread: body.unreadCount, last: body.lastMessage }, { unread: all.length - all.findLastIndex(({ senderId }) => senderId === id) - 1, last: all.at(-1) });
    }
  }));

test("kill -9: every acked message is in the history, seq has no gap, unread counts are exact, and a retry stores nothing twice", () =>
  withServer(async (server) => {
    const { people, talk } = await crowd(server, 6);
    const clients = await Promise.all(people.map(({ token }) => server.connect(token)));
    await Promise.all(clients.map((client) => client.ask("join:conversation", { conversationId: talk })));
    const acked = [];
    const unanswered = [];
    const lanes = clients.slice(0, 5).map(async ({ socket }, sender) => {
      for (let n = 0; ; n += 1) {
        const payload = { conversationId: talk, message: { content: `${sender}/${n}` }, clientId: `${n}` };
        const answer = await socket.timeout(5_000).emitWithAck("message:send", payload).catch(() => null);
        if (!answer) {
          unanswered.push({ sender, payload });
          return;
        }
        assert.equal(answer.ok, true, JSON.stringify(answer));
        acked.push(answer.message);
      }
    });
    await until(() => acked.length >= 100, "100 acked messages");
    const reader = people[5];
    const mark = acked[59];
    const marked = await clients[5].ask("conversation:read", { conversationId: talk, messageId: mark.id });
    assert.equal(marked.ok, true);
    await until(() => acked.length >= 200, "200 acked messages");
    await server.kill();
    for (const { socket } of clients) socket.disconnect();
    await Promise.all(lanes);

    await server.start();
    const stored = await history(server, reader.token, talk);
    assert.deepEqual(stored.map(({ seq }) => seq), stored.map((_, index) => index + 1));
    const bySeq = new Map(stored.map((message) => [message.seq, message]));
    for (const message of acked) assert.deepEqual(bySeq.get(message.seq), message);
    assert.ok(stored.length <= acked.length + 5, "each sender had one message on its way");

    for (const { id, token } of people) {
      // A sender has read all before its last message.
      const readTo = id === reader.id ? mark.seq : stored.findLastIndex(({ senderId }) => senderId === id) + 1;
      const unread = stored.filter(({ seq, senderId }) => seq > readTo && senderId !== id).length;
      assert.equal((await server.call(token, "GET", `/conversations/${talk}`)).body.unreadCount, unread);
    }

    // Senders without an ack send again under the same client id: a stored message is returned, a
    // new one is stored.
    assert.equal(unanswered.length, 5);
    for (const { sender, payload } of unanswered) {
      const client = await server.connect(people[sender].token);
      const { message } = await client.ask("message:send", payload);
      const before = stored.find(({ senderId, clientId }) => senderId === people[sender].id && clientId === payload.clientId);
      if (before) assert.deepEqual(message, before);
      else assert.ok(message.seq > stored.length);
    }
    const names = (await history(server, reader.token, talk)).map(({ senderId, clientId }) => `${senderId}/${clientId}`);
    assert.equal(new Set(names).size, names.length);
    assert.equal(names.length, acked.length + 5);
  }));
