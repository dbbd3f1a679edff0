// Events that a server committed but could not announce wait in PostgreSQL's outbox. The next
// server announces them, also to the first client that connects.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, until } from "./harness.mjs";
import { behind } from "./lines.mjs";
import { createDatabase, dropDatabase, query } from "./postgres.mjs";

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
