// PostgreSQL is stopped under load for 20 s and started again: no answered write is lost, no client
// is disconnected, and every event is delivered in the end. Uses its own instance; runs when the
// suite runs on PostgreSQL (HUBCAST_TEST_POSTGRES).

import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, until, within } from "./harness.mjs";
import { behind } from "./lines.mjs";
import { Load, RATES, sleep } from "./load.mjs";
import { Postgres, programs } from "./postgres.mjs";

const OUTAGE_MS = 20_000;

/** The reason to skip, or false. */
function skip() {
  if (!process.env.HUBCAST_TEST_POSTGRES) return "HUBCAST_TEST_POSTGRES runs it";
  return !programs() && "PostgreSQL's programs are not here; HUBCAST_PG_BIN can name their directory";
}

/** Polls by GET until it is stopped: records the statuses of `/orders` and the answers of `/readyz`. */
function watch(server, token) {
  const seen = { statuses: new Set(), ready: [] };
  let isOn = true;
  const looking = (async () => {
    while (isOn) {
      seen.statuses.add((await server.call(token, "GET", "/orders?limit=1")).status);
      const { status, body } = await server.call(null, "GET", "/readyz");
      seen.ready.push({ status, body });
      await sleep(100);
    }
  })();
  looking.catch(() => {});
  seen.stop = async () => {
    isOn = false;
    await within(looking, "the last GET", 30_000);
  };
  return seen;
}

for (const mode of ["fast", "immediate"]) {
  test(`PostgreSQL stopped (${mode}) for ${OUTAGE_MS / 1000} s under load and started again`, { skip: skip() }, async (t) => {
    const postgres = await Postgres.start();
    t.after(() => postgres.remove());
    const server = await Server.start({ ...RATES, DATABASE_URL: await postgres.createDatabase() });
    t.after(() => server.close());
    const load = await Load.prepare(t, server, 20);
    // One more reader loses its connection meanwhile, and one connects for the first time.
    const { client: lost, proxy } = await behind(t, server, load.people[8].token);
    assert.equal((await lost.ask("join:conversation", { conversationId: load.talk })).ok, true);
    const user = await server.id("alice");
    const disconnects = [];
    for (const { socket } of load.clients) socket.on("disconnect", (reason) => disconnects.push(reason));

    load.start();
    await load.more(100, 30_000);
    const seen = watch(server, load.people[1].token);
    await until(() => seen.ready.length > 0, "a look at /readyz");
    const before = load.answered;
    await postgres.stop(mode);
    await sleep(OUTAGE_MS / 2);
    proxy.cut();
    const late = server.open("/", { auth: { token: await server.token("alice") } });
    const refusals = [];
    late.socket.on("connect_error", ({ message, data }) => refusals.push({ message, data }));
    await sleep(OUTAGE_MS / 2);
    const during = seen.ready.findLast(({ status }) => status !== 200);
    const { answered } = load;
    await postgres.start();

    await until(() => seen.ready.at(-1).status === 200, "/readyz to be 200 again", 30_000);
    await load.more(100, 60_000);
    await seen.stop();
    await load.stop();
    const counts = await load.reckon();
    t.diagnostic(
      `${counts.messages} messages, ${counts.orders} orders, ${counts.notifications} notifications, each told once; ${before} answered before the stop, ${answered - before} at its end; ` +
        `${load.retries} sent again; statuses of writes: ${JSON.stringify([...load.statuses])}, of reads: ${[...seen.statuses]}`,
    );
    assert.deepEqual([...load.statuses.keys()].filter((status) => ![201, 503].includes(status)), []);
    assert.deepEqual([...seen.statuses].filter((status) => ![200, 503].includes(status)), []);
    assert.ok(seen.statuses.has(503));
    assert.equal(during?.status, 503, "/readyz fails meanwhile");
    assert.match(JSON.stringify(during.body), /database/i);
    assert.deepEqual(disconnects, [], "sockets stay");
    assert.deepEqual(load.resumes, { made: 0, refused: 0 });

    await until(() => lost.all("message:new").length >= counts.messages, "the one with a lost line to hear all");
    assert.deepEqual(lost.all("message:new"), load.readers[0].all("message:new"));
    assert.deepEqual(lost.connects.map(({ recovered }) => recovered), [false, true]);
    assert.equal((await late.next("session")).userId, user);
    assert.deepEqual(refusals.filter(({ data }) => data !== undefined), [], "a new one is told to try again, not that it may not");
  });
}
