// What README says works as it stands there: its snippet, its curl calls, its table of settings.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { BINARY, Server } from "./harness.mjs";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const ADDRESS = "http://127.0.0.1:3000";
const HERE = fileURLToPath(new URL(".", import.meta.url));
const run = promisify(execFile);

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.close());

/** The first block of that language whose text has `word`, pointed at the server under test. */
function block(language, word) {
  const found = [...README.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].find(([, tag, text]) => tag === language && text.includes(word));
  assert.ok(found, `README has no ${language} block with ${word}`);
  return found[2].replaceAll(ADDRESS, server.url);
}

test("the socket.io-client snippet runs when pasted, and hears of its own order", async () => {
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", block("js", "socket.io-client")], { cwd: HERE, timeout: 20_000 });
  assert.match(stdout, /new_order \{\s*orderId: \d+,\s*customerId: \d+,\s*total: '25\.50',\s*createdAt: '[^']+'\s*\}/);
  assert.match(stdout, /orderUpdate \{[\s\S]*status: 'paid'/);
});

test("the curl calls run when pasted", { skip: spawnSync("curl", ["--version"]).error && "curl is not installed" }, async () => {
  const { stdout } = await run("bash", ["-euo", "pipefail", "-c", block("sh", "curl")], { cwd: HERE, timeout: 20_000 });
  assert.match(stdout, /"total":"25\.50"/);
});

test("the table of settings names each setting of serve --help, and no other", async () => {
  const { stdout } = await run(BINARY, ["serve", "--help"], { cwd: HERE, env: { PATH: process.env.PATH } });
  const offered = [...stdout.matchAll(/\[env: ([A-Z_]+)=?/g)].map(([, name]) => name).toSorted();
  const section = /^## Settings$([\s\S]*?)^## /m.exec(README)?.[1] ?? "";
  const told = [...section.matchAll(/^\| (.+?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name)).toSorted();
  assert.deepEqual(told, offered);
});

test("each of the four places for an endpoint with its event is where README says", () => {
  const section = /^## Add an endpoint with its event$([\s\S]*?)^## /m.exec(README)?.[1] ?? "";
  const places = [...section.matchAll(/^\| `(src\/.+?)` \|.*\| `(\w+)` \|$/gm)];
  assert.equal(places.length, 4);
  for (const [, file, name] of places) {
    assert.match(readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"), new RegExp(`pub (async )?fn ${name}\\b`), file);
  }
});
