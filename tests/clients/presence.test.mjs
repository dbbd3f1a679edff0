// Presence and typing with the official client: reported once per user, to the sockets in the room.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, until } from "./harness.mjs";
import { PlainLine } from "./lines.mjs";

let server;
let limited;
let ids;
let cora;
before(async () => {
  server = await Server.start();
  const { body } = await server.call(null, "POST", "/auth/register", { email: "cora@x.test", name: "Cora", password: "long-enough" });
  cora = body.accessToken;
  ids = { ...(await server.people()).ids, cora: body.user.id };
});
after(async () => {
  await server?.close();
  await limited?.close();
});

/** A conversation of alice and these users. */
async function newTalk(on, ...others) {
  const { status, body } = await on.call("alice", "POST", "/conversations", { memberIds: others });
  assert.equal(status, 201, JSON.stringify(body));
  return { conversationId: body.id };
}

/** The presence events of a client, in one room or in all: [["join", id], …]. */
const told = (client, room) =>
  client.frames
    .filter(({ event, data }) => event.startsWith("presence:") && (!room || data.room === room))
    .flatMap(({ event, data }) => data.userIds.map((id) => [event.slice("presence:".length), id]));

/** Waits until the last presence event of `client` is this one. */
const untilTold = (client, what, id, ms) =>
  until(() => JSON.stringify(told(client).at(-1)) === JSON.stringify([what, id]), `${what} of ${id}; told: ${JSON.stringify(told(client))}`, ms);

/** Aborts a socket's connection. */
function cut(client) {
  client.socket.io.reconnection(false);
  client.socket.io.engine.transport.ws.terminate();
}

describe("presence", () => {
  test("a user joins with the first socket and leaves with the last; all in the room receive both, the new one included", async () => {
    const talk = await newTalk(server, ids.bob);
    const [alice, bob, bobToo, outside] = await Promise.all([server.connect("alice"), server.connect("bob"), server.connect("bob"), server.connect("alice")]);
    await alice.ask("join:conversation", talk);
    assert.deepEqual(await alice.next("presence:join"), { room: `conversation:${talk.conversationId}`, userIds: [ids.alice] });
    await bob.ask("join:conversation", talk);
    assert.deepEqual(await alice.next("presence:join"), { room: `conversation:${talk.conversationId}`, userIds: [ids.bob] });
    assert.deepEqual(await bob.next("presence:join"), { room: `conversation:${talk.conversationId}`, userIds: [ids.bob] });

    const room = `conversation:${talk.conversationId}`;
    assert.deepEqual(await bobToo.ask("join:conversation", talk), { ok: true, room, members: [ids.alice, ids.bob], memberCount: 2 });
    assert.deepEqual(await bob.ask("leave:conversation", talk), { ok: true, room, members: [ids.alice, ids.bob], memberCount: 2 });
    await bobToo.ask("leave:conversation", talk);
    assert.deepEqual(await alice.next("presence:leave"), { room, userIds: [ids.bob] });
    // A DISCONNECT counts at once, like leaving.
    await bob.ask("join:conversation", talk);
    await untilTold(alice, "join", ids.bob);
    const from = Date.now();
    bob.socket.disconnect();
    await untilTold(alice, "leave", ids.bob, 4_000);
    assert.ok(Date.now() - from < 4_500);
    assert.deepEqual(told(alice), [["join", ids.alice], ["join", ids.bob], ["leave", ids.bob], ["join", ids.bob], ["leave", ids.bob]]);
    assert.deepEqual(told(outside), []);
  });

  test("a new user learns of all others, from the answer or from presence events", async () => {
    const talk = await newTalk(server, ids.bob, ids.cora, ids.admin);
    const clients = await Promise.all(["alice", "bob", cora, "admin"].map((who) => server.connect(who)));
    const answers = await Promise.all(clients.map((client) => client.ask("join:conversation", talk)));
    const all = [ids.alice, ids.bob, ids.cora, ids.admin].toSorted((a, b) => a - b);
    const known = (at) => [...new Set([...answers[at].members, ...told(clients[at]).map(([, id]) => id)])].toSorted((a, b) => a - b);
    await until(() => clients.every((_, at) => known(at).length === 4), "everyone to know of everyone");
    for (const at of clients.keys()) assert.deepEqual(known(at), all);
  });

  test("GET /presence lists the users in a room, for those who may join it", async () => {
    const talk = await newTalk(server, ids.bob);
    const room = `conversation:${talk.conversationId}`;
    const look = async (who) => {
      const { status, body } = await server.call(who, "GET", `/presence?room=${room}`);
      return [status, body];
    };
    assert.deepEqual(await look("alice"), [200, { room, members: [] }]);
    const bob = await server.connect("bob");
    await bob.ask("join:conversation", talk);
    assert.deepEqual(await look("alice"), [200, { room, members: [ids.bob] }]);
    assert.deepEqual(await look(cora), [404, { statusCode: 404, message: `Conversation with ID ${talk.conversationId} not found`, error: "Not Found" }]);
    for (const name of ["admin", `user:${ids.alice}`, "x"]) {
      assert.deepEqual((await server.call("alice", "GET", `/presence?room=${name}`)).body, { statusCode: 404, message: `Room ${name} not found`, error: "Not Found" });
    }
    for (const query of ["", "?room="]) {
      assert.deepEqual((await server.call("alice", "GET", `/presence${query}`)).body, { statusCode: 400, message: ["room should not be empty"], error: "Bad Request" });
    }
  });

  test("a removed user is gone at once, with all sockets", async () => {
    const talk = await newTalk(server, ids.bob);
    const [alice, bob, bobToo] = await Promise.all([server.connect("alice"), server.connect("bob"), server.connect("bob")]);
    for (const client of [alice, bob, bobToo]) await client.ask("join:conversation", talk);
    await untilTold(alice, "join", ids.bob);
    const { status } = await server.call("alice", "DELETE", `/conversations/${talk.conversationId}/members/${ids.bob}`);
    assert.equal(status, 204);
    await untilTold(alice, "leave", ids.bob, 4_000);
    for (const client of [bob, bobToo]) {
      await client.ask("message", { content: "is that all?" });
      assert.ok(!told(client).some(([what]) => what === "leave"), "who is out hears nothing of it");
    }
  });

  test("a lost connection counts as a leave after 5 s, and not at all if the user is back by then", async () => {
    const talk = await newTalk(server, ids.bob, ids.cora);
    const [alice, bob, lost] = await Promise.all([server.connect("alice"), server.connect("bob"), server.connect(cora)]);
    for (const client of [alice, bob, lost]) await client.ask("join:conversation", talk);
    await until(() => told(alice).length === 3, "three to be there");
    const from = Date.now();
    cut(bob);
    cut(lost);
    const back = await server.connect(cora);
    const { members } = await back.ask("join:conversation", talk);
    assert.deepEqual(members.toSorted((a, b) => a - b), [ids.alice, ids.bob, ids.cora].toSorted((a, b) => a - b), "who is lost is still listed");
    await untilTold(alice, "leave", ids.bob, 15_000);
    assert.ok(Date.now() - from >= 4_900, `told after ${Date.now() - from} ms`);
    assert.deepEqual(told(alice).slice(3), [["leave", ids.bob]]);
  });

  test("of more than 200 users in a room 200 are listed, and all are counted", async () => {
    const crowded = await Server.start({ RATE_LOGIN: "10000/s", RATE_REGISTER: "10000/s" });
    try {
      const tokens = [];
      // Each registration hashes a password, and only a few may wait for that.
      while (tokens.length < 202) {
        const names = Array.from({ length: Math.min(50, 202 - tokens.length) }, (_, n) => `u${tokens.length + n}`);
        const made = names.map((name) => crowded.post(null, "/auth/register", { email: `${name}@x.test`, name, password: "long-enough" }));
        tokens.push(...(await Promise.all(made)).map(({ accessToken }) => accessToken));
      }
      const users = tokens.map((token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sub).map(Number);
      const { conversationId } = await newTalk(crowded, ...users);
      const lines = await Promise.all(tokens.map((token) => PlainLine.enter(crowded, { token })));
      const room = `conversation:${conversationId}`;
      const answers = await Promise.all(lines.map((line) => line.ask("join:conversation", { conversationId })));
      assert.ok(answers.every(({ ok, members, memberCount }) => ok && members.length === Math.min(memberCount, 200)));
      assert.deepEqual(answers.map(({ memberCount }) => memberCount).toSorted((a, b) => a - b), users.map((_, n) => n + 1));
      const { members, ...rest } = await lines[0].ask("join:conversation", { conversationId });
      assert.deepEqual(rest, { ok: true, room, memberCount: 202 });
      assert.deepEqual([members.length, new Set(members).size], [200, 200]);
      assert.deepEqual(members.filter((id) => !users.includes(id)), []);
      for (const line of lines) line.cut();
    } finally {
      await crowded.close();
    }
  });

  test("above PRESENCE_LIMIT presence is not reported", async () => {
    limited = await Server.start({ PRESENCE_LIMIT: "2" });
    const [alice, bob, admin] = await Promise.all(["alice", "bob", "admin"].map((who) => limited.connect(who)));
    const [aliceId, bobId, adminId] = await Promise.all(["alice", "bob", "admin"].map((who) => limited.id(who)));
    const [talk, other] = [await newTalk(limited, bobId, adminId), await newTalk(limited, adminId)];
    const room = `conversation:${talk.conversationId}`;
    await alice.ask("join:conversation", talk);
    await bob.ask("join:conversation", talk);
    await untilTold(alice, "join", bobId);
    assert.equal((await admin.ask("join:conversation", talk)).memberCount, 3);
    // Rooms are reported together, so with the report of this room one of the other would have
    // arrived.
    await alice.ask("join:conversation", other);
    await admin.ask("join:conversation", other);
    await untilTold(alice, "join", adminId);
    await admin.ask("leave:conversation", talk);
    await untilTold(alice, "leave", adminId);
    assert.deepEqual(told(alice, room), [["join", aliceId], ["join", bobId], ["leave", adminId]]);
    assert.deepEqual(told(admin, room), []);
  });
});

describe("typing", () => {
  test("is reported to the others in the conversation, never to the sender, and only by members", async () => {
    const talk = await newTalk(server, ids.bob);
    const [alice, aliceToo, bob, bobElsewhere, stranger] = await Promise.all(
      ["alice", "alice", "bob", "bob", cora].map((who) => server.connect(who)),
    );
    for (const client of [alice, aliceToo, bob]) await client.ask("join:conversation", talk);
    assert.deepEqual(await alice.ask("typing", { ...talk, isTyping: true }), { ok: true });
    assert.deepEqual(await alice.ask("typing", { ...talk, isTyping: false }), { ok: true });
    const refused = { ok: false, error: { code: "not_found", message: `Conversation with ID ${talk.conversationId} not found` } };
    assert.deepEqual(await stranger.ask("typing", { ...talk, isTyping: true }), refused);
    assert.equal((await alice.ask("typing", { ...talk, isTyping: "yes" })).error.code, "invalid");
    for (const client of [alice, aliceToo, bob, bobElsewhere, stranger]) await client.ask("message", { content: "is that all?" });
    assert.deepEqual(bob.all("typing"), [true, false].map((isTyping) => ({ ...talk, userId: ids.alice, isTyping })));
    for (const client of [alice, aliceToo, bobElsewhere, stranger]) assert.deepEqual(client.all("typing"), []);
  });
});
