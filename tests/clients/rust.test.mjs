// The Rust program of docs/clients.md, built with the packages that the page names, with polling and with a WebSocket alone. HUBCAST_LONG=1 runs
// it, because it is built for minutes.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Server, until } from "./harness.mjs";
import { blocks } from "./snippets.mjs";

const FOLDER = fileURLToPath(new URL("../../target/clients-rust", import.meta.url));
const PATIENCE_MS = 60_000;
const CLIENTS = ["rust_socketio 0.6", "tf-rust-socketio 0.9"];

/** Builds the program with a client, and returns its path. The client's crate is renamed to the one that the page shows. */
function built(client, text) {
  const [name, version] = client.split(" ");
  const folder = join(FOLDER, name);
  mkdirSync(join(folder, "src"), { recursive: true });
  writeFileSync(join(folder, "src/main.rs"), text);
  writeFileSync(
    join(folder, "Cargo.toml"),
    `[package]\nname = "bell"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[profile.dev]\ndebug = false\n[dependencies]\nserde_json = "1"\nrust_socketio = { package = "${name}", version = "${version}" }\n`,
  );
  const { status, stderr } = spawnSync("cargo", ["build", "-q"], { cwd: folder, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return join(folder, "target/debug/bell");
}

describe("Rust", { skip: process.env.HUBCAST_LONG !== "1" && "its packages are built for minutes; HUBCAST_LONG=1 runs it" }, () => {
  for (const client of CLIENTS) {
    for (const transport of ["polling", "websocket"]) {
      test(`the bell of ${client} hears a notification, with ${transport} first`, { timeout: 900_000 }, async (t) => {
        let text = blocks.find(({ name }) => name === "bell.rs").text.replace('"http://127.0.0.1:3000/?recovery=0"', 'format!("{}/?recovery=0", std::env::var("HUB")?)');
        if (transport === "websocket") text = text.replace(".auth(", ".transport_type(rust_socketio::TransportType::Websocket)\n        .auth(");
        const program = built(client, text);
        const server = await Server.start({});
        t.after(() => server.close());
        const { ids } = await server.people();
        const bell = spawn(program, { env: { ...process.env, HUB: server.url, TOKEN: await server.token("alice") }, stdio: ["ignore", "pipe", "inherit"] });
        t.after(() => bell.kill());
        let heard = "";
        bell.stdout.setEncoding("utf8").on("data", (chunk) => (heard += chunk));
        // Until it is connected, a notification is only stored.
        await until(
          async () => {
            if (heard === "") await server.post("admin", "/notifications", { userId: ids.alice, type: "promotion", title: "Sale", message: "Half" });
            return heard !== "";
          },
          "the bell",
          PATIENCE_MS,
        );
        assert.equal(heard.split("\n")[0], '"Sale": "Half"');
      });
    }
  }
});
