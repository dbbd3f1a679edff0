// README and the pages that it leads to work as they stand: their programs, their curl calls, the
// table of settings, the four places of an endpoint, the links.

import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { BINARY, Server, until } from "./harness.mjs";

const ROOT = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), "utf8");
const README = read("README.md");
const GUIDE = read("docs/guide.md");
const ADDRESS = "http://127.0.0.1:3000";
const HERE = fileURLToPath(new URL(".", import.meta.url));
const run = promisify(execFile);
const noCurl = spawnSync("curl", ["--version"]).error && "curl is not installed";

const NEW_ORDER =
  /new_order \{\s*orderId: \d+,\s*customerId: \d+,\s*total: '25\.50',\s*createdAt: '[^']+'\s*\}/;

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.close());

/** The first block of that language whose text has `word`, pointed at the server under test. */
function block(page, language, word) {
  const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)];
  const found = blocks.find(([, tag, text]) => tag === language && text.includes(word));
  assert.ok(found, `there is no ${language} block with ${word}`);
  return found[2].replaceAll(ADDRESS, server.url);
}

const node = (program) => ["--input-type=module", "--eval", program];
const bash = (script) => run("bash", ["-euo", "pipefail", "-c", script], { cwd: HERE, timeout: 20_000 });

test("README's client receives the order that README's curl calls place", { skip: noCurl }, async (t) => {
  const program = block(README, "js", "socket.io-client");
  assert.ok(program.split("\n").filter(Boolean).length <= 12, "the client has at most 12 lines");
  const client = spawn(process.execPath, node(program), { cwd: HERE, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => client.kill());
  let printed = "";
  client.stdout.setEncoding("utf8").on("data", (text) => (printed += text));
  await until(() => printed.includes("listening"), "that the client is connected");
  const { stdout } = await bash(block(README, "sh", "curl"));
  assert.match(stdout, /"total":"25\.50"/);
  await until(() => NEW_ORDER.test(printed), "the order").catch((error) => assert.fail(`${error.message}: ${printed}`));
});

test("the guide's socket.io-client program runs when pasted, and receives its own order", async () => {
  const program = block(GUIDE, "js", "socket.io-client");
  const { stdout } = await run(process.execPath, node(program), { cwd: HERE, timeout: 20_000 });
  assert.match(stdout, NEW_ORDER);
  assert.match(stdout, /orderUpdate \{[\s\S]*status: 'paid'/);
});

test("the guide's curl calls run when pasted", { skip: noCurl }, async () => {
  const { stdout } = await bash(block(GUIDE, "sh", "curl"));
  assert.match(stdout, /"total":"25\.50"/);
});

test("the table of settings names each setting of serve --help, and no other", async () => {
  const { stdout } = await run(BINARY, ["serve", "--help"], { cwd: HERE, env: { PATH: process.env.PATH } });
  const offered = [...stdout.matchAll(/\[env: ([A-Z_]+)=?/g)].map(([, name]) => name).toSorted();
  // What production changes is listed a second time.
  const cells = [...read("docs/settings.md").matchAll(/^\| (.+?) \|/gm)].map(([, cell]) => cell);
  const listed = new Set(cells.flatMap((cell) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name)));
  assert.deepEqual([...listed].toSorted(), offered);
});

test("each of the four places for an endpoint with its event is where the page says", () => {
  const page = read("docs/adding-an-endpoint.md");
  const section = /^## An endpoint with its event$([\s\S]*?)^## /m.exec(page)?.[1] ?? "";
  const places = [...section.matchAll(/^\*\*\d\. .+?: `((?:src|tests)\/.+?)`\.\*\*/gm)].map(([, file]) => file);
  // What shipping an order has there, the nearest relative of the page's example.
  const relatives = {
    "src/event/orders.rs": /pub fn order_shipped\b/,
    "src/service/orders.rs": /pub async fn set_status\b/,
    "src/http/orders.rs": /async fn ship\b/,
    "tests/server/permissions.rs": /"PATCH \/orders\/\{id\}\/ship"/,
  };
  assert.deepEqual(places, Object.keys(relatives));
  for (const file of places) assert.match(read(file), relatives[file], file);
});

test("README has at most 120 lines of at most 100 columns", () => {
  const lines = README.trimEnd().split("\n");
  assert.ok(lines.length <= 120, `${lines.length} lines`);
  assert.deepEqual(lines.filter((line) => line.length > 100), []);
});

const pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
for (const folder of ["docs", "docs/adr"]) {
  const names = readdirSync(new URL(folder, ROOT)).filter((name) => name.endsWith(".md"));
  pages.push(...names.map((name) => `${folder}/${name}`));
}

test("each file that a page names in backticks exists", () => {
  const folders = ["src", "crates", "tests", "static", "benches", "examples"];
  const files = folders.flatMap((folder) => readdirSync(new URL(folder, ROOT), { recursive: true }).map((name) => `/${folder}/${name}`));
  const exists = (path) => existsSync(new URL(path, ROOT)) || files.some((file) => file.endsWith(`/${path}`));
  const broken = [];
  for (const page of pages) {
    const text = read(page).replaceAll(/^```[\s\S]*?^```$/gm, "");
    // Paths from the root, and names of source files anywhere.
    const names = [...text.matchAll(/`((?:src|crates|tests|migrations|docs|static|scripts|\.ci)\/[\w./-]*|[\w./-]+\.(?:rs|test\.mjs))`/g)];
    broken.push(...names.filter(([, name]) => !exists(name)).map(([, name]) => `${page}: ${name}`));
  }
  assert.deepEqual(broken, []);
});

test("each link between the pages leads to a file, and each anchor to a heading", () => {
  const anchors = (text) => [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-"));
  const broken = [];
  for (const page of pages) {
    const text = read(page).replaceAll(/^```[\s\S]*?^```$/gm, "");
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)].map(([, a, b]) => a ?? b);
    for (const target of targets.filter((target) => !/^https?:/.test(target))) {
      const [path, anchor] = target.split("#");
      const file = path ? new URL(path, new URL(page, ROOT)) : new URL(page, ROOT);
      const is = existsSync(file) && (!anchor || anchors(readFileSync(file, "utf8")).includes(anchor));
      if (!is) broken.push(`${page}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});
