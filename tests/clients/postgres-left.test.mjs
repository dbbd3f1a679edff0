// What a stopped server finds in PostgreSQL at its next start. Events that it committed but could not
// announce wait in the outbox: they are announced, also to the first client that connects. If the
// database was put back meanwhile, clients that have what it lacks are not resumed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, until } from "./harness.mjs";
import { behind } from "./lines.mjs";
import { Postgres, createDatabase, dropDatabase, programs, query } from "./postgres.mjs";

const POSTGRES = process.env.HUBCAST_TEST_POSTGRES;

test("events that a killed server left in the outbox reach resumed clients once and in order", { skip: !POSTGRES && "HUBCAST_TEST_POSTGRES runs it" }, async (t) => {
  const url = await createDatabase(POSTGRES);
  const server = await Server.start({ DATABASE_URL: url });
  t.after(async () => {
    await server.close();
    await dropDatabase(url);
  });
  const userId = await server.id("bob");
  const { client, proxy } = await behind(t, server, "bob");
  const titles = [];
  // Whether the next server announces it before anybody connects is a race, so there are several
  // rounds.
  for (let n = 0; n < 6; n += 1) {
    proxy.refuse();
    await server.kill();
    // The state of a server that was killed between the commit and the announcement.
    const left = `(${n} + 4294967297, '/', 'notification', '{"title":"left ${n}"}', '{user:${userId}}', '{}')`;
    await query(url, `INSERT INTO outbox (origin, namespace, name, payload, rooms, members) VALUES ${left}`);
    await server.start();
    proxy.accept();
    assert.equal((await client.next("session")).recovered, true);
    await server.post("admin", "/notifications", { userId, type: "promotion", title: `new ${n}`, message: "Tea" });
    titles.push(`left ${n}`, `new ${n}`);
    await until(() => client.all("notification").at(-1)?.title === `new ${n}`, "the new one");
    assert.deepEqual(client.all("notification").map(({ title }) => title), titles);
  }
});

test("a data directory that is put back from a copy: who has what it lacks is not resumed, everybody else is", { skip: !programs() && "PostgreSQL's programs are not here" }, async (t) => {
  const postgres = await Postgres.start();
  t.after(() => postgres.remove());
  const server = await Server.start({ DATABASE_URL: await postgres.createDatabase(), RATE_EVENTS: "100000/s", RATE_PUBLISH: "1000000000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s" });
  t.after(() => server.close());
  const talk = (await server.post("alice", "/conversations", { memberIds: [await server.id("bob")] })).id;
  const say = async (content, many) => {
    for (let n = 0; n < many; n += 1) await server.post("alice", `/conversations/${talk}/messages`, { content: `${content} ${n}` });
  };
  const [ahead, away] = [await behind(t, server, "bob"), await behind(t, server, "bob")];
  for (const { client } of [ahead, away]) await client.ask("join:conversation", { conversationId: talk });
  const heard = ({ client }) => client.all("message:new").map(({ content }) => content);
  const restart = async (work) => {
    await server.stop();
    await postgres.stop();
    work();
    await postgres.start();
    await server.start();
  };

  await say("before", 3);
  await until(() => [ahead, away].every((one) => heard(one).length === 3), "what is sent before the copy", 60_000);
  away.proxy.refuse();
  away.proxy.cut();
  await restart(() => postgres.copy());
  assert.equal((await ahead.client.next("session")).recovered, true);
  await say("lost", 5);
  await until(() => heard(ahead).length === 8, "what the copy lacks", 60_000);

  ahead.proxy.refuse();
  ahead.proxy.cut();
  await restart(() => postgres.putBack());
  await say("again", 12);
  for (const { proxy } of [ahead, away]) proxy.accept();
  const sessions = [await ahead.client.next("session"), await away.client.next("session")];
  assert.deepEqual(sessions.map(({ recovered }) => recovered), [false, true]);
  await until(() => heard(away).length === 15, "what the one that was away has missed", 60_000);
  const numbered = (content, many) => Array.from({ length: many }, (_, n) => `${content} ${n}`);
  assert.deepEqual(heard(away), [...numbered("before", 3), ...numbered("again", 12)]);
  assert.match(server.log, /not of this log/, "the log says why");
});
