// The places where the official clients, newest and 4.1, may put a token, over each transport; and
// the order in which the server reads them.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, Server, until } from "./harness.mjs";
import { OFFICIAL, transport } from "./ways.mjs";

const BAD = "not.a.token";
const unauthorized = (reason) => ({ message: "Unauthorized", data: { code: "unauthorized", reason } });

const PLACES = {
  "auth.token": (token) => ({ auth: { token } }),
  "auth.token, given by a function": (token) => ({ auth: (give) => give({ token }) }),
  "auth.Authentication as a string": (token) => ({ auth: { Authentication: token } }),
  "auth.Authentication.value": (token) => ({ auth: { Authentication: { value: token } } }),
  "the Authorization header": (token) => ({ extraHeaders: { Authorization: `Bearer ${token}` } }),
  "the Authentication cookie": (token) => ({ extraHeaders: { Cookie: `theme=dark; Authentication=${token}` } }),
  "the query": (token) => ({ query: { token } }),
};

/** A bad token in each place, and a valid one in a later place. */
const BAD_BEFORE_GOOD = {
  "auth.token before auth.Authentication": (good) => ({ auth: { token: BAD, Authentication: good } }),
  "auth.Authentication before the header": (good) => ({ auth: { Authentication: BAD }, extraHeaders: { Authorization: `Bearer ${good}` } }),
  "auth.Authentication.value before the header": (good) => ({
    auth: { Authentication: { value: BAD } }, extraHeaders: { Authorization: `Bearer ${good}` },
  }),
  "the header before the cookie": (good) => ({ extraHeaders: { Authorization: `Bearer ${BAD}`, Cookie: `Authentication=${good}` } }),
  "the cookie before the query": (good) => ({ extraHeaders: { Cookie: `Authentication=${BAD}` }, query: { token: good } }),
};

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.close());

for (const { client: name, library, way, transports } of OFFICIAL) {
  describe(`${name}, ${way}, with a token in`, () => {
    function open(t, namespace, options) {
      const client = server.open(namespace, { library, transports, ...options });
      t.after(() => client.close());
      return client;
    }

    for (const [place, options] of Object.entries(PLACES)) {
      test(`${place} is accepted`, async (t) => {
        const client = open(t, "/", options(await server.token("alice")));
        const session = await client.next("session");
        const { id, recovered } = client.connects[0];
        assert.deepEqual({ ...session, serverTime: "" }, { session: id, userId: await server.id("alice"), recovered, serverTime: "" });
        await until(() => transport(client) === transports.at(-1), "its last transport");
      });

      test(`${place} is refused if the token is bad`, async (t) => {
        assert.deepEqual(await open(t, "/", options(BAD)).refusal(), unauthorized("invalid"));
      });
    }

    for (const [places, options] of Object.entries(BAD_BEFORE_GOOD)) {
      test(`${places}: a later valid token does not make up for a bad one`, async (t) => {
        assert.deepEqual(await open(t, "/", options(await server.token("alice"))).refusal(), unauthorized("invalid"));
      });
    }

    test("no place is refused", async (t) => {
      assert.deepEqual(await open(t, "/", {}).refusal(), unauthorized("missing"));
    });

    test("auth.token: a customer is accepted on /, but on the same connection refused on /admin and on an unknown namespace", async (t) => {
      const auth = { token: await server.token("alice") };
      const main = open(t, "/", { auth });
      await main.next("session");
      const { engine } = main.socket.io;
      const refusal = (namespace) => {
        const other = new Client(main.socket.io.socket(namespace, { auth }));
        t.after(() => other.close());
        return other.refusal();
      };
      assert.deepEqual(await refusal("/admin"), { message: "Forbidden", data: { code: "forbidden" } });
      assert.deepEqual(await refusal("/shop"), { message: "Invalid namespace" });
      assert.deepEqual(await main.ask("message", { content: "still here" }), { ok: true });
      assert.equal(main.socket.io.engine, engine);
    });
  });
}
