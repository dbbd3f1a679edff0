// The base of the suites: a server of their own (with its port, its database, its end), REST calls,
// and sockets that record their events. Waiting is always for a condition, with a bound after which
// the test fails.

import { execFile, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { io } from "socket.io-client";
import { createDatabase, dropDatabase } from "./postgres.mjs";

export const BINARY = process.env.HUBCAST_BIN ?? fileURLToPath(new URL("../../target/debug/hubcast", import.meta.url));
export const PASSWORD = "demo-password";
const SECRET = "only-for-tests-only-for-tests-only-for-tests";
/** `postgres://user@host:port` of a PostgreSQL on which each server under test gets its own database. Without it, SQLite. */
const POSTGRES = process.env.HUBCAST_TEST_POSTGRES;
const PATIENCE_MS = 10_000;

/** Resolves like `promise`, or fails with `what` after a timeout. */
export function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Repeats `check` until it returns something, and returns that. */
export async function until(check, what, ms = PATIENCE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A token as the server signs it; `claims` override those of a valid token. */
export function sign(claims, secret = SECRET) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part({ role: "customer", iat: now, exp: now + 3600, jti: `test-${Math.random()}`, ...claims })}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

const TRANSPORTS = (process.env.HUBCAST_TEST_TRANSPORTS ?? "websocket").split(",");

/** Consecutive server processes on one database and one port. */
export class Server {
  #directory = mkdtempSync(join(tmpdir(), "hubcast-test-"));
  #process = null;
  #database = null;
  #clients = [];
  #tokens = new Map();
  log = "";

  constructor(env) {
    this.env = env;
    // The system chooses the port at the first start; later starts reuse it, so that clients can
    // reconnect.
    this.port = 0;
    this.killOnExit = () => this.#process?.kill("SIGKILL");
    process.once("exit", this.killOnExit);
  }

  /** Starts a server with the demo accounts. Settings not given here or in `env` have their defaults. */
  static async start(env = {}) {
    const server = new this(env);
    try {
      await server.start();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** The working directory and the settings of the binary. */
  #surroundings() {
    const { PATH, HOME, RUST_BACKTRACE = "1" } = process.env;
    return {
      cwd: this.#directory,
      env: {
        PATH, HOME, RUST_BACKTRACE, HOST: "127.0.0.1", PORT: String(this.port),
        DATABASE_URL: this.#database ?? `sqlite://${join(this.#directory, "hubcast.db")}`, JWT_SECRET: SECRET, HUBCAST_DEMO: "true", LOG_FORMAT: "json", ...this.env,
      },
    };
  }

  /** The file of SQLite. */
  get databaseFile() {
    return join(this.#directory, "hubcast.db");
  }

  /** Runs another command of the binary on the same database, while the server may be running. */
  async command(...words) {
    await promisify(execFile)(BINARY, words, this.#surroundings());
  }

  async start() {
    if (POSTGRES && !this.env.DATABASE_URL && !this.#database) this.#database = await createDatabase(POSTGRES);
    const child = spawn(BINARY, ["serve"], { ...this.#surroundings(), stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    this.exited = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    const listening = new Promise((resolve, reject) => {
      let text = "";
      const read = (chunk) => {
        this.log += chunk;
        text += chunk;
        const found = /(?:listening on|read-only;) (https?:\/\/127\.0\.0\.1:(\d+))/.exec(text);
        if (found) resolve(found.slice(1));
      };
      child.stdout.setEncoding("utf8").on("data", read);
      child.stderr.setEncoding("utf8").on("data", read);
      this.exited.then(({ code, signal }) => reject(new Error(`the server ended at its start (${code ?? signal}):\n${text}`)), reject);
    });
    const [url, port] = await within(listening, "the server's address in its log", 30_000);
    this.port = Number(port);
    this.url = url;
  }

  /** Sends a signal that does not end the server. */
  signal(name) {
    this.#process.kill(name);
  }

  /** SIGKILL: nothing is flushed. */
  async kill() {
    this.#process.kill("SIGKILL");
    await this.exited;
  }

  /** SIGTERM. Returns the exit code and the duration. */
  async stop() {
    const from = Date.now();
    this.#process.kill("SIGTERM");
    const { code, signal } = await within(this.exited, "the server to stop", 15_000);
    return { code, signal, ms: Date.now() - from };
  }

  /** Ends everything, in any state. */
  async close() {
    for (const client of this.#clients) client.close();
    if (this.#process) await this.kill();
    if (this.#database) await dropDatabase(this.#database);
    process.removeListener("exit", this.killOnExit);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** `who` is a demo account's name, a token, or null. `body` is sent as JSON, a string unchanged. */
  async call(who, method, path, body, headers = {}) {
    const token = who && (await this.token(who));
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
  }

  /** POSTs, and returns the created object. */
  async post(who, path, body = {}, headers = {}) {
    const answer = await this.call(who, "POST", path, body, headers);
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** All pages of a list, newest first. */
  async list(who, path) {
    const found = [];
    for (let page = `${path}?limit=200`; page; ) {
      const { status, body, headers } = await this.call(who, "GET", page);
      if (status !== 200) throw new Error(`${page}: ${status} ${JSON.stringify(body)}`);
      found.push(...body);
      page = /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
    }
    return found;
  }

  async signIn(name) {
    const { status, body } = await this.call(null, "POST", "/auth/login", { email: `${name}@demo.test`, password: PASSWORD });
    if (status !== 201 && status !== 200) throw new Error(`${name} cannot sign in: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  async token(who) {
    if (who.includes(".")) return who;
    if (!this.#tokens.has(who)) this.#tokens.set(who, await this.signIn(who));
    return this.#tokens.get(who).accessToken;
  }

  /** The user's id. */
  async id(name) {
    await this.token(name);
    return this.#tokens.get(name).user.id;
  }

  /** Ids and tokens of the demo users, by name. */
  async people() {
    const people = { ids: {}, tokens: {} };
    for (const name of ["alice", "bob", "admin"]) {
      people.tokens[name] = await this.token(name);
      people.ids[name] = await this.id(name);
    }
    return people;
  }

  /**
   * Opens a socket on its own connection, with the options of socket.io-client's `io`, without waiting for it. `via` is a proxy,
   * `library` the `io` of another version. Uses a WebSocket, unless HUBCAST_TEST_TRANSPORTS says otherwise.
   */
  open(namespace, { via = this, library = io, ...options } = {}) {
    // The client notices a connection that breaks between the upgrade and the first packet of
    // Engine.IO only by this timeout (20 s by default).
    const quick = { reconnectionDelay: 100, reconnectionDelayMax: 500, timeout: 5_000 };
    const client = new Client(library(via.url + namespace, { transports: TRANSPORTS, forceNew: true, ...quick, ...options }));
    this.#clients.push(client);
    return client;
  }

  /** A signed-in socket that has received its session event. */
  async connect(who, namespace = "/", options = {}) {
    const client = this.open(namespace, { auth: { token: await this.token(who) }, ...options });
    await client.next("session");
    // It comes a moment later, and no test wants it in the middle of other events.
    if (namespace === "/") await until(() => client.all("notifications:unread").length > 0, "the count of notifications");
    return client;
  }

  /** Places an order and returns it. */
  async order(who, total, more = {}) {
    const { status, body } = await this.call(who, "POST", "/orders", { total, ...more });
    if (status !== 201) throw new Error(`no order: ${status} ${JSON.stringify(body)}`);
    return body;
  }
}

/** A socket.io socket that records every event in order. */
export class Client {
  /** [{event, data}] of every event so far. */
  frames = [];
  /** [{id, recovered}] of each connect. */
  connects = [];
  #taken = new Set();
  #waiting = new Set();

  constructor(socket) {
    this.socket = socket;
    socket.on("connect", () => this.connects.push({ id: socket.id, recovered: Boolean(socket.recovered) }));
    socket.onAny((event, ...args) => {
      // `/admin` sends the figures periodically.
      if (event === "server:stats") return;
      // A last argument that is a string is the offset of connection state recovery.
      if (args.length > 1 && typeof args.at(-1) === "string") args.pop();
      this.frames.push({ event, data: args.length > 1 ? args : args[0] });
      for (const look of this.#waiting) look();
    });
  }

  /** The data of the first event of this name that no `next` has returned yet. */
  async next(event) {
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const frame = this.frames.find((frame) => frame.event === event && !this.#taken.has(frame));
        if (!frame) return;
        this.#taken.add(frame);
        this.#waiting.delete(look);
        resolve(frame.data);
      };
      this.#waiting.add(look);
      look();
    });
    return within(found, `${event}; came so far: ${JSON.stringify(this.frames)}`).finally(() => this.#waiting.delete(look));
  }

  /** The data of every event of this name so far. */
  all(event) {
    return this.frames.filter((frame) => frame.event === event).map((frame) => frame.data);
  }

  /** Sets the start of `since`, after the events in flight: the initial count, and events of earlier writes. */
  async mark() {
    await this.ask("no:such:event");
    this.from = this.frames.length;
    return this;
  }

  /** Every event since the mark, as [event, data], after all events in flight have arrived, which an answer shows. */
  async since() {
    await this.ask("no:such:event");
    return this.frames.slice(this.from).map(({ event, data }) => [event, data]);
  }

  /** The error that refused the connection, as {message, data}. */
  async refusal() {
    const error = await within(
      new Promise((resolve, reject) => {
        this.socket.once("connect_error", resolve);
        this.socket.once("connect", () => reject(new Error("connected, although it should have been refused")));
      }),
      "connect_error",
    );
    return error.data === undefined ? { message: error.message } : { message: error.message, data: error.data };
  }

  /** Sends an event and returns its ack. */
  ask(event, ...args) {
    // `emitWithAck` came with 4.6.
    const answer = this.socket.emitWithAck?.(event, ...args) ?? new Promise((resolve) => this.socket.emit(event, ...args, resolve));
    return within(answer, `the ack of ${event}`);
  }

  close() {
    this.socket.disconnect();
  }
}
