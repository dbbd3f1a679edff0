#!/usr/bin/env bash
# socket.io 4.8.4 with socket.io-client 4.8.4, connection state recovery on.
#
# One volatile event without arguments ends a client's ability to recover. The server adds no offset
# to volatile events, but the client takes the last element of every event's packet for one, if that
# is a string. Of an event without arguments the last element is its own name. The client then
# reconnects with that name as its offset, which the server does not find, and `recovered` is false.
# With a number as its only argument the same event does no harm.
#
# Seen: `recovered` true with the argument; false without, with "hello" as the offset. Fails if that
# changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund socket.io@4.8.4 socket.io-client@4.8.4
cat >run.mjs <<'JS'
import { createServer } from "node:http";
import { once } from "node:events";
import { Server } from "socket.io";
import { io } from "socket.io-client";

async function trial(...args) {
  const http = createServer();
  const server = new Server(http, { connectionStateRecovery: {} });
  await once(http.listen(0, "127.0.0.1"), "listening");
  const options = { transports: ["websocket"], reconnectionDelay: 50, forceNew: true };
  const client = io(`http://127.0.0.1:${http.address().port}`, options);
  await once(client, "connect");
  // The first event gives the client an offset.
  const kept = once(client, "kept");
  server.emit("kept", 1);
  await kept;
  const heard = once(client, "hello");
  server.volatile.emit("hello", ...args);
  await heard;
  const offset = client._lastOffset;
  const again = once(client, "connect");
  client.io.engine.close();
  await again;
  const { recovered } = client;
  client.close();
  await server.close();
  return { recovered, isName: offset === "hello" };
}

const withArgument = await trial(7);
const without = await trial();
console.log(`with an argument: recovered ${withArgument.recovered}`);
console.log(`without an argument: recovered ${without.recovered}, offset is its name: ${without.isName}`);
const same = withArgument.recovered && !withArgument.isName && !without.recovered && without.isName;
process.exit(same ? 0 : 1);
JS
node run.mjs
