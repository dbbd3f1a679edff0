// What no limit may touch: 20 people in one chat who type and send at human speed, a bot that posts
// five messages of 1 kB a second, at default settings. Prints the figures, and exits 1 if anything
// was refused, lost or closed. HUBCAST_BIN is the program.

import { createRequire } from "node:module";
import { Server } from "../../tests/clients/harness.mjs";

const WebSocket = createRequire(new URL("../../tests/clients/package.json", import.meta.url))("ws");

const [PEOPLE, SECONDS] = [20, 10];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A member with a socket of /ws in the conversation. */
class Member {
  constructor(url, token) {
    Object.assign(this, { asked: 0, acks: new Map(), seen: new Set(), refused: [] });
    this.socket = new WebSocket(`${url.replace("http", "ws")}/ws?token=${token}`);
    this.socket.on("close", (code) => (this.closed = code));
    this.socket.on("error", () => {});
    this.ready = new Promise((resolve) => {
      this.socket.on("message", (text) => {
        const frame = JSON.parse(text);
        if (frame.event === "session") resolve();
        if (frame.event === "message:new" || frame.event === "messageReceived") this.seen.add(frame.data.id ?? frame.data.message?.id);
        if (frame.event === "error" || frame.data?.ok === false) this.refused.push(frame);
        if ("ack" in frame) this.acks.get(frame.ack)?.(frame.data);
      });
    });
  }

  ask(event, data) {
    const id = ++this.asked;
    const answered = new Promise((resolve) => this.acks.set(id, resolve));
    this.socket.send(JSON.stringify({ event, data, id }));
    return answered;
  }
}

const server = await Server.start({ MEMBERSHIP: "open", RATE_LOGIN: "10000/s" });
const tokens = [];
for (let at = 0; at < PEOPLE; at += 1) {
  const { body } = await server.call(null, "POST", "/auth/register", { email: `p${at}@x.test`, name: `p${at}`, password: "long-enough-and-safe" });
  tokens.push({ token: body.accessToken, id: body.user.id });
}
const made = await server.call(tokens[0].token, "POST", "/conversations", { memberIds: tokens.slice(1).map(({ id }) => id) });
const conversationId = made.body.id;
const members = tokens.map(({ token }) => new Member(server.url, token));
await Promise.all(members.map(({ ready }) => ready));
await Promise.all(members.map((member) => member.ask("join:conversation", { conversationId })));

const end = Date.now() + SECONDS * 1000;
let sent = 0, refused = 0;
const talk = async (member) => {
  await sleep(Math.random() * 1000);
  while (Date.now() < end) {
    for (let key = 0; key < 3; key += 1) {
      await member.ask("typing", { conversationId, isTyping: true });
      await sleep(300);
    }
    const { ok, message } = await member.ask("message:send", { conversationId, message: { content: "Something that somebody says. ".repeat(5) } });
    await member.ask("typing", { conversationId, isTyping: false });
    sent += ok ? 1 : 0;
    if (ok) await member.ask("conversation:read", { conversationId, messageId: message.id });
  }
};
const post = async ({ token }) => {
  while (Date.now() < end) {
    const { status } = await server.call(token, "POST", `/conversations/${conversationId}/messages`, { content: "x".repeat(1000) });
    if (status === 201) sent += 1;
    else refused += 1;
    await sleep(200);
  }
};
await Promise.all([...members.map(talk), post(tokens[0])]);
await sleep(500);
refused += members.reduce((sum, member) => sum + member.refused.length, 0);
const closed = members.filter((member) => member.closed).length;
const least = Math.min(...members.map(({ seen }) => seen.size));
for (const member of members) member.socket.terminate();
await server.close();
console.log(`chat: ${PEOPLE} people and a bot sent ${sent} messages in ${SECONDS} s; refused ${refused}, closed ${closed}, each saw at least ${least}`);
process.exit(refused || closed || least < sent ? 1 : 0);
