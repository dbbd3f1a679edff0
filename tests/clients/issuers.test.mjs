// The keys of another issuer: fetched by https from its address or found by its OpenID
// configuration, renewed while the server runs, and kept while the issuer is away.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Provider } from "oidc-provider";
import { io } from "socket.io-client";
import { makeCertificates } from "./certificates.mjs";
import { Server, until, within } from "./harness.mjs";

const PATIENCE_MS = 90_000;

let certificates;
before(() => (certificates = makeCertificates()));
after(() => certificates.remove());

/** A key that signs ES256, and its public JWK. */
class Key {
  constructor(id) {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.id = id;
    this.private = pair.privateKey;
    this.jwk = { ...pair.publicKey.export({ format: "jwk" }), kid: id, use: "sig", alg: "ES256" };
  }

  token(claims = {}) {
    const now = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${part({ alg: "ES256", kid: this.id })}.${part({ sub: "eve", iat: now, exp: now + 3600, ...claims })}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), { key: this.private, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  }
}

/** An https server for documents. `paths` has their texts, or functions of (request, response). */
class Issuer {
  paths = {};
  requests = [];
  port = 0;

  async start() {
    this.server = https.createServer({ cert: certificates.certificatePem, key: certificates.keyPem }, (request, response) => {
      this.requests.push(request.url);
      const found = this.paths[request.url] ?? this.paths["*"];
      if (typeof found === "function") return found(request, response);
      response.statusCode = found === undefined ? 404 : 200;
      response.end(found);
    });
    this.server.listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
    this.url = `https://127.0.0.1:${this.port}`;
    return this;
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  publish(...keys) {
    this.paths["/keys"] = JSON.stringify({ keys: keys.map((key) => key.jwk) });
    return this;
  }
}

async function serve(t, env) {
  const server = await Server.start({ JWT_SECRET: "", JWT_PROVISION: "on", LOG_FORMAT: "text", SSL_CERT_FILE: certificates.caFile, ...env });
  t.after(() => server.close());
  return server;
}

async function issuer(t, ...keys) {
  const started = await new Issuer().publish(...keys).start();
  t.after(() => started.server.listening && started.stop());
  return started;
}

const status = async (server, token) => (await server.call(token, "GET", "/auth/me")).status;
const becomes = (server, token, wanted, what) => until(async () => (await status(server, token)) === wanted, what, PATIENCE_MS);

/** The first answer to a socket with this token: "connect", or the reason of its refusal. */
async function connect(t, server, token) {
  const socket = io(server.url, { auth: { token }, transports: ["websocket"], reconnection: false, forceNew: true });
  t.after(() => socket.disconnect());
  const answer = new Promise((resolve) => {
    socket.once("connect", () => resolve("connect"));
    socket.once("connect_error", (error) => resolve(error.data?.reason ?? error.message));
  });
  return within(answer, "an answer to the socket", PATIENCE_MS);
}

/** Starts oidc-provider, an issuer that is certified for OpenID Connect. */
async function provider(t) {
  const front = await issuer(t);
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const oidc = new Provider(front.url, {
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "rsa", use: "sig" }] },
    clients: [{ client_id: "shop", client_secret: "shop-secret", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: "", audience: "hub", accessTokenFormat: "jwt", jwt: { sign: { alg: "PS256" } } }),
      },
    },
  });
  const handle = oidc.callback();
  front.paths = { "*": handle };
  const agent = new https.Agent({ ca: certificates.ca });
  front.token = () => {
    const body = "grant_type=client_credentials&resource=https%3A%2F%2Fhub.test";
    return new Promise((resolve, reject) => {
      const headers = { "Content-Type": "application/x-www-form-urlencoded" };
      const request = https.request(`${front.url}/token`, { method: "POST", agent, auth: "shop:shop-secret", headers }, async (response) => {
        const answer = JSON.parse(Buffer.concat(await response.toArray()).toString());
        return answer.access_token ? resolve(answer.access_token) : reject(new Error(JSON.stringify(answer)));
      });
      request.once("error", reject).end(body);
    });
  };
  return front;
}

// Most of them wait for the time between two fetches, so they do that together.
describe("keys of another issuer", { concurrency: true }, () => {
  test("the keys of a real issuer are found by its OpenID configuration", async (t) => {
    const front = await provider(t);
    const server = await serve(t, { JWT_ISSUER: front.url, JWT_AUDIENCE: "hub" });
    const token = await front.token();
    const me = await server.call(token, "GET", "/auth/me");
    assert.deepEqual([me.status, me.body.name], [200, "shop"]);
    assert.equal(await connect(t, server, token), "connect");
    assert.deepEqual(front.requests.slice(0, 2), ["/.well-known/openid-configuration", "/jwks"]);
    assert.equal((await server.call(null, "POST", "/auth/login", {})).status, 501);
  });

  test("after a rotation the first socket with a new key connects, and many unknown keys cost few fetches", async (t) => {
    const [first, second, never] = ["first", "second", "never"].map((id) => new Key(id));
    const front = await issuer(t, first);
    const server = await serve(t, { JWKS_URL: `${front.url}/keys` });
    assert.equal(await status(server, first.token()), 200);
    assert.deepEqual(front.requests, ["/keys"]);

    front.publish(first, second);
    assert.equal(await connect(t, server, second.token()), "connect");
    assert.equal(await status(server, first.token()), 200);
    // A wrong signature by a known key's name fetches nothing, and does not wait.
    never.id = "second";
    assert.equal(await connect(t, server, never.token()), "invalid");

    // The issuer withdraws a key, and many tokens of unknown keys share one fetch, or two.
    front.publish(second);
    const fetches = front.requests.length;
    const refused = Array.from({ length: 50 }, (_, n) => {
      never.id = `never ${n}`;
      return status(server, never.token());
    });
    assert.deepEqual(new Set(await Promise.all(refused)), new Set([401]));
    assert.ok(front.requests.length - fetches <= 2, `${front.requests.length - fetches} fetches`);

    assert.deepEqual([await status(server, first.token()), await status(server, second.token())], [401, 200]);
  });

  test("keys are kept while the issuer is away", async (t) => {
    const [first, second] = ["first", "second"].map((id) => new Key(id));
    const front = await issuer(t, first);
    const server = await serve(t, { JWKS_URL: `${front.url}/keys` });
    await front.stop();
    assert.equal(await status(server, second.token()), 401);
    assert.match(server.log, /the issuer's keys cannot be renewed: https:\/\/127\.0\.0\.1:\d+\/keys: .*; those from before are kept/);
    assert.equal(await status(server, first.token()), 200);
    assert.equal((await server.call(null, "GET", "/readyz")).status, 200);

    await front.publish(second).start();
    await becomes(server, second.token(), 200, "the new key");
  });

  test("without its issuer the server starts, is not ready, and judges no token", async (t) => {
    const key = new Key("only");
    const front = await issuer(t, key);
    await front.stop();
    const server = await serve(t, { JWKS_URL: `${front.url}/keys` });
    const why = "The keys of the tokens' issuer cannot be reached yet";
    const ready = await server.call(null, "GET", "/readyz");
    assert.deepEqual([ready.status, ready.body], [503, { status: "unavailable", reason: why }]);
    const me = await server.call(key.token(), "GET", "/auth/me");
    assert.deepEqual([me.status, me.body.message], [503, why]);
    await front.start();
    await becomes(server, key.token(), 200, "the issuer's keys");
    assert.equal((await server.call(null, "GET", "/readyz")).status, 200);
  });

  test("a certificate that nobody vouches for gives no keys", async (t) => {
    const front = await issuer(t, new Key("only"));
    const server = await serve(t, { JWKS_URL: `${front.url}/keys`, SSL_CERT_FILE: certificates.certificate });
    assert.equal((await server.call(null, "GET", "/readyz")).status, 503);
    assert.match(server.log, /cannot be renewed: .*certificate/);
    assert.deepEqual(front.requests, []);
  });

  test("what an issuer answers is bounded, and stays on https", async (t) => {
    const [good, moved, plain] = ["good", "moved", "plain"].map((id) => new Key(id));
    const front = await issuer(t, good);
    const to = (location) => (_, response) => response.writeHead(302, { Location: location }).end();
    const secret = join(mkdtempSync(join(tmpdir(), "hubcast-keys-")), "keys.json");
    t.after(() => rmSync(join(secret, ".."), { recursive: true }));
    writeFileSync(secret, JSON.stringify({ keys: [plain.jwk] }));
    Object.assign(front.paths, {
      "/moved": to("/moved/there"),
      "/moved/there": JSON.stringify({ keys: [moved.jwk] }),
      "/loop": to("/loop"),
      "/plain": to(`http://127.0.0.1:${front.port}/keys`),
      "/large": `{"keys":[${" ".repeat(1 << 20)}]}`,
      "/page": "<!doctype html>",
      "/file": to(`file://${secret}`),
    });
    const asked = ["/loop", "/plain", "/large", "/page", "/file", "/none", "/moved", "/keys"];
    const server = await serve(t, { JWKS_URL: asked.map((path) => front.url + path).join(",") });
    assert.equal(await status(server, good.token()), 200);
    assert.equal(await status(server, moved.token()), 200);
    const line = server.log.split("\n").find((found) => found.includes("cannot be renewed"));
    for (const path of asked) {
      assert.equal(line.includes(`${front.url}${path}: `), !["/moved", "/keys"].includes(path), `${path}: ${line}`);
    }
    assert.equal(front.requests.filter((path) => path === "/loop").length, 4);
    assert.equal(await status(server, plain.token()), 401);
  });

  test("a configuration that names another issuer, or keys without https, is not used", async (t) => {
    const key = new Key("only");
    const front = await issuer(t, key);
    for (const [configuration, why] of [
      [{ issuer: `${front.url}/`, jwks_uri: `${front.url}/keys` }, "is the configuration of "],
      [{ issuer: front.url, jwks_uri: `http://127.0.0.1:${front.port}/keys` }, "its `jwks_uri` is not https"],
      [{ issuer: front.url, jwks_uri: "http://shop.test/keys" }, "its `jwks_uri` is http, "],
      [{ issuer: front.url }, "is no OpenID configuration"],
    ]) {
      front.paths["/.well-known/openid-configuration"] = JSON.stringify(configuration);
      const server = await Server.start({ JWT_SECRET: "", JWT_ISSUER: front.url, LOG_FORMAT: "text", SSL_CERT_FILE: certificates.caFile });
      t.after(() => server.close());
      assert.equal((await server.call(null, "GET", "/readyz")).status, 503, why);
      assert.ok(server.log.includes(`openid-configuration: ${why}`), server.log);
    }
    assert.ok(!front.requests.includes("/keys"));
  });

  test("a file of keys is read again when it changes, and SIGHUP ends nothing", async (t) => {
    const [first, second] = ["first", "second"].map((id) => new Key(id));
    const folder = mkdtempSync(join(tmpdir(), "hubcast-keys-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "keys.json");
    const write = (text) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    write(JSON.stringify(first.jwk));
    const server = await serve(t, { JWT_PUBLIC_KEY_FILE: file });
    assert.deepEqual([await status(server, first.token()), await status(server, second.token())], [200, 401]);

    write(JSON.stringify(second.jwk));
    await becomes(server, second.token(), 200, "the new key");
    assert.equal(await status(server, first.token()), 401);

    write("hush");
    await until(() => server.log.includes("holds no public key"), "the warning", PATIENCE_MS);
    server.signal("SIGHUP");
    await until(() => server.log.includes("SIGHUP"), "the line of the log", PATIENCE_MS);
    assert.equal(await status(server, second.token()), 200);
    assert.ok(!server.log.includes("hush"));
    write(JSON.stringify({ keys: [first.jwk, second.jwk] }));
    await becomes(server, first.token(), 200, "the key that is back");
  });
});
