// kill -9 at random moments under load: every answered write is stored, and every reader received
// it once, in order. HUBCAST_LONG=1 runs 12 rounds instead of 3.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Server } from "./harness.mjs";
import { Load, RATES, sleep } from "./load.mjs";

const ROUNDS = process.env.HUBCAST_LONG === "1" ? 12 : 3;

test(`${ROUNDS} rounds of kill -9 under 8 senders: every acked write is stored, and all 4 readers received it once and in order`, async (t) => {
  const server = await Server.start(RATES);
  t.after(() => server.close());
  const load = await Load.prepare(t, server, 2);
  const random = (most) => Math.floor(Math.random() * most);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const { retries } = load;
    load.start();
    await load.more(300, 60_000);
    // Once during the writes, and once more while the clients reconnect.
    const moments = [random(800), random(400)];
    for (const moment of moments) {
      await sleep(moment);
      await server.kill();
      await server.start();
    }
    await load.more(300, 60_000);
    await load.stop();
    const { messages, orders, notifications } = await load.reckon();
    const { made, refused } = load.resumes;
    t.diagnostic(
      `round ${round}: killed after ${moments.join(" and ")} ms; so far ${messages} messages, ${orders} orders, ${notifications} notifications, ` +
        `each told once; ${made} resumes recovered, ${refused} not; ${load.retries - retries} sent again in this round`,
    );
    assert.equal(refused, 0, "all came back within the window");
    assert.ok(made >= load.clients.length * round);
  }
});
