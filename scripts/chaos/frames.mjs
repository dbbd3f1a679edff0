// Frames in: one client sends small frames as fast as it can, of one kind after another, with a
// token and without. Prints how many a second the server takes, and its CPU, and exits 1 if a kind
// costs more than LIMIT_CPU of a core. HUBCAST_BIN is the program.

import { readFileSync, readdirSync } from "node:fs";
import { connect } from "node:net";
import { Server, sign } from "../../tests/clients/harness.mjs";

const LIMIT_CPU = 0.06;
const SECONDS = 2;

/** A masked frame; a mask of zeros leaves the payload as it is. */
function frame(first, payload) {
  const bytes = Buffer.from(payload);
  const length = bytes.length < 126 ? [0x80 | bytes.length] : [0xfe, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from([first, ...length, 0, 0, 0, 0]), bytes]);
}

/** CPU seconds of the child that runs the program. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The process of the server: a child of this one. */
function child() {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      if (stat.includes("(hubcast") && stat.split(") ").at(-1).split(" ")[1] === String(process.pid)) return pid;
    } catch { /* It has ended. */ }
  }
  throw new Error("no server");
}

/** Opens a WebSocket, says the first frames, and floods. Resolves to {sent, code}. */
async function flood(port, path, begins, unit) {
  const socket = connect(port, "127.0.0.1");
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.on("error", () => {});
  let code, closed = false, tail = Buffer.alloc(0);
  socket.on("close", () => (closed = true));
  socket.on("data", (bytes) => {
    tail = Buffer.concat([tail, bytes]).subarray(-64);
    const at = tail.lastIndexOf(Buffer.from([0x88]));
    if (at >= 0 && tail.length >= at + 4 && tail.readUInt16BE(at + 2) === 1008) code = 1008;
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const text of begins) socket.write(frame(0x81, text));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const block = Buffer.concat(Array(4096).fill(unit));
  const began = Date.now(), end = began + SECONDS * 1000;
  const before = socket.bytesWritten;
  while (Date.now() < end && !closed) {
    if (socket.write(block)) await new Promise((resolve) => setImmediate(resolve));
    else await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), new Promise((resolve) => setTimeout(resolve, end - Date.now()))]);
  }
  const sent = Math.round((socket.bytesWritten - socket.writableLength - before) / unit.length);
  const seconds = (Date.now() - began) / 1000;
  socket.destroy();
  return { sent, code, seconds };
}

const server = await Server.start({ WORKERS: "1" });
const pid = child();
const token = sign({ sub: String((await server.call("alice", "GET", "/auth/me")).body?.id ?? 2) });
const plain = `/ws?token=${token}`;
const socketio = "/socket.io/?EIO=4&transport=websocket";
const joined = [`40${JSON.stringify({ token })}`];
const kinds = {
  "CONNECT to nowhere, no token": [socketio, [], frame(0x81, "40/nowhere,")],
  "no-op, no token": [socketio, [], frame(0x81, "6")],
  "CONNECT to nowhere": [socketio, joined, frame(0x81, "40/nowhere,")],
  "no-op": [socketio, joined, frame(0x81, "6")],
  "pong": [socketio, joined, frame(0x81, "3")],
  "WebSocket pong": [socketio, joined, frame(0x8a, "")],
  "ack of nothing": [socketio, joined, frame(0x81, "431[]")],
  "unknown event": [socketio, joined, frame(0x81, '42["x"]')],
  "ping of /ws": [plain, [], frame(0x81, "ping")],
};
let worst = 0;
for (const [name, [path, begins, unit]] of Object.entries(kinds)) {
  const before = cpu(pid);
  const { sent, code, seconds } = await flood(server.port, path, begins, unit);
  const used = (cpu(pid) - before) / seconds;
  worst = Math.max(worst, used);
  console.log(`${name}: ${Math.round(sent / seconds)} frames/s left the client for ${seconds} s${code ? `, closed ${code}` : ""}; ${Math.round(used * 100)} % of a core`);
}
await server.close();
console.log(`frames: worst ${Math.round(worst * 100)} % of a core (at most ${LIMIT_CPU * 100} %)`);
process.exit(worst > LIMIT_CPU ? 1 : 0);
