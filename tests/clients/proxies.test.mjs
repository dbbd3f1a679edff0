// What docs/PROXIES.md says works as it stands there: every kind of client comes in through each proxy, from a page of the proxy's own
// Origin, with its own address; and it receives everything, also while the proxy reads its configuration again.

import assert from "node:assert/strict";
import http from "node:http";
import https from "node:https";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { makeCertificates } from "./certificates.mjs";
import { Server, until, within } from "./harness.mjs";
import { lacks, PROXIES, Running } from "./proxies.mjs";
import { transport, WAYS } from "./ways.mjs";

/**
 * The clients' address; the proxies, like the test itself, call hubcast from 127.0.0.1. The agent of the clients keeps no connection:
 * when one that was used before breaks, the XMLHttpRequest of socket.io-client for Node never ends.
 */
const CLIENT = "127.0.0.2";

let certificates;
let server;
let ids;
before(async () => {
  certificates = makeCertificates();
  server = await Server.start({ TRUSTED_PROXIES: "127.0.0.1", RUST_LOG: "info,hubcast=debug" });
  ({ ids } = await server.people());
});
after(async () => {
  await server?.close();
  certificates?.remove();
});

/** The addresses of clients that hubcast saw on a path since `from`. */
function seen(path, from) {
  const lines = server.log.slice(from).split("\n").filter((line) => line.includes(`"path":"${path}"`));
  return [...new Set(lines.map((line) => JSON.parse(line).client))];
}

async function notify(title) {
  await server.post("admin", "/notifications", { userId: ids.alice, type: "promotion", title, message: "Tea" });
}

const titles = (client) => client.all("notification").map(({ title }) => title);

for (const [name, proxy] of Object.entries(PROXIES)) {
  describe(name, { skip: lacks(proxy) }, () => {
    let running;
    let agent;
    let token;
    before(async () => {
      running = await Running.start(proxy, server, certificates);
      agent = new (proxy.isSecure ? https : http).Agent({ ca: certificates.ca, localAddress: CLIENT });
      token = await server.token("alice");
    });
    after(async () => {
      agent?.destroy();
      await running?.close();
    });

    /** A client of socket.io on the proxy's own page. */
    const enter = (transports) => server.connect("alice", "/", { via: running, transports, agent, extraHeaders: { origin: running.url } });

    for (const [way, transports] of Object.entries(WAYS)) {
      test(`socket.io-client, ${way}, is let in with its own address`, async (t) => {
        const from = server.log.length;
        const client = await enter(transports);
        t.after(() => client.close());
        await until(() => transport(client) === transports.at(-1), `${transports.at(-1)}; the proxy said: ${running.said}`, 60_000);
        await notify(way);
        assert.equal((await client.next("notification")).title, way);
        await until(() => seen("/socket.io/", from).length > 0, "the log", 60_000);
        assert.deepEqual(seen("/socket.io/", from), [CLIENT]);
      });
    }

    test("a plain WebSocket is let in with its own address", async (t) => {
      const from = server.log.length;
      const socket = new WebSocket(`${running.url.replace("http", "ws")}/ws?token=${token}`, { agent, origin: running.url });
      t.after(() => socket.terminate());
      const first = new Promise((resolve, reject) => socket.once("message", (text) => resolve(JSON.parse(text.toString()))).once("error", reject));
      assert.equal((await within(first, `the first frame; the proxy said: ${running.said}`, 60_000)).event, "session");
      assert.deepEqual(seen("/ws", from), [CLIENT]);
    });

    test("REST is called with a cookie from the proxy's own page, with the client's address", async () => {
      const from = server.log.length;
      const headers = { cookie: `Authentication=${token}`, origin: running.url };
      const answered = new Promise((resolve, reject) => {
        const request = (proxy.isSecure ? https : http).get(`${running.url}/auth/me`, { agent, headers }, resolve);
        request.once("error", reject);
      });
      const answer = await within(answered, "the answer", 60_000);
      const body = (await answer.setEncoding("utf8").toArray()).join("");
      assert.equal(answer.statusCode, 200, body);
      assert.equal(JSON.parse(body).id, ids.alice);
      await until(() => seen("/auth/me", from).length > 0, "the log", 60_000);
      assert.deepEqual(seen("/auth/me", from), [CLIENT]);
    });

    if (proxy.reload) {
      test("clients receive everything while the proxy reads its configuration again, and others come in", async (t) => {
        const clients = [await enter(["polling"]), await enter(["websocket"])];
        t.after(() => clients.forEach((client) => client.close()));
        await notify("before");
        await proxy.reload(running);
        await notify("meanwhile");
        if (proxy.isCut) await until(() => clients[1].connects.length > 1, `the WebSocket to come back; the proxy said: ${running.said}`, 60_000);
        await notify("after");
        for (const client of clients) {
          await until(() => titles(client).includes("after"), `what is new; the proxy said: ${running.said}`, 60_000);
          assert.deepEqual(titles(client), ["before", "meanwhile", "after"]);
          assert.ok(client.connects.slice(1).every(({ recovered }) => recovered));
        }
        const another = await enter(["polling", "websocket"]);
        t.after(() => another.close());
        await until(() => transport(another) === "websocket", "the upgrade", 60_000);
      });
    }
  });
}

/** Calls by a page of the proxy's own Origin: {webSocket, page: the statuses; address: the client's, as hubcast saw it}. */
async function look(running, agent) {
  const from = server.log.length;
  const path = `/ws?token=${await server.token("alice")}`;
  const socket = new WebSocket(running.url.replace("http", "ws") + path, { agent, origin: running.url });
  // The first frame tells hubcast's socket from one of the proxy's own.
  const opened = new Promise((resolve, reject) => {
    socket.once("message", (text) => resolve(text.toString().startsWith('{"event":"session"') ? 101 : text.toString()));
    socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode)).on("error", reject);
  });
  const webSocket = await within(opened, "the answer to the upgrade", 60_000);
  socket.on("error", () => {}).terminate();
  const asked = new Promise((resolve, reject) => {
    const get = running.url.startsWith("https") ? https.get : http.get;
    get(`${running.url}/socket.io/?EIO=4&transport=polling`, { agent, headers: { origin: running.url } }, resolve).once("error", reject);
  });
  const { statusCode: page } = (await within(asked, "the answer to the poll", 60_000)).resume();
  await until(() => seen("/socket.io/", from).length > 0, "the log", 60_000);
  return { webSocket, page, address: seen("/socket.io/", from)[0] };
}

/** [proxy, what is left out or changed, how, what is different then]. */
const WITHOUT = [
  ["nginx", "the header Upgrade", [/.* Upgrade .*\n/, ""], { webSocket: 426 }],
  ["nginx", "the header Connection", [/.* Connection .*\n/, ""], { webSocket: 426 }],
  ["nginx", "the header Host", [/.* Host .*\n/, ""], { webSocket: 403, page: 403 }],
  ["nginx", "the port in Host", ["$http_host", "$host"], { webSocket: 403, page: 403 }],
  ["nginx", "X-Forwarded-For", [/.*X-Forwarded-For.*\n/, ""], { address: "127.0.0.1" }],
  ["nginx", "X-Forwarded-Proto", [/.*X-Forwarded-Proto.*\n/, ""], { webSocket: 403, page: 403 }],
  ["HAProxy", "forwardfor", [/.*forwardfor.*\n/, ""], { address: "127.0.0.1" }],
  ["HAProxy", "X-Forwarded-Proto", [/.*X-Forwarded-Proto.*\n/, ""], { webSocket: 403, page: 403 }],
  ["Apache", "upgrade=websocket", [" upgrade=websocket", ""], { webSocket: 426 }],
  ["Apache", "ProxyPreserveHost", [/.*ProxyPreserveHost.*\n/, ""], { webSocket: 403, page: 403 }],
  ["Apache", "X-Forwarded-Proto", [/.*X-Forwarded-Proto.*\n/, ""], { webSocket: 403, page: 403 }],
  ["Vite", "xfwd", ["xfwd: true", "xfwd: false"], { address: "127.0.0.1" }],
  ["Vite", "Host, by changeOrigin,", ["xfwd: true", "xfwd: true, changeOrigin: true"], { webSocket: 403, page: 403 }],
  ["webpack-dev-server", "webSocketServer", [/.*webSocketServer.*\n/, ""], { webSocket: '{"type":"hot"}' }],
];
describe("what docs/PROXIES.md says of a configuration without one of its lines", () => {
  for (const [name, what, [from, to], different] of WITHOUT) {
    const proxy = PROXIES[name];
    test(`${name} without ${what}`, { skip: lacks(proxy) }, async (t) => {
      let isChanged = false;
      const change = (text) => {
        isChanged ||= text.replace(from, to) !== text;
        return text.replace(from, to);
      };
      const running = await Running.start(proxy, server, certificates, change);
      t.after(() => running.close());
      assert.ok(isChanged);
      const agent = new (proxy.isSecure ? https : http).Agent({ ca: certificates.ca, localAddress: CLIENT });
      assert.deepEqual(await look(running, agent), { webSocket: 101, page: 200, address: CLIENT, ...different });
      if (different.webSocket === 426) assert.match(server.log, /a proxy in front probably drops the headers Upgrade and Connection/);
    });
  }
});

test("Traefik's headers: a page's WebSocket is let in with its own address", async (t) => {
  const from = server.log.length;
  const headers = {
    host: "hub.example.com", origin: "https://hub.example.com", "x-forwarded-for": "192.0.2.7", "x-forwarded-host": "hub.example.com",
    "x-forwarded-port": "443", "x-forwarded-proto": "wss", "x-forwarded-server": "traefik-0", "x-real-ip": "192.0.2.7",
  };
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`, { headers });
  t.after(() => socket.terminate());
  await within(new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject)), "the upgrade");
  await until(() => seen("/ws", from).length > 0, "the log");
  assert.deepEqual(seen("/ws", from), ["192.0.2.7"]);
});
