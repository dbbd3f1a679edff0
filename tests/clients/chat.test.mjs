// Seed 004: projects and conversations with the official client, and who receives which events.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server } from "./harness.mjs";

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

let server;
let ids;
let cora;
before(async () => {
  server = await Server.start();
  const { body } = await server.call(null, "POST", "/auth/register", { email: "cora@x.test", name: "Cora", password: "long-enough" });
  cora = body.accessToken;
  ids = { alice: await server.id("alice"), bob: await server.id("bob"), cora: body.user.id };
});
after(() => server?.close());

/** A socket after its initial events; `heard` returns the later ones. */
const connect = async (who) => (await server.connect(who)).mark();

/** Joins a room. Presence is reported to it asynchronously. */
async function join(client, event, payload) {
  const answer = await client.ask(event, payload);
  assert.equal(answer.ok, true, JSON.stringify(answer));
  (client.joined ??= new Set()).add(answer.room);
}

/** All events of these sockets, except presence of the rooms that they joined; presence of any other room would be a leak. */
async function heard(...clients) {
  const isPresence = ({ joined }, [event, data]) => event.startsWith("presence:") && joined?.has(data.room);
  const frames = await Promise.all(clients.map(async (client) => (await client.since()).filter((frame) => !isPresence(client, frame))));
  return clients.length === 1 ? frames[0] : frames;
}

async function post(who, path, body = {}) {
  const answer = await server.call(who, "POST", path, body);
  assert.ok(answer.status < 300, `${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** A project of alice and bob. */
async function newProject() {
  const { id } = await post("alice", "/projects", { name: "Garden" });
  await post("alice", `/projects/${id}/members`, { userId: ids.bob });
  return id;
}

/** A conversation of alice and bob. */
const newTalk = async (more = {}) => (await post("alice", "/conversations", { memberIds: [ids.bob], ...more })).id;

describe("rooms", () => {
  test("are joined and left by each of the documented events", async () => {
    const [project, talk] = [await newProject(), await newTalk()];
    const [alice, bob] = [await connect("alice"), await connect("bob")];
    for (const [join, leave, payload, room] of [
      ["join:project", "leave:project", { projectId: project }, `project:${project}`],
      ["join:project", "leave:project", { projectId: String(project) }, `project:${project}`],
      ["joinRoom", "leaveRoom", { room: `project:${project}` }, `project:${project}`],
      ["join:conversation", "leave:conversation", { conversationId: talk }, `conversation:${talk}`],
      ["joinRoom", "leaveRoom", { room: `conversation:${talk}` }, `conversation:${talk}`],
    ]) {
      assert.deepEqual(await alice.ask(join, payload), { ok: true, room, members: [ids.alice], memberCount: 1 });
      assert.deepEqual(await bob.ask(join, payload), { ok: true, room, members: [ids.alice, ids.bob], memberCount: 2 });
      assert.deepEqual(await alice.ask(leave, payload), { ok: true, room, members: [ids.bob], memberCount: 1 });
      assert.deepEqual(await bob.ask(leave, payload), { ok: true, room, members: [], memberCount: 0 });
    }
  });

  test("are only for members, and named project:ID or conversation:ID", async () => {
    const [project, talk] = [await newProject(), await newTalk()];
    for (const who of [cora, "admin"]) {
      const stranger = await connect(who);
      const refused = (message) => ({ ok: false, error: { code: "not_found", message } });
      assert.deepEqual(await stranger.ask("join:project", { projectId: project }), refused(`Project with ID ${project} not found`));
      assert.deepEqual(await stranger.ask("joinRoom", { room: `project:${project}` }), refused(`Project with ID ${project} not found`));
      assert.deepEqual(await stranger.ask("join:conversation", { conversationId: talk }), refused(`Conversation with ID ${talk} not found`));

      stranger.socket.emit("join:conversation", { conversationId: talk });
      const fault = { status: "error", code: "not_found", message: `Conversation with ID ${talk} not found`, event: "join:conversation" };
      assert.deepEqual(await heard(stranger), [["error", fault], ["exception", fault]]);
      await stranger.mark();
      await post("alice", `/conversations/${talk}/messages`, { content: "for us" });
      await post("alice", `/projects/${project}/stages`, { name: "for us" });
      assert.deepEqual(await heard(stranger), []);
    }
    // The own user room is joined from the start; that of another is not found.
    const alice = await connect("alice");
    const [own, bobs] = [`user:${ids.alice}`, `user:${ids.bob}`];
    assert.deepEqual(await alice.ask("joinRoom", { room: own }), { ok: true, room: own, members: [ids.alice], memberCount: 1 });
    assert.deepEqual(await alice.ask("joinRoom", { room: bobs }), { ok: false, error: { code: "not_found", message: `Room ${bobs} not found` } });
    assert.deepEqual(await alice.ask("joinRoom", { room: "admin" }), { ok: false, error: { code: "forbidden", message: "Forbidden resource" } });
    for (const [event, payload] of [
      ["joinRoom", { room: `members:${talk}` }],
      ["joinRoom", {}],
      ["join:project", { projectId: "x" }],
      ["join:conversation", {}],
    ]) {
      const { ok, error } = await alice.ask(event, payload);
      assert.deepEqual({ ok, code: error.code }, { ok: false, code: "invalid" }, JSON.stringify(payload));
    }
  });
});

describe("a project", () => {
  test("sends its changes to the sockets in its room, and to nobody else", async () => {
    const project = await newProject();
    const room = [await connect("alice"), await connect("bob")];
    for (const one of room) await join(one, "join:project", { projectId: project });
    const others = [await connect("bob"), await connect(cora), await connect("admin")];

    const update = (type, data, { updatedAt }) => ["project:update", { projectId: project, type, data, updatedAt }];
    const patched = async (change) => (await server.call("bob", "PATCH", `/projects/${project}`, change)).body;
    const paused = await patched({ status: "paused" });
    const both = await patched({ status: "done", name: "Park", description: "Big" });
    await patched({ status: "done", name: "Park" });
    const stage = await post("bob", `/projects/${project}/stages`, { name: "Dig" });
    const done = await post("bob", `/projects/${project}/stages/${stage.id}/complete`);
    assert.match(done.completedAt, TIME);
    assert.deepEqual(done, { ...stage, completedAt: done.completedAt, completedBy: ids.bob });

    const [first, second] = await heard(...room);
    const { body: [rung] } = await server.call("alice", "GET", "/notifications?limit=1");
    assert.deepEqual(rung, {
      id: rung.id, userId: ids.alice, type: "stage_completed", title: "A stage is completed", message: "Dig is completed in Park.",
      data: { projectId: project, stageId: stage.id }, isRead: false, createdAt: rung.createdAt,
    });
    const { body: count } = await server.call("alice", "GET", "/notifications/unread-count");
    const told = [
      update("status_change", { status: "paused", previousStatus: "active" }, paused),
      update("status_change", { status: "done", previousStatus: "paused" }, both),
      update("details_change", { name: "Park", description: "Big" }, both),
      update("stage_added", { stage }, first[3][1]),
      ["stage:completed", { projectId: project, stage: done }],
    ];
    // The member who completed it is not notified; the other one is.
    assert.deepEqual(first, [...told, ["notification", rung], ["notification:new", rung], ["notifications:unread", count]]);
    assert.deepEqual(second, told);
    for (const frames of await heard(...others)) assert.deepEqual(frames, []);
  });

  test("reports added and removed members; a removed one leaves its rooms at once and receives nothing more", async () => {
    const project = await newProject();
    const talk = await newTalk({ projectId: project });
    const [alice, bob, bobToo] = [await connect("alice"), await connect("bob"), await connect("bob")];
    for (const one of [alice, bob, bobToo]) await join(one, "join:project", { projectId: project });
    for (const one of [alice, bob]) await join(one, "join:conversation", { conversationId: talk });

    await post("alice", `/projects/${project}/members`, { userId: ids.cora });
    const { status } = await server.call("alice", "DELETE", `/projects/${project}/members/${ids.bob}`);
    assert.equal(status, 204);
    const message = await post("alice", `/conversations/${talk}/messages`, { content: "Are we alone?" });
    const stage = await post("alice", `/projects/${project}/stages`, { name: "Dig" });

    const frames = await heard(alice);
    const added = ["project:update", { projectId: project, type: "member_added", data: { userId: ids.cora, name: "Cora" }, updatedAt: frames[0][1].updatedAt }];
    assert.deepEqual(frames, [
      added,
      ["project:update", { projectId: project, type: "member_removed", data: { userId: ids.bob }, updatedAt: frames[1][1].updatedAt }],
      ["message:new", message],
      ["project:update", { projectId: project, type: "stage_added", data: { stage }, updatedAt: frames[3][1].updatedAt }],
    ]);
    for (const gone of await heard(bob, bobToo)) assert.deepEqual(gone, [added]);
    assert.equal((await bob.ask("join:project", { projectId: project })).error.code, "not_found");
    assert.equal((await bob.ask("message:send", { conversationId: talk, message: { content: "x" } })).error.code, "not_found");
  });
});

describe("a conversation", () => {
  test("is opened, joined and left without an event to anyone", async () => {
    const everyone = await Promise.all(["alice", "bob", cora, "admin"].map(connect));
    const desk = await (await server.connect("admin", "/admin")).mark();
    const talk = await newTalk({ title: "Beds" });
    await join(everyone[0], "join:conversation", { conversationId: talk });
    await post("alice", `/conversations/${talk}/members`, { userId: ids.cora });
    assert.equal((await server.call("alice", "DELETE", `/conversations/${talk}/members/${ids.cora}`)).status, 204);
    assert.equal((await server.call("bob", "DELETE", `/conversations/${talk}/members/${ids.bob}`)).status, 204);
    for (const frames of await heard(...everyone, desk)) assert.deepEqual(frames, []);
  });
});

describe("a message", () => {
  test("is stored, sent to the room and to the other members, and then acked", async () => {
    const talk = await newTalk();
    const room = [await connect("alice"), await connect("bob")];
    for (const one of room) await join(one, "join:conversation", { conversationId: talk });
    const elsewhere = [await connect("alice"), await connect("bob")];
    const others = [await connect(cora), await connect("admin")];

    const ack = await room[0].ask("message:send", { conversationId: String(talk), message: { content: "Hello!", type: "greeting" }, clientId: "c-1" });
    const { id, createdAt, ...rest } = ack.message;
    assert.equal(ack.ok, true);
    assert.match(createdAt, TIME);
    assert.deepEqual(rest, { conversationId: talk, seq: 1, senderId: ids.alice, content: "Hello!", type: "greeting", clientId: "c-1" });
    const second = await post("bob", `/conversations/${talk}/messages`, { content: "Hello yourself!" });
    assert.deepEqual(second, { id: second.id, conversationId: talk, seq: 2, senderId: ids.bob, content: "Hello yourself!", type: "text", createdAt: second.createdAt });

    for (const frames of await heard(...room)) assert.deepEqual(frames, [["message:new", ack.message], ["message:new", second]]);
    for (const frames of await heard(...elsewhere)) assert.deepEqual(frames, [["messageReceived", ack.message], ["messageReceived", second]]);
    for (const frames of await heard(...others)) assert.deepEqual(frames, []);
    assert.deepEqual((await server.call("bob", "GET", `/conversations/${talk}/messages`)).body, [second, ack.message]);

    // A member who left the room gets the other event; it works without an ack as well.
    await room[1].ask("leave:conversation", { conversationId: talk });
    room[0].socket.emit("message:send", { conversationId: talk, message: { content: "Bye" } });
    assert.equal((await elsewhere[0].next("messageReceived")).seq, 1);
    await Promise.all([elsewhere[0].next("messageReceived"), elsewhere[0].next("messageReceived")]);
    assert.deepEqual((await heard(room[1])).at(-1), ["messageReceived", (await heard(room[0])).at(-1)[1]]);
  });

  test("of one clientId is one message and one event, even if sent twenty times at once by REST and sockets", async () => {
    const talk = await newTalk();
    const [alice, bob] = [await connect("alice"), await connect("bob")];
    for (const one of [alice, bob]) await join(one, "join:conversation", { conversationId: talk });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) =>
        n % 2
          ? post("alice", `/conversations/${talk}/messages`, { content: "x", clientId: "c-1" })
          : (await alice.ask("message:send", { conversationId: talk, message: { content: "x" }, clientId: "c-1" })).message,
      ),
    );
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    // The same client id of another sender is another message, and the first used only one number.
    const bobs = await bob.ask("message:send", { conversationId: talk, message: { content: "y" }, clientId: "c-1" });
    assert.equal(bobs.message.seq, 2);
    for (const frames of await heard(alice, bob)) assert.deepEqual(frames, [["message:new", answers[0]], ["message:new", bobs.message]]);
  });

  test("of a non-member is not found, and an invalid message is refused; neither is stored", async () => {
    const talk = await newTalk();
    const [alice, stranger] = [await connect("alice"), await connect(cora)];
    const send = { conversationId: talk, message: { content: "x" } };
    const missing = { ok: false, error: { code: "not_found", message: `Conversation with ID ${talk} not found` } };
    assert.deepEqual(await stranger.ask("message:send", send), missing);
    for (const payload of [
      {},
      { conversationId: talk },
      { conversationId: talk, message: "x" },
      { conversationId: talk, message: {} },
      { conversationId: talk, message: { content: "" } },
      { conversationId: talk, message: { content: "x".repeat(65_537) } },
      { conversationId: talk, message: { content: "x", senderId: 1 } },
      { ...send, clientId: "" },
      { ...send, seq: 5 },
    ]) {
      const { ok, error } = await alice.ask("message:send", payload);
      assert.deepEqual({ ok, code: error.code }, { ok: false, code: "invalid" }, JSON.stringify(payload).slice(0, 100));
    }
    assert.deepEqual((await server.call("alice", "GET", `/conversations/${talk}/messages`)).body, []);
    assert.equal((await alice.ask("message:send", send)).message.seq, 1, "what is refused takes no place");
  });

  test("does not reach a member who was removed", async () => {
    const talk = await newTalk();
    const [alice, bob, bobElsewhere] = [await connect("alice"), await connect("bob"), await connect("bob")];
    for (const one of [alice, bob]) await join(one, "join:conversation", { conversationId: talk });
    assert.equal((await server.call("bob", "DELETE", `/conversations/${talk}/members/${ids.bob}`)).status, 204);
    const { message } = await alice.ask("message:send", { conversationId: talk, message: { content: "Alone" } });
    for (const frames of await heard(bob, bobElsewhere)) assert.deepEqual(frames, []);
    assert.deepEqual(await heard(alice), [["message:new", message]]);
    assert.equal((await bob.ask("join:conversation", { conversationId: talk })).error.code, "not_found");

    await post("alice", `/conversations/${talk}/members`, { userId: ids.bob });
    const back = await alice.ask("message:send", { conversationId: talk, message: { content: "Welcome" } });
    for (const frames of await heard(bob, bobElsewhere)) assert.deepEqual(frames, [["messageReceived", back.message]]);
  });
});

describe("reading", () => {
  test("is reported to the room once each time the mark moves, and answered with the unread count", async () => {
    const talk = await newTalk();
    const [alice, bob, elsewhere, phone] = [await connect("alice"), await connect("bob"), await connect("alice"), await connect("bob")];
    for (const one of [alice, bob]) await join(one, "join:conversation", { conversationId: talk });
    const messages = [];
    for (const content of ["a", "b", "c"]) messages.push((await alice.ask("message:send", { conversationId: talk, message: { content } })).message);
    const sent = messages.map(({ id }) => id);
    const answer = (messageId, unreadCount) => ({ conversationId: talk, userId: ids.bob, messageId, unreadCount });
    const read = (messageId) => bob.ask("conversation:read", { conversationId: talk, messageId });
    assert.deepEqual(await read(sent[1]), { ok: true, ...answer(sent[1], 1) });
    assert.deepEqual(await read(sent[1]), { ok: true, ...answer(sent[1], 1) });
    assert.deepEqual(await read(sent[0]), { ok: true, ...answer(sent[0], 1) });
    assert.deepEqual(await post("bob", `/conversations/${talk}/read`, { messageId: sent[2] }), answer(sent[2], 0));

    const told = [sent[1], sent[2]].map((messageId) => ["conversation:read", { conversationId: talk, userId: ids.bob, messageId }]);
    const cleared = [1, 0].map((unreadCount) => ["conversations:unread", { conversationId: talk, unreadCount }]);
    const [ofAlice, ofBob] = await heard(alice, bob);
    const sentHere = messages.map((message) => ["message:new", message]);
    assert.deepEqual(ofAlice, [...sentHere, ...told]);
    // The reader's own sockets also hear what is unread now, wherever they are.
    assert.deepEqual(ofBob, [...sentHere, ...told.flatMap((mark, at) => [mark, cleared[at]])]);
    const sentElsewhere = messages.map((message) => ["messageReceived", message]);
    assert.deepEqual(await heard(elsewhere), sentElsewhere);
    assert.deepEqual(await heard(phone), [...sentElsewhere, ...cleared]);
    const stranger = await connect(cora);
    assert.equal((await stranger.ask("conversation:read", { conversationId: talk, messageId: sent[0] })).error.code, "not_found");
    assert.deepEqual((await read(999_999)).error, { code: "not_found", message: "Message with ID 999999 not found" });
  });
});
