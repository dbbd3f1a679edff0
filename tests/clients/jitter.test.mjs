// Unreliable connections: 200 official clients behind a proxy that resets connections and refuses
// new ones, for a minute under steady traffic. Runs with HUBCAST_LONG=1.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, until } from "./harness.mjs";
import { RATES, register, sleep } from "./load.mjs";
import { Proxy } from "./proxy.mjs";

const CLIENTS = 200;
const USERS = 20;
const MINUTE_MS = 60_000;
const REFUSAL_MS = 2_000;
/** Messages per second, each to all clients. */
const RATE = 10;

test(`${CLIENTS} clients on unreliable connections for a minute: each receives everything once and in order, and every reconnect is recovered`, {
  skip: process.env.HUBCAST_LONG !== "1" && "takes more than a minute; HUBCAST_LONG=1 runs it",
}, async (t) => {
  const server = await Server.start(RATES);
  t.after(() => server.close());
  const proxy = await Proxy.start(server);
  t.after(() => proxy.close());
  const people = await register(server, USERS);
  const talk = (await server.post(people[0].token, "/conversations", { memberIds: people.map(({ id }) => id) })).id;
  const clients = [];
  for (let n = 0; n < CLIENTS; n += 1) {
    const client = await server.connect(people[n % USERS].token, "/", { via: proxy });
    assert.equal((await client.ask("join:conversation", { conversationId: talk })).ok, true);
    clients.push(client);
  }

  const said = [];
  let isOn = true;
  const speak = async () => {
    while (isOn) {
      const { token } = people[said.length % USERS];
      said.push(await server.post(token, `/conversations/${talk}/messages`, { content: `number ${said.length}` }));
      await sleep(1_000 / RATE);
    }
  };
  const shake = async () => {
    const counts = { resets: 0, refusals: 0 };
    for (const end = Date.now() + MINUTE_MS; Date.now() < end; ) {
      await sleep(Math.random() * 2_500);
      // Some connections, or all of them.
      const share = Math.random() < 0.3 ? 1 : Math.random() * 0.7;
      const isRefusal = Math.random() < 0.25;
      if (isRefusal) proxy.refuse();
      counts.resets += proxy.cut(() => Math.random() < share);
      if (!isRefusal) continue;
      counts.refusals += 1;
      await sleep(REFUSAL_MS);
      proxy.accept();
    }
    return counts;
  };
  const speaking = speak();
  const { resets, refusals } = await shake();
  isOn = false;
  await speaking;
  await until(() => clients.every((client) => client.all("message:new").length >= said.length), "all to have heard all", 30_000).catch(() => {});

  const back = clients.flatMap(({ connects }) => connects.slice(1));
  const resumed = back.filter(({ recovered }) => recovered).length;
  const heard = clients.map((client) => client.all("message:new"));
  const total = heard.reduce((sum, { length }) => sum + length, 0);
  t.diagnostic(
    `${said.length} messages to ${CLIENTS} clients: ${total} of ${said.length * CLIENTS} frames; ${resets} lines reset, ${refusals} refusals of ${REFUSAL_MS} ms, ` +
      `${resumed} resumes recovered, ${back.length - resumed} not`,
  );
  for (const [index, frames] of heard.entries()) assert.deepEqual(frames.map(({ seq }) => seq), said.map(({ seq }) => seq), `client ${index}`);
  assert.equal(back.length - resumed, 0, "every return was a resume");
  assert.ok(resumed >= 200, `${resumed} resumes`);
});
