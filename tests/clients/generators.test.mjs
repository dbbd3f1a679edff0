// What generators of code make of /openapi.json and /asyncapi.json: it compiles, and talks to the server. HUBCAST_LONG=1 also runs those that are too large
// for the packages of every run; they are installed into the test's folder.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { Server, within } from "./harness.mjs";

const run = promisify(execFile);
const MODULES = fileURLToPath(new URL("node_modules", import.meta.url));
const PATIENCE = { timeout: 300_000 };
const skip = process.env.HUBCAST_LONG !== "1" && "its packages are large; HUBCAST_LONG=1 installs and runs it";

let server;
let folder;
before(async () => {
  server = await Server.start({ RATE_LOGIN: "1000/s", RATE_REGISTER: "1000/s" });
  folder = mkdtempSync(join(tmpdir(), "hubcast-generators-"));
  for (const name of ["openapi", "asyncapi"]) writeFileSync(join(folder, `${name}.json`), await (await fetch(`${server.url}/${name}.json`)).text());
});
after(async () => {
  await server?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** A folder for what one generator makes. `packages`: npm's, for this test only; else those of the suites. */
async function workshop(name, ...packages) {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, "package.json"), '{"private": true, "type": "module"}');
  if (packages.length === 0) symlinkSync(MODULES, join(path, "node_modules"));
  else await node(path, "npm", "install", "--no-audit", "--no-fund", "--save-exact", ...packages);
  return path;
}

/** Runs a program in a folder, and returns what it prints. */
async function node(cwd, program, ...args) {
  const options = { cwd, maxBuffer: 64 << 20, timeout: PATIENCE.timeout };
  const { stdout } = await run(program, args, options).catch(({ message, stdout, stderr }) => {
    throw new Error(`${message}\n${stdout}\n${stderr}`);
  });
  return stdout;
}

/** Compiles program.ts and all that it imports, as strictly as TypeScript can. */
function compile(path, program) {
  const compilerOptions = { strict: true, target: "es2022", lib: ["es2022", "dom", "dom.iterable"], module: "esnext", moduleResolution: "bundler", skipLibCheck: true, types: [], noEmit: true };
  writeFileSync(join(path, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  writeFileSync(join(path, "program.ts"), program);
  return node(path, process.execPath, join(MODULES, "typescript/bin/tsc"));
}

/** Bundles the program, because what is generated imports without file endings, and returns the JSON that it prints. */
async function result(path) {
  await build({ entryPoints: [join(path, "program.ts")], outfile: join(path, "program.mjs"), bundle: true, platform: "node", format: "esm" });
  return JSON.parse(await node(path, process.execPath, "program.mjs", server.url));
}

/** What each program does and prints: it signs in, orders, sends a notification with any data, and lets an event be sent. */
const DONE = {
  order: { total: "12.50", status: "pending" },
  isListed: true,
  data: { color: "red", sizes: [1, 2] },
  delivered: 0,
  failure: { statusCode: 404, error: "Not Found" },
};

test("openapi-typescript's types fit openapi-fetch's calls and the answers", PATIENCE, async () => {
  const path = await workshop("openapi-typescript");
  await node(path, process.execPath, join(MODULES, "openapi-typescript/bin/cli.js"), "../openapi.json", "--output", "api.ts");
  await compile(path, `
    import createClient from "openapi-fetch";
    import type { components, paths } from "./api";
    declare const process: { argv: string[] };
    type Schemas = components["schemas"];

    const anyone = createClient<paths>({ baseUrl: process.argv[2] });
    async function signIn(name: string) {
      const { data } = await anyone.POST("/auth/login", { body: { email: name + "@demo.test", password: "demo-password" } });
      if (!data) throw new Error("cannot sign in");
      return { user: data.user, hub: createClient<paths>({ baseUrl: process.argv[2], headers: { Authorization: "Bearer " + data.accessToken } }) };
    }
    const [alice, admin] = [await signIn("alice"), await signIn("admin")];
    const { data: order } = await alice.hub.POST("/orders", { body: { total: "12.50" } });
    const { data: orders } = await alice.hub.GET("/orders", { params: { query: { limit: 5 } } });
    const status: Schemas["OrderStatus"] = order!.status;
    const anything: Record<string, unknown> = { color: "red", sizes: [1, 2] };
    await admin.hub.POST("/notifications", { body: { type: "promotion", title: "Tea", message: "Now", userId: alice.user.id, data: anything } });
    const { data: notifications } = await alice.hub.GET("/notifications");
    const notification: Schemas["Notification"] = notifications![0]!;
    const data: Record<string, unknown> = notification.data!;
    const { data: sent } = await admin.hub.POST("/emit", { body: { rooms: ["user:" + alice.user.id, "admin"], event: "price" } });
    const { error } = await alice.hub.GET("/orders/{id}", { params: { path: { id: 999999 } } });
    const text: Schemas["Message"]["content"] = "a chat message has a content";
    console.log(JSON.stringify({
      order: { total: order!.total, status },
      isListed: text !== "" && orders!.some(({ id }) => id === order!.id),
      data,
      delivered: sent!.delivered,
      failure: { statusCode: error!.statusCode, error: error!.error },
    }));
  `);
  assert.deepEqual(await result(path), DONE);
});

/** The program of a client with a function for each call; `signedIn(token)` is what a call needs besides its parts. */
const functions = (imports, login, call) => `
  ${imports}
  const anything: Record<string, unknown> = { color: "red", sizes: [1, 2] };
  async function signIn(name: string) {
    const body = { email: name + "@demo.test", password: "demo-password" };
    ${login}
  }
  const [alice, admin] = [await signIn("alice"), await signIn("admin")];
  ${call}
  console.log(JSON.stringify({
    order: { total: order.total, status: order.status },
    isListed: orders.some(({ id }) => id === order.id),
    data: notifications[0]!.data,
    delivered: sent.delivered,
    failure: { statusCode: failure.statusCode, error: failure.error },
  }));
`;

test("hey-api's client compiles, and calls the server that the document names", PATIENCE, async () => {
  const path = await workshop("hey-api");
  await node(path, process.execPath, join(MODULES, "@hey-api/openapi-ts/bin/run.js"), "-i", "../openapi.json", "-o", "api", "-c", "@hey-api/client-fetch");
  await compile(path, functions(
    'import { getNotifications, getOrders, getOrdersId, postAuthLogin, postEmit, postNotifications, postOrders, type Notification } from "./api";',
    "const { data } = await postAuthLogin({ body, throwOnError: true }); return { user: data.user, auth: data.accessToken, throwOnError: true as const };",
    `const { data: order } = await postOrders({ ...alice, body: { total: "12.50" } });
    const { data: orders } = await getOrders({ ...alice, query: { limit: 5 } });
    await postNotifications({ ...admin, body: { type: "promotion", title: "Tea", message: "Now", userId: alice.user.id, data: anything } });
    const { data: notifications }: { data: Notification[] } = await getNotifications(alice);
    const { data: sent } = await postEmit({ ...admin, body: { rooms: ["user:" + alice.user.id, "admin"], event: "price" } });
    const failure = (await getOrdersId({ ...alice, throwOnError: false, path: { id: 999999 } })).error!;`,
  ));
  assert.deepEqual(await result(path), DONE);
});

test("orval's client compiles, and calls the server that the document names", { ...PATIENCE, skip }, async () => {
  const path = await workshop("orval", "orval@8.38.0");
  const output = { target: "api.ts", client: "fetch", baseUrl: { getBaseUrlFromSpecification: true } };
  writeFileSync(join(path, "orval.config.mjs"), `export default { hubcast: { input: "../openapi.json", output: ${JSON.stringify(output)} } };`);
  await node(path, process.execPath, "node_modules/orval/dist/bin/orval.mjs");
  await compile(path, functions(
    'import { getNotifications, getOrders, getOrdersId, postAuthLogin, postEmit, postNotifications, postOrders, type Failure } from "./api";',
    `const answer = await postAuthLogin(body);
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.data));
    return { user: answer.data.user, options: { headers: { Authorization: "Bearer " + answer.data.accessToken } } };`,
    `const good = <T extends { status: number; data: unknown }>(answer: T) => {
      if (answer.status >= 300) throw new Error(JSON.stringify(answer.data));
      return answer.data as Extract<T, { status: 200 | 201 }>["data"];
    };
    const order = good(await postOrders({ total: "12.50" }, alice.options));
    const orders = good(await getOrders({ limit: 5 }, alice.options));
    good(await postNotifications({ type: "promotion", title: "Tea", message: "Now", userId: alice.user.id, data: anything }, admin.options));
    const notifications = good(await getNotifications({}, alice.options));
    const sent = good(await postEmit({ rooms: ["user:" + alice.user.id, "admin"], event: "price" }, admin.options));
    const failure: Failure = (await getOrdersId(999999, alice.options)).data as Failure;`,
  ));
  assert.deepEqual(await result(path), DONE);
});

test("openapi-python-client's package is imported, and its calls and answers fit", { ...PATIENCE, skip }, async () => {
  const path = await workshop("python");
  await node(path, process.env.HUBCAST_PYTHON ?? "python3", "-m", "venv", "venv");
  const bin = join(path, "venv/bin");
  await node(path, join(bin, "pip"), "install", "--quiet", "--disable-pip-version-check", "openapi-python-client==0.29.1");
  // It calls ruff by its name.
  await node(path, "env", `PATH=${bin}:${process.env.PATH}`, "openapi-python-client", "generate", "--path", "../openapi.json", "--output-path", "made", "--fail-on-warning", "--meta", "none");
  writeFileSync(join(path, "program.py"), `
import json
import sys
from made import AuthenticatedClient, Client
from made.api.auth import post_auth_login
from made.api.emit import post_emit
from made.api.notifications import get_notifications, post_notifications
from made.api.orders import get_orders, get_orders_id, post_orders
from made.models import NotificationType, OrderStatus, PostAuthLoginBody, PostEmitBody, PostNotificationsBody, PostOrdersBody

url = sys.argv[1]

def sign_in(name):
    body = PostAuthLoginBody(email=f"{name}@demo.test", password="demo-password")
    return post_auth_login.sync(client=Client(base_url=url), body=body)

def client(signed_in):
    return AuthenticatedClient(base_url=url, token=signed_in.access_token)

signed_in = sign_in("alice")
alice, admin = client(signed_in), client(sign_in("admin"))
order = post_orders.sync(client=alice, body=PostOrdersBody(total="12.50"))
assert order.status is OrderStatus.PENDING
orders = get_orders.sync(client=alice, limit=5)
anything = {"color": "red", "sizes": [1, 2]}
notice = PostNotificationsBody.from_dict({"type": "promotion", "title": "Tea", "message": "Now", "userId": signed_in.user.id, "data": anything})
post_notifications.sync(client=admin, body=notice)
notification = get_notifications.sync(client=alice)[0]
assert notification.type_ is NotificationType.PROMOTION
sent = post_emit.sync(client=admin, body=PostEmitBody(rooms=[f"user:{signed_in.user.id}", "admin"], event="price"))
failure = get_orders_id.sync(client=alice, id=999999)
print(json.dumps({
    "order": {"total": order.total, "status": order.status.value},
    "isListed": any(listed.id == order.id for listed in orders),
    "data": notification.data.to_dict(),
    "delivered": sent.delivered,
    "failure": {"statusCode": failure.status_code, "error": failure.error},
}))
`);
  assert.deepEqual(JSON.parse(await node(path, join(bin, "python"), "program.py", server.url)), DONE);
});

test("Modelina's types have names, and fit what sockets receive", { ...PATIENCE, skip }, async () => {
  const path = await workshop("modelina", "@asyncapi/modelina@5.10.1");
  writeFileSync(join(path, "generate.mjs"), `
    import { readFileSync, writeFileSync } from "node:fs";
    import { TypeScriptGenerator } from "@asyncapi/modelina";
    const generator = new TypeScriptGenerator({ modelType: "interface", enumType: "union", mapType: "record", rawPropertyNames: true });
    const models = await generator.generate(JSON.parse(readFileSync("../asyncapi.json", "utf8")));
    writeFileSync("models.ts", models.map(({ result }) => "export " + result).join("\\n"));
    console.log(JSON.stringify(models.map(({ modelName }) => modelName)));
  `);
  const names = JSON.parse(await node(path, process.execPath, "generate.mjs"));
  assert.deepEqual(names.filter((name) => /anonym/i.test(name)), []);

  const [alice, bob] = [await server.connect("alice"), await server.connect("bob")];
  const { id: conversationId } = await server.post("alice", "/conversations", { memberIds: [await server.id("bob")] });
  const sent = { conversationId, message: { content: "Hello" } };
  const joined = await alice.ask("join:conversation", { conversationId });
  const acked = await alice.ask("message:send", sent);
  const refused = await alice.ask("message:send", { ...sent, conversationId: 999999 });
  const echoed = await alice.ask("message", { content: [1, null] });
  const order = await server.order("alice", "5.00");
  await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
  const product = await server.post("admin", "/products", { name: "Tea", price: "2.50", stock: 6 });
  const project = await server.post("alice", "/projects", { name: "A project" });
  await alice.ask("join:project", { projectId: project.id });
  await server.call("alice", "PATCH", `/projects/${project.id}`, { status: "done" });
  const received = {
    Message: await bob.next("messageReceived"),
    Session: alice.frames.find(({ event }) => event === "session").data,
    OrderUpdate: await alice.next("orderUpdate"),
    Notification: await alice.next("notification"),
    Echo: await alice.next("message"),
    ProductUpdated: await alice.next("productUpdated"),
    ProjectUpdate: await alice.next("project:update"),
    JoinConversationPayload: { conversationId },
    MessageSendPayload: sent,
    RoomUsersAck: joined,
    SentMessageAck: acked,
    DoneAck: echoed,
  };
  assert.equal(received.ProductUpdated.productId, product.id);
  const values = Object.entries(received).map(([type, value]) => `export const a${type}: models.${type} = ${JSON.stringify(value)};`);
  values.push(`export const refused: models.SentMessageAck = ${JSON.stringify(refused)};`);
  await compile(path, ['import type * as models from "./models";', ...values].join("\n"));
});
