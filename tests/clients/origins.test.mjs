// The rights of a page of another Origin, by CORS_ORIGINS: over REST, at the handshake of both
// transports, on the plain WebSocket, and with a cookie.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { Server, until, within } from "./harness.mjs";

const LISTED = "https://shop.test";
const FOREIGN = "https://elsewhere.test";
const UNAUTHORIZED = { statusCode: 401, message: "Unauthorized", error: "Unauthorized", reason: "missing" };
const MISSING = { message: "Unauthorized", data: { code: "unauthorized", reason: "missing" } };
/** Without this header a browser hides an answer from the page. */
const ALLOW = "access-control-allow-origin";
const EXPOSE = "access-control-expose-headers";
const EXPOSED = { [EXPOSE]: new Set(["link", "retry-after"]) };
const SOCKET = "/socket.io/?EIO=4&transport=";

/** Sends one request. Returns {status, body, cors}: `cors` holds the CORS headers, with lists as sets. */
function request(server, method, path, headers) {
  const answered = new Promise((resolve, reject) => {
    const sent = http.request(server.url + path, { method, headers, agent: false }, async (answer) => {
      const body = (await answer.setEncoding("utf8").toArray()).join("");
      const allowed = Object.entries(answer.headers).filter(([name]) => name.startsWith("access-control-allow-") || name === EXPOSE);
      const cors = Object.fromEntries(allowed.map(([name, value]) => [name, /,/.test(value) ? new Set(value.split(/, */)) : value]));
      resolve({ status: answer.statusCode, body, cors });
    });
    sent.on("error", reject).end();
  });
  return within(answered, `${method} ${path}`);
}

/** The status of the answer to an upgrade. */
function upgrade(server, path, headers) {
  const socket = new WebSocket(server.url.replace("http", "ws") + path, { headers });
  const answered = new Promise((resolve, reject) => {
    socket.once("upgrade", ({ statusCode }) => resolve(statusCode));
    socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode));
    socket.on("error", reject);
  });
  return within(answered, "the upgrade").finally(() => socket.on("error", () => {}).terminate());
}

const own = ({ url }) => url;
/** [caller, its headers, its rights: `all`, `no cookie` or `nothing`]. */
const EVERYWHERE = [
  ["no Origin", () => ({}), "all"],
  ["no Origin, Sec-Fetch-Site: same-origin", () => ({ "sec-fetch-site": "same-origin" }), "all"],
  ["no Origin, Sec-Fetch-Site: cross-site", () => ({ "sec-fetch-site": "cross-site" }), "no cookie"],
  ["no Origin, Sec-Fetch-Site: same-site", () => ({ "sec-fetch-site": "same-site" }), "no cookie"],
  ["our own Origin", (server) => ({ origin: own(server) }), "all"],
];
const SETTINGS = {
  "without CORS_ORIGINS": [undefined, [["a foreign Origin", () => ({ origin: FOREIGN }), "nothing"], ["the Origin null", () => ({ origin: "null" }), "nothing"]]],
  "with a list in CORS_ORIGINS": [
    `https://more.test,${LISTED}`,
    [["a listed Origin", () => ({ origin: LISTED }), "all"], ["an Origin that is not listed", () => ({ origin: FOREIGN }), "nothing"]],
  ],
  "with Origins that many pages share in CORS_ORIGINS": [
    "null,file://,https://*.shop.test:8443,http://localhost:*,capacitor://localhost",
    [
      ...["null", "file://", "https://a.b.shop.test:8443", "http://localhost:5173"].map((origin) => [`the Origin ${origin}`, () => ({ origin }), "no cookie"]),
      ["an app's Origin", () => ({ origin: "capacitor://localhost" }), "all"],
      ...["https://shop.test:8443", "https://a.shop.test"].map((origin) => [`the Origin ${origin}`, () => ({ origin }), "nothing"]),
    ],
  ],
  "with CORS_ORIGINS=*": ["*", [["a foreign Origin", () => ({ origin: FOREIGN }), "no cookie"]]],
};

for (const [setting, [origins, more]] of Object.entries(SETTINGS)) {
  describe(setting, () => {
    let server;
    let token;
    before(async () => {
      server = await Server.start(origins && { CORS_ORIGINS: origins });
      token = await server.token("alice");
    });
    after(() => server?.close());

    for (const [who, headersOf, may] of [...EVERYWHERE, ...more]) {
      test(`${who}: a cookie ${may === "all" ? "counts" : "does not count"} over REST`, async () => {
        const { status, body } = await request(server, "GET", "/auth/me", { ...headersOf(server), cookie: `Authentication=${token}` });
        const me = JSON.parse(body);
        if (may === "all") assert.deepEqual([status, me.id], [200, await server.id("alice")]);
        else assert.deepEqual([status, me], [401, UNAUTHORIZED]);
        // A browser never adds a token to the header by itself.
        assert.equal((await request(server, "GET", "/auth/me", { ...headersOf(server), authorization: `Bearer ${token}` })).status, 200);
      });

      if (may === "nothing") {
        test(`${who} is refused by every socket transport, even with a token`, async () => {
          const headers = { ...headersOf(server), authorization: `Bearer ${token}` };
          for (const path of ["/ws", `${SOCKET}websocket`]) assert.equal(await upgrade(server, path, headers), 403, path);
          const { status, body, cors } = await request(server, "GET", `${SOCKET}polling`, headers);
          assert.deepEqual([status, body, cors], [403, '{"code":4,"message":"Forbidden"}', {}]);
        });
        continue;
      }

      test(`${who}: a cookie ${may === "all" ? "opens" : "does not open"} a socket, a token does`, async () => {
        const extraHeaders = { ...headersOf(server), cookie: `Authentication=${token}` };
        for (const transports of [["websocket"], ["polling"]]) {
          const open = (options) => server.open("/", { transports, extraHeaders, reconnection: false, ...options });
          const [alone, withToken] = [open({}), open({ auth: { token } })];
          if (may === "all") assert.equal((await alone.next("session")).userId, await server.id("alice"));
          else assert.deepEqual(await alone.refusal(), MISSING);
          assert.equal((await withToken.next("session")).userId, await server.id("alice"));
        }
        assert.equal(await upgrade(server, "/ws", extraHeaders), 101);
      });
    }
  });
}

describe("CORS headers", () => {
  const servers = {};
  before(async () => {
    for (const [name, origins] of [["same", undefined], ["list", `${LISTED},null`], ["any", "*"]]) {
      servers[name] = await Server.start(origins && { CORS_ORIGINS: origins });
    }
  });
  after(() => Promise.all(Object.values(servers).map((server) => server.close())));

  for (const [name, origin, cors] of [
    ["same", FOREIGN, null],
    ["list", LISTED, { [ALLOW]: LISTED, "access-control-allow-credentials": "true" }],
    ["list", "null", { [ALLOW]: "null" }],
    ["list", FOREIGN, null],
    ["any", FOREIGN, { [ALLOW]: FOREIGN }],
  ]) {
    const who = `${{ same: "no CORS_ORIGINS", list: `CORS_ORIGINS=${LISTED},null`, any: "CORS_ORIGINS=*" }[name]}: ${origin}`;

    test(`${who} is ${cors ? "" : "not "}allowed on REST's answers, success or error`, async () => {
      const server = servers[name];
      const authorization = `Bearer ${await server.token("alice")}`;
      for (const [status, path, headers] of [[200, "/orders", { origin, authorization }], [401, "/orders", { origin }], [404, "/nowhere", { origin }]]) {
        const answer = await request(server, "GET", path, headers);
        assert.equal(answer.status, status);
        assert.deepEqual(answer.cors, cors ? { ...cors, ...EXPOSED } : {});
      }
    });

    test(`${who} sends a preflight, and may ${cors ? "send a token and a key" : "not"}`, async () => {
      const headers = { origin, "access-control-request-method": "PATCH", "access-control-request-headers": "authorization,idempotency-key" };
      for (const path of ["/orders/1/status", `${SOCKET}polling`]) {
        const answer = await request(servers[name], "OPTIONS", path, headers);
        const { "access-control-allow-methods": methods, [EXPOSE]: exposed, ...rest } = answer.cors;
        if (!cors) {
          assert.deepEqual(answer.cors, {});
          continue;
        }
        assert.deepEqual([answer.status, rest], [200, { ...cors, "access-control-allow-headers": new Set(["authorization", "idempotency-key"]) }]);
        for (const method of ["GET", "POST", "PATCH", "DELETE"]) assert.ok(methods.has(method), method);
      }
    });

    if (cors) {
      test(`${who} is allowed on the answers to polls`, async () => {
        const answer = await request(servers[name], "GET", `${SOCKET}polling`, { origin });
        assert.deepEqual([answer.status, answer.cors], [200, { ...cors, ...EXPOSED }]);
      });
    }
  }
});

describe("the log", () => {
  let server;
  before(async () => {
    server = await Server.start({ CORS_ORIGINS: LISTED, TRUSTED_PROXIES: "127.0.0.2" });
  });
  after(() => server?.close());

  const refusals = () => server.log.split("\n").filter((line) => line.includes("Origin refused")).map((line) => JSON.parse(line));

  for (const [why, headers, origin, mend] of [
    ["a foreign Origin", {}, FOREIGN, "name its Origin in CORS_ORIGINS"],
    ["TLS that ends in an unknown proxy", { "x-forwarded-proto": "https" }, () => server.url.replace("http", "https"), "TRUSTED_PROXIES"],
    ["a page in a sandbox", {}, "null", "CORS_ORIGINS"],
  ]) {
    test(`says why ${why} was refused, once for many`, async () => {
      const sent = { ...headers, origin: typeof origin === "string" ? origin : origin() };
      for (const path of ["/ws", `${SOCKET}websocket`, "/ws"]) assert.equal(await upgrade(server, path, sent), 403, path);
      const found = () => refusals().filter((line) => line.origin === sent.origin);
      await until(() => found().length > 0, "the line");
      assert.equal(found().length, 1, server.log);
      const { message, timestamp, target, ...rest } = found()[0];
      assert.match(message, new RegExp(mend));
      assert.deepEqual(rest, { level: "WARN", left_out: 0, peer: "127.0.0.1", origin: sent.origin, own: server.url, listed: `List(["${LISTED}"])` });
    });
  }
});
