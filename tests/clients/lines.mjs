// Connections that tests break: sockets of the official client, and raw ones for cases that it
// would not produce: Socket.IO packets over a WebSocket, and the plain protocol of /ws.

import WebSocket from "ws";
import { until, within } from "./harness.mjs";
import { Proxy } from "./proxy.mjs";

/** The figures, which `/admin` sends periodically. */
const FIGURES = "server:stats";

/** A socket of the official client behind its own proxy, until the test `t` ends. */
export async function behind(t, server, who, namespace = "/", options = {}) {
  const proxy = await Proxy.start(server);
  t.after(() => proxy.close());
  const client = await server.connect(who, namespace, { via: proxy, reconnectionDelay: 20, reconnectionDelayMax: 100, timeout: 1_000, ...options });
  t.after(() => client.close());
  return { client, proxy };
}

/** A WebSocket that records its text frames, parsed by `read`. */
class Line {
  /** [{event, data, offset}] of every event so far. */
  frames = [];

  constructor(url, options, read) {
    this.socket = new WebSocket(url.replace("http", "ws"), options);
    this.opened = within(new Promise((resolve, reject) => this.socket.once("open", resolve).once("error", reject)), "the upgrade");
    this.opened.catch(() => {});
    /** The close code; 1006 for a lost connection. */
    this.closed = new Promise((resolve) => this.socket.once("close", resolve));
    this.socket.on("error", () => {});
    this.socket.on("message", (text) => read(text.toString()));
  }

  /** The data of every event of that name so far. */
  all(event) {
    return this.frames.filter((frame) => frame.event === event).map((frame) => frame.data);
  }

  /** The first frame of that name. */
  first(event) {
    return until(() => this.frames.find((frame) => frame.event === event), `${event}; came so far: ${JSON.stringify(this.frames)}`);
  }

  /** Aborts the connection. */
  cut() {
    this.socket.terminate();
  }
}

/** Socket.IO, with one namespace per connection. */
export class SocketIoLine extends Line {
  #acks = [];

  /** `answer` becomes the answer to CONNECT: {sid, pid} or {error}. */
  constructor(at, auth, { namespace = "/", query = "", headers = {} } = {}) {
    super(`${at.url}/socket.io/?EIO=4&transport=websocket${query}`, { headers }, (text) => this.#read(text));
    this.prefix = namespace === "/" ? "" : `${namespace},`;
    this.auth = auth;
    this.answer = within(new Promise((resolve) => (this.answered = resolve)), "CONNECT's answer");
    this.answer.catch(() => {});
  }

  /** Waits for the session event. Returns {sid, pid, session, offset}. */
  static async enter(at, auth, options) {
    const line = new SocketIoLine(at, auth, options);
    const { sid, pid, error } = await line.answer;
    if (error) throw new Error(`CONNECT was refused: ${JSON.stringify(error)}`);
    const { data, offset } = await line.first("session");
    return Object.assign(line, { sid, pid, session: data, offset });
  }

  /** The offset that an official client would present. */
  get lastOffset() {
    return this.frames.findLast(({ offset }) => offset !== undefined)?.offset;
  }

  ask(event, data) {
    const id = this.#acks.length;
    const acked = new Promise((resolve) => this.#acks.push(resolve));
    this.socket.send(`42${this.prefix}${id}${JSON.stringify([event, data])}`);
    return within(acked, `the ack of ${event}`);
  }

  /** Sends DISCONNECT, which ends the session. Resolves once the server has read it, which the answer to a later packet shows. */
  leave() {
    this.socket.send(`41${this.prefix}`);
    const refused = new Promise((resolve) => (this.answered = resolve));
    this.socket.send("40/nowhere,");
    return within(refused, "the answer behind the DISCONNECT");
  }

  #read(text) {
    if (text === "2") return this.socket.send("3");
    if (text[0] === "0") return this.socket.send(`40${this.prefix}${JSON.stringify(this.auth)}`);
    const [, type, id, json] = /^4(\d)(?:\/[^,]*,)?(\d*)(.*)$/s.exec(text) ?? [];
    const data = json && JSON.parse(json);
    if (type === "0") return this.answered(data);
    if (type === "4") return this.answered({ error: data });
    if (type === "3") return this.#acks[Number(id)](data[0]);
    if (type !== "2") return undefined;
    if (data[0] === FIGURES) return undefined;
    const offset = data.length > 1 && typeof data.at(-1) === "string" ? data.pop() : undefined;
    return this.frames.push({ event: data[0], data: data[1], offset });
  }
}

/** The plain protocol. */
export class PlainLine extends Line {
  #acks = [];

  /** `query` as URLSearchParams takes it: {token, resume?, offset?, namespace?}. */
  constructor(at, query) {
    super(`${at.url}/ws?${new URLSearchParams(query)}`, {}, (text) => this.#read(JSON.parse(text)));
  }

  /** Waits for the session event. Returns its `session` and `offset`. */
  static async enter(at, query) {
    const line = new PlainLine(at, query);
    await line.opened;
    const { data, offset } = await line.first("session");
    return Object.assign(line, { session: data, offset });
  }

  /** The claim of a client that resumes: its session, and the offset of the last frame with one. */
  get pass() {
    return { resume: this.session.session, offset: this.frames.findLast(({ offset }) => offset !== undefined)?.offset };
  }

  ask(event, data) {
    const id = this.#acks.length;
    const acked = new Promise((resolve) => this.#acks.push(resolve));
    this.socket.send(JSON.stringify({ event, data, id }));
    return within(acked, `the ack of ${event}`);
  }

  #read(frame) {
    if ("ack" in frame) this.#acks[frame.ack](frame.data);
    else if (frame.event !== FIGURES) this.frames.push({ event: frame.event, data: frame.data, offset: frame.offset });
  }
}
