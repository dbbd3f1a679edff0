// The documents that the server gives of itself, and whether it is as they say: /openapi.json, /asyncapi.json, /docs/.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Browser } from "./browser.mjs";
import { BINARY, Server, until, within } from "./harness.mjs";

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const { HUBCAST_PYTHON } = process.env;
const lacks = !HUBCAST_PYTHON && "HUBCAST_PYTHON is not set; scripts/test makes a venv with what requirements.txt names";
const MANY = { maxBuffer: 64 << 20 };

let server;
let folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "hubcast-documents-"));
  server = await Server.start({
    RATE_LOGIN: "1000/s", RATE_REGISTER: "1000/s", RATE_REST: "100000/s", RATE_REST_BYTES: "1000MiB/s", TRUSTED_PROXIES: "127.0.0.1",
  });
});
after(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Calls `look(schema, isNamed)` with each part of a document that is a JSON Schema. */
function eachSchema(document, look) {
  const into = (schema, isNamed) => {
    look(schema, isNamed);
    if (typeof schema !== "object") return;
    for (const key of ["properties", "patternProperties", "$defs", "definitions"]) Object.values(schema[key] ?? {}).forEach((part) => into(part, false));
    for (const key of ["anyOf", "oneOf", "allOf", "prefixItems"]) (schema[key] ?? []).forEach((part) => into(part, false));
    for (const key of ["items", "additionalProperties", "not", "if", "then", "else"]) if (key in schema) into(schema[key], false);
  };
  Object.values(document.components.schemas).forEach((schema) => into(schema, true));
  const find = (value) => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, part] of Object.entries(value)) key === "schema" || key === "payload" ? into(part, false) : find(part);
  };
  find({ ...document, components: undefined });
}

const document = async (name) => (await fetch(`${server.url}/${name}.json`)).json();

// Postman, and clients that generators make, call the address that the document names.
test("each document names the server as the client has called it, and Swagger UI calls its own", async () => {
  const servers = (path, headers) =>
    within(
      new Promise((resolve, reject) => {
        const request = get(server.url + path, { headers }, async (response) => resolve(JSON.parse(Buffer.concat(await response.toArray())).servers));
        request.on("error", reject);
      }),
      path,
    );
  const proxied = { Host: "hub.example.com", "X-Forwarded-Proto": "https" };
  assert.deepEqual(await servers("/openapi.json", {}), [{ url: server.url }]);
  assert.deepEqual(await servers("/openapi.json", proxied), [{ url: "https://hub.example.com" }]);
  assert.deepEqual(await servers("/openapi.json", { Host: 'a"b' }), [{ url: "http://localhost" }]);
  assert.deepEqual(await servers("/docs/openapi.json", proxied), [{ url: "/" }]);
  const { socketio, plain } = await servers("/asyncapi.json", proxied);
  assert.deepEqual([socketio.host, plain.host, plain.protocol], ["hub.example.com", "hub.example.com", "wss"]);
  assert.deepEqual((await servers("/asyncapi.json", {})).plain.protocol, "ws");
});

for (const name of ["openapi", "asyncapi"]) {
  test(`${name}.json writes "anything" as {}, says of each object what it may have, and speaks of no Rust`, async () => {
    let schemas = 0;
    eachSchema(await document(name), (schema) => {
      schemas += 1;
      assert.notEqual(schema, true);
      // Without properties, openapi-typescript reads it as an object that has none.
      if (schema.type === "object") assert.ok("properties" in schema || "additionalProperties" in schema, JSON.stringify(schema));
      assert.doesNotMatch(schema.description ?? "", /\[`|`\]/);
    });
    assert.ok(schemas > 100, `${schemas}`);
  });
}

describe("OpenAPI", () => {
  test("the command prints what the server gives", async () => {
    const { stdout } = await run(BINARY, ["openapi", "--url", server.url], MANY);
    assert.deepEqual(JSON.parse(stdout), await document("openapi"));
  });

  test("is good by the specification", { skip: lacks }, async () => {
    const file = join(folder, "openapi.json");
    writeFileSync(file, JSON.stringify(await document("openapi")));
    const { stdout } = await run(HUBCAST_PYTHON, ["-m", "openapi_spec_validator", "--schema", "3.1", file]);
    assert.match(stdout, /OK/);
  });

  // What it sends is made up from the document, over every call. Not asked: that whatever fits a schema is taken (ids have to be of things that exist, a key's
  // body has to be the same), and 405 for other methods (it is 404, as in NestJS).
  for (const who of ["alice", "admin"]) {
    test(`schemathesis finds no 5xx and no answer that breaks it, as ${who}`, { skip: lacks, timeout: 120_000 }, async () => {
      const token = await server.token(who);
      const checks = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance", "negative_data_rejection"];
      const options = ["--checks", checks.join(","), "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "10", "--generation-deterministic"];
      const spared = ["--exclude-path", "/auth/logout"]; // It would end the token that the others are called with.
      const command = [
        "-c", "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())",
        "run", `${server.url}/openapi.json`, "-H", `Authorization: Bearer ${token}`, "--no-color", "--continue-on-failure", ...options, ...spared,
      ];
      const { stdout } = await run(HUBCAST_PYTHON, command, { ...MANY, cwd: folder }).catch((error) => {
        throw new Error(`${error.stdout}\n${error.stderr}`);
      });
      const tested = Number(/Tested: (\d+)/.exec(stdout)?.[1]);
      const paths = Object.entries((await document("openapi")).paths).filter(([path]) => path !== "/auth/logout");
      assert.equal(tested, paths.flatMap(([, methods]) => Object.keys(methods)).length, stdout);
    });
  }

  test("a chat message is the one type Message", async () => {
    const { schemas } = (await document("openapi")).components;
    assert.deepEqual(Object.keys(schemas).filter((name) => /\d$/.test(name)), []);
    assert.deepEqual(schemas.Message.required, ["id", "conversationId", "seq", "senderId", "content", "type", "createdAt"]);
  });

  test("/emit takes a list of room names, and a namespace that is / if it is left out", async () => {
    const { schema } = (await document("openapi")).paths["/emit"].post.requestBody.content["application/json"];
    const items = { type: "string", pattern: "^(admin|(user|project|conversation):\\d+)$" };
    assert.deepEqual(schema.properties.rooms, { type: "array", items, minItems: 1, maxItems: 100 });
    assert.deepEqual(schema.properties.except, { anyOf: [{ type: "array", items, minItems: 0, maxItems: 100 }, { type: "null" }] });
    assert.deepEqual(schema.properties.namespace, { anyOf: [{ type: "string", enum: ["/", "/admin"] }, { type: "null" }], description: "/ if it is left out" });
  });
});

describe("AsyncAPI", () => {
  test("each type has a name, and no other has the same", async () => {
    const asyncapi = await document("asyncapi");
    const names = Object.keys(asyncapi.components.schemas);
    eachSchema(asyncapi, (schema, isNamed) => {
      const isType = typeof schema === "object" && (Array.isArray(schema.type) || ["properties", "enum", "anyOf", "oneOf", "allOf"].some((key) => key in schema));
      if (!isType || isNamed) return;
      assert.ok(schema.title, `no name: ${JSON.stringify(schema)}`);
      names.push(schema.title);
    });
    assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), []);
    assert.ok(names.length > 60, names.join(" "));
  });

  test("the command prints what the server gives", async () => {
    const { stdout } = await run(BINARY, ["asyncapi", "--url", server.url], MANY);
    assert.deepEqual(JSON.parse(stdout), await document("asyncapi"));
  });

  test("is good by the specification, and each reference in it leads somewhere", async () => {
    const asyncapi = await document("asyncapi");
    const ajv = addFormats(new Ajv({ strict: false, allErrors: true, logger: false }));
    const isGood = ajv.compile(require("@asyncapi/specs/schemas/3.0.0-without-$id.json"));
    assert.ok(isGood(asyncapi), JSON.stringify(isGood.errors?.slice(0, 5), null, 1));

    const references = [...JSON.stringify(asyncapi).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, pointer]) => pointer);
    assert.ok(references.length > 50);
    for (const pointer of new Set(references)) {
      const found = pointer.split("/").reduce((value, part) => value?.[part], asyncapi);
      assert.ok(found, pointer);
    }
  });

  test("what sockets hear, and what they are answered, is what it says", async () => {
    const asyncapi = await document("asyncapi");
    const ajv = addFormats(new Ajv({ strict: false, logger: false }));
    ajv.addSchema({ $id: "hubcast", components: asyncapi.components });
    const absolute = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"hubcast#/'));
    const schemas = new Map();
    const check = (channel, key, data) => {
      const name = `${channel}.${key}`;
      const message = asyncapi.channels[channel].messages[key];
      assert.ok(message, `${name} is not told of: ${JSON.stringify(data)}`);
      if (!schemas.has(name)) schemas.set(name, ajv.compile(absolute(message.payload)));
      const isGood = schemas.get(name);
      assert.ok(isGood(data), `${name}: ${JSON.stringify(data)} ${JSON.stringify(isGood.errors)}`);
    };
    const older = { "notification:new": "notification", exception: "error" };

    const [alice, bob, admin, desk] = [await server.connect("alice"), await server.connect("bob"), await server.connect("admin"), await server.connect("admin", "/admin")];
    const ask = async (client, event, data) => {
      check("main", `sends.${event}`, data);
      const answer = await client.ask(event, data);
      check("main", `acked.${event}`, answer);
      return answer;
    };
    const bobs = await server.id("bob");
    const project = await server.post("alice", "/projects", { name: "A project" });
    await ask(alice, "join:project", { projectId: project.id });
    await server.post("alice", `/projects/${project.id}/members`, { userId: bobs });
    await ask(bob, "joinRoom", { room: `project:${project.id}` });
    const stage = await server.post("alice", `/projects/${project.id}/stages`, { name: "A stage" });
    await server.post("bob", `/projects/${project.id}/stages/${stage.id}/complete`);
    await server.call("alice", "PATCH", `/projects/${project.id}`, { status: "done", name: "Another name" });
    await ask(bob, "leaveRoom", { room: `project:${project.id}` });
    await ask(alice, "leave:project", { projectId: project.id });
    await server.call("alice", "DELETE", `/projects/${project.id}/members/${bobs}`);

    const conversation = await server.post("alice", "/conversations", { memberIds: [bobs] });
    const conversationId = conversation.id;
    await ask(alice, "join:conversation", { conversationId });
    await ask(alice, "message:send", { conversationId, message: { content: "Hello", type: "text" }, clientId: "c-1" });
    await ask(bob, "join:conversation", { conversationId: String(conversationId) });
    const { message } = await ask(bob, "message:send", { conversationId, message: { content: "Hello!" } });
    await ask(bob, "typing", { conversationId, isTyping: true });
    await ask(alice, "conversation:read", { conversationId, messageId: message.id });
    // What cancels out before it is told is not told at all.
    await until(() => alice.all("presence:join").some(({ room }) => room === `conversation:${conversationId}`), "that bob has come");
    await ask(bob, "leave:conversation", { conversationId });
    await ask(alice, "message", { content: ["any", 1, null] });
    assert.equal((await ask(alice, "message:send", { conversationId: 999999, message: { content: "Hello" } })).ok, false);

    const order = await server.order("alice", "5.00");
    for (const status of ["paid", "shipped", "delivered"]) await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status });
    const product = await server.post("admin", "/products", { name: "Tea", price: "2.50", stock: 6 });
    await server.post("alice", "/orders", { items: [{ productId: product.id, quantity: 6 }] });
    await server.post("alice", `/products/${product.id}/waitlist`);
    await server.call("admin", "PATCH", `/products/${product.id}`, { stock: 1 });
    await server.call("admin", "DELETE", `/products/${product.id}`);
    const told = (await server.call("alice", "GET", "/notifications?limit=1")).body[0];
    await ask(alice, "notification:read", { id: told.id });
    await ask(alice, "notification:read-all", {});
    alice.socket.emit("no such event");
    await alice.next("error");
    await until(() => alice.all("presence:leave").some(({ room }) => room === `conversation:${conversationId}`), "that bob has left");
    const stats = within(new Promise((resolve) => desk.socket.once("server:stats", resolve)), "server:stats");
    desk.frames.push({ event: "server:stats", data: await stats });

    for (const [channel, client] of [["main", alice], ["main", bob], ["main", admin], ["admin", desk]]) {
      for (const { event, data } of client.frames) check(channel, `hears.${older[event] ?? event}`, data);
    }
    const heard = new Set([alice, bob, admin, desk].flatMap((client) => client.frames.map(({ event }) => event)));
    // What comes only when a session is resumed, a token ends, the server stops or members are invited, has tests of its own.
    const rest = new Set(["presence:state", "server:shutdown", "token:expiring", "invitation", "invitation:closed"]);
    for (const { messages } of Object.values(asyncapi.channels)) {
      const names = Object.keys(messages).filter((key) => key.startsWith("hears.")).map((key) => key.slice("hears.".length));
      for (const name of names) assert.ok(heard.has(name) || rest.has(name), `${name} was not heard`);
    }
  });
});

test("Swagger UI shows the calls without a warning, and asks nothing of other hosts", async () => {
  const browser = await Browser.launch({ url: `${server.url}/docs` });
  try {
    const foreign = [];
    const visitor = await browser.visit("desktop", {
      prepare: (page) => page.on("request", (request) => !request.url().startsWith(server.url) && !request.url().startsWith("data:") && foreign.push(request.url())),
    });
    await visitor.page.getByRole("heading", { name: /^hubcast/ }).waitFor();
    await visitor.page.locator(".opblock").nth(30).waitFor();
    assert.deepEqual(await visitor.page.locator(".errors-wrapper").allTextContents(), []);
    const call = visitor.page.locator("#operations-healthz-get_healthz");
    for (const button of [".opblock-summary-control", ".try-out__btn", ".execute"]) await call.locator(button).click();
    await call.locator(".live-responses-table .response-col_status", { hasText: "200" }).waitFor();
    assert.deepEqual(foreign, []);
    assert.deepEqual(visitor.complaints, []);
  } finally {
    await browser.close();
  }
});
