// The lifetime of a token with the official client: the warning, the expiry, auth:refresh, and
// signing out.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, sign, until, within } from "./harness.mjs";

const EXPIRED = { status: "error", code: "token_expired", message: "The token has expired" };
const ENDED = { status: "error", code: "unauthorized", message: "Unauthorized" };

const seconds = () => Math.floor(Date.now() / 1000);
const time = (exp) => new Date(exp * 1000).toISOString();
/** The reason of the disconnect. */
const end = (client) => within(new Promise((resolve) => client.socket.once("disconnect", resolve)), "the end");

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.close());

/** A token of Alice that is valid for two to three seconds, and its expiry. */
async function short() {
  const exp = seconds() + 3;
  return { exp, token: sign({ sub: await server.id("alice"), exp }) };
}

for (const transport of ["websocket", "polling"]) {
  describe(`over ${transport}`, () => {
    const options = { transports: [transport] };

    test("a socket is warned, informed of the expiry and disconnected; with another token it starts a new session", async () => {
      const { exp, token } = await short();
      let current = token;
      const client = server.open("/", { ...options, auth: (give) => give({ token: current }) });
      const over = end(client);
      await client.next("session");
      assert.deepEqual(await client.next("token:expiring"), { expiresAt: time(exp) });
      assert.equal(await over, "io server disconnect");
      assert.ok(Date.now() >= exp * 1000);
      assert.deepEqual([client.all("error"), client.all("exception")], [[EXPIRED], [EXPIRED]]);
      assert.equal(client.socket.active, false, "the client does not come back by itself");

      client.socket.connect();
      assert.deepEqual(await client.refusal(), { message: "Unauthorized", data: { code: "unauthorized", reason: "expired" } });
      client.socket.disconnect();
      current = await server.token("alice");
      client.socket.connect();
      await client.next("session");
      assert.deepEqual(client.connects.map(({ recovered }) => recovered), [false, false]);
      client.close();
    });

    test("a socket that answers the warning with auth:refresh continues", async () => {
      const { exp, token } = await short();
      const client = server.open("/", { ...options, auth: { token } });
      const next = seconds() + 3600;
      const fresh = sign({ sub: await server.id("alice"), exp: next });
      client.socket.once("token:expiring", async () => {
        client.acked = await client.ask("auth:refresh", { token: fresh });
      });
      await client.next("session");
      await until(() => Date.now() > exp * 1000 + 100, "the first token's end");
      assert.deepEqual(client.acked, { ok: true, expiresAt: time(next) });
      assert.equal((await client.ask("no:such:event")).error.code, "invalid");
      assert.deepEqual([client.all("error"), client.connects.length], [[], 1]);
      client.close();
    });

    test("a logout ends the sockets of its token in both namespaces, and no others", async () => {
      const [first, second] = [await server.signIn("admin"), await server.signIn("admin")].map(({ accessToken }) => accessToken);
      const gone = [await server.connect(first, "/", options), await server.connect(first, "/admin", options)];
      const there = await server.connect(second, "/", options);
      const ends = gone.map(end);
      assert.deepEqual(await server.post(first, "/auth/logout"), { ok: true });
      assert.deepEqual(await Promise.all(ends), ["io server disconnect", "io server disconnect"]);
      for (const client of gone) assert.deepEqual(client.all("error"), [ENDED]);
      gone[0].socket.connect();
      assert.deepEqual(await gone[0].refusal(), { message: "Unauthorized", data: { code: "unauthorized", reason: "invalid" } });
      assert.equal((await there.ask("no:such:event")).error.code, "invalid");
      assert.deepEqual(there.connects.length, 1);
      for (const client of [...gone, there]) client.close();
    });
  });
}

test("a connection lost before a logout everywhere is not recovered by a later sign-in", async () => {
  let { accessToken: token } = await server.signIn("bob");
  const client = server.open("/", { auth: (give) => give({ token }), reconnection: false });
  await client.next("session");
  client.socket.io.engine.close();
  await server.post(token, "/auth/logout", { everywhere: true });
  ({ accessToken: token } = await server.signIn("bob"));
  client.socket.connect();
  await client.next("session");
  assert.deepEqual(client.connects.map(({ recovered }) => recovered), [false, false]);
  client.close();
});

test("a lost connection is recovered with another token of the same user", async () => {
  let { accessToken: token } = await server.signIn("bob");
  const client = server.open("/", { auth: (give) => give({ token }), reconnection: false });
  await client.next("session");
  client.socket.io.engine.close();
  ({ accessToken: token } = await server.signIn("bob"));
  client.socket.connect();
  await client.next("session");
  assert.deepEqual(client.connects.map(({ recovered }) => recovered), [false, true]);
  client.close();
});

test("a token counts with and without Bearer, wherever clients put it", async () => {
  const token = await server.token("alice");
  const bearer = `Bearer ${token}`;
  for (const options of [
    { auth: { token: bearer } },
    { auth: { authorization: bearer } },
    { auth: { Authorization: token } },
    { auth: { Authentication: { value: bearer } } },
    { extraHeaders: { cookie: `Authentication=${encodeURIComponent(bearer)}` } },
    { query: { token: bearer } },
  ]) {
    const client = server.open("/", options);
    assert.equal((await client.next("session")).userId, await server.id("alice"), JSON.stringify(Object.keys(options)));
    assert.equal((await client.ask("auth:refresh", { token: bearer })).ok, true);
    client.close();
  }
});

test("the log says why tokens are refused and what to set, and never a token", async () => {
  const own = await Server.start({ JWT_ISSUER: "https://id.test/", JWT_AUDIENCE: "hub,shop", LOG_FORMAT: "text" });
  const good = { sub: 1, iss: "https://id.test/", aud: "hub" };
  const tokens = [
    [sign({ ...good, iss: "https://id.test" }), `its iss "https://id.test" is not JWT_ISSUER`],
    [sign({ ...good, aud: ["account"] }), `its aud "account" is not in JWT_AUDIENCE`],
    [sign({ ...good, nbf: seconds() + 60 }), "JWT_LEEWAY"],
    [sign({ ...good, exp: seconds() - 3 }), "its exp was"],
    [sign({ ...good, exp: undefined }), "its exp is missing"],
    [sign({ ...good, sub: "auth0|x" }), "JWT_SUBJECT=outside"],
    [sign({ ...good, sub: 99 }), "no account has the id in its sub"],
    [sign(good, "another secret"), "signed with a key that is not ours"],
  ];
  const me = (token) => fetch(`${own.url}/auth/me`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await me(sign(good))).status, 200);
  for (const [token, reason] of tokens) {
    for (let round = 0; round < 20; round += 1) assert.equal((await me(token)).status, 401);
    await until(() => own.log.includes(reason), reason);
    assert.equal(own.log.includes(token), false);
    assert.ok(own.log.split(reason).length < 10, "a reason that repeats is logged now and then");
  }
  await own.close();
});
