// What a customer can do to people who know nothing of it: add 90 of them to a project and make each
// notified, read the names of all ids one by one, flood one with messages of 65 kB, and be another
// "Ada Admin". Prints the figures, and exits 1 if anybody was reached. HUBCAST_BIN is the program,
// and the settings are those of production that matter here.

import { createRequire } from "node:module";
import { Server, sign } from "../../tests/clients/harness.mjs";

const WebSocket = createRequire(new URL("../../tests/clients/package.json", import.meta.url))("ws");

const [PEOPLE, MESSAGES] = [90, 50];

// Tokens make the accounts, which costs no password's hash. The rates have tests of their own.
const rates = { RATE_REST: "10000/s", RATE_REST_BYTES: "100MiB/s", RATE_PUBLISH: "100MiB/s" };
const accounts = { JWT_SUBJECT: "outside", JWT_PROVISION: "on", REGISTRATION: "open" };
const server = await Server.start({ MEMBERSHIP: "invite", ...accounts, ...rates });
const register = async (name, at) => {
  const account = { email: `s${at}@x.test`, name, password: "long-enough-and-safe" };
  return (await server.call(null, "POST", "/auth/register", account)).body;
};
const people = [];
for (let at = 0; at < PEOPLE; at += 1) {
  const accessToken = sign({ sub: `s${at}`, name: `person ${at}` });
  people.push({ accessToken, user: (await server.call(accessToken, "GET", "/auth/me")).body });
}
const fakes = [];
for (const [at, name] of ["Ada Admin", "Аda Admin", "Ada\u200bAdmin", "ada-admin"].entries()) {
  const { user } = await register(name, `fake-${at}`);
  if (user) fakes.push(user.name);
}

/** What a person's socket of /ws hears, in bytes and by event. */
const heard = { bytes: 0 };
const victim = people[0];
const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws?token=${victim.accessToken}`);
await new Promise((resolve) => {
  socket.on("message", (text) => {
    const { event } = JSON.parse(text);
    heard.bytes += text.length;
    heard[event] = (heard[event] ?? 0) + 1;
    if (event === "session") resolve();
  });
  socket.on("error", () => {});
});

const post = (path, body) => server.call("alice", "POST", path, body);
const project = (await post("/projects", { name: "A project" })).body.id;
const names = [];
for (const { user } of people) {
  const { body } = await post(`/projects/${project}/members`, { userId: user.id });
  if (body.name) names.push(body.name);
}
const known = (await server.call("alice", "GET", `/projects/${project}`)).body.members;
const stage = (await post(`/projects/${project}/stages`, { name: "A stage" })).body.id;
await post(`/projects/${project}/stages/${stage}/complete`, {});
const talk = (await post("/conversations", { memberIds: [victim.user.id] })).body.id;
for (let at = 0; at < MESSAGES; at += 1) {
  await post(`/conversations/${talk}/messages`, { content: "x".repeat(65_000) });
}
let notified = 0;
for (const { accessToken } of people) {
  notified += (await server.call(accessToken, "GET", "/notifications/unread-count")).body.count;
}
const { bytes, messageReceived = 0, invitation = 0 } = heard;
console.log(
  `names read ${names.length}/${PEOPLE}, notified by one request ${notified}, messages at the victim ${messageReceived}/${MESSAGES}` +
    ` (${Math.round(bytes / 1000)} kB), invitations at the victim ${invitation}, more of Ada Admin ${fakes.length}/4`,
);
socket.close();
await server.close();
const members = known?.length ?? 1;
process.exit(names.length + notified + messageReceived + fakes.length > 0 || members > 1 || bytes > 20_000 ? 1 : 0);
