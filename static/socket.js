// The line: one plain WebSocket at /ws, opened again when it breaks, with answers to what asked for one. It comes back as the session that it was,
// and hears what it has missed. Where no WebSocket gets through it goes on by long-polling, and tries now and then whether one does.

import { PollSocket } from "./poll-socket.js";

const RETRY = { shortest: 1000, longest: 10_000 };
/** A socket that is not signed in, or a question that is not answered, after so long: the line is dead, although nobody said so. */
const PATIENCE_MS = 10_000;
/** After so many WebSockets in a row that came to nothing, long-polling is tried. */
const TRIES = 2;
/** By long-polling, a WebSocket is tried after so long, and then so often. */
const TRY_AGAIN = { first: 1000, then: 30_000 };
/** What the server is asked to echo, to measure the way there and back. It is not shown among the frames. */
const PING = "there and back";

/** Close codes after which coming back would not help, and what to tell. */
const FINAL = {
  4400: "The server did not understand this page.",
  4401: "You have been signed out. Please sign in again.",
  4403: "This account may not open the order desk.",
  4404: "This server has no such namespace.",
};
export const SESSION_ENDED = FINAL[4401];
const RAN_OUT = "Your sign-in has run out. Please sign in again.";

/** The server's refusal of an event (its code and words), or `offline` when there was no line, or it broke before the answer. */
export class SocketError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }

  /** Whether asking the same again would only get the same. */
  get isFinal() {
    return !["offline", "unavailable", "rate_limited"].includes(this.code);
  }
}

export class Socket {
  #connection = null;
  /** Runs while the line waits to be opened again; else null. */
  #timer = null;
  #patience;
  #failures = 0;
  #hint = 0;
  #ended = false;
  #wasLive = false;
  #lastId = 0;
  #asked = new Map();
  /** By which the session is resumed: its name, and the place in the log up to which it was heard. */
  #session = null;
  #offset = null;
  /** Words for the wait, when the line was broken on purpose. */
  #onPurpose = null;
  #runsOut = false;
  #fruitless = 0;
  #isByPolling = false;
  /** The WebSocket that is tried beside the polling. */
  #trial = null;
  #trialTimer;

  /** Signed in, and told its session. */
  isLive = false;

  /**
   * `onState(state, words)`, `onFrame(way, frame)`, `onReady({recovered, isReturn})` after each sign-in, `onEnd(code, words)` when it is for good. Nothing
   * happens before `open`.
   */
  constructor(namespace, token, handlers) {
    this.namespace = namespace;
    this.token = token;
    this.on = handlers;
  }

  /** "WebSocket", "Long-polling", or null while there is no line. */
  get transport() {
    if (!this.isLive) return null;
    return this.#isByPolling ? "Long-polling" : "WebSocket";
  }

  /** What a session that is to go on is known by; empty before there was one. */
  get #resume() {
    return this.#offset === null ? {} : { session: this.#session, offset: this.#offset };
  }

  #newWebSocket({ session: resume, offset } = {}) {
    const url = new URL("/ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    for (const [name, value] of Object.entries({ namespace: this.namespace, resume, offset })) if (value) url.searchParams.set(name, value);
    return new WebSocket(url);
  }

  open() {
    this.#timer = null;
    this.on.onState("connecting", "Connecting");
    this.#connection = this.#isByPolling ? new PollSocket(this.namespace, this.#resume) : this.#newWebSocket(this.#resume);
    this.#patience = setTimeout(() => this.#giveUp(), PATIENCE_MS);
    // The token goes in the first frame and never in the URL, which ends up in logs.
    this.#connection.onopen = () => this.#write({ event: "auth", data: { token: this.token } });
    this.#connection.onmessage = ({ data }) => this.#read(JSON.parse(data));
    this.#connection.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  /** Sends an event; with `ack`, one whose answer is only shown among the frames. */
  send(event, data, { ack = false } = {}) {
    if (!this.isLive) throw new SocketError("offline", "Not connected.");
    this.#write(ack ? { event, data, id: ++this.#lastId } : { event, data });
  }

  /** Sends an event and resolves to its answer. */
  ask(event, data, { isQuiet = false } = {}) {
    return new Promise((resolve, reject) => {
      if (!this.isLive) throw new SocketError("offline", "Not connected.");
      const id = ++this.#lastId;
      this.#asked.set(id, { resolve, reject, isQuiet, timer: setTimeout(() => this.#giveUp(), PATIENCE_MS) });
      this.#write({ event, data, id }, { isQuiet });
    });
  }

  /** Resolves to the milliseconds that it takes there and back, behind all that the server has said before. */
  async ping() {
    const from = performance.now();
    try {
      await this.ask("message", { content: PING }, { isQuiet: true });
    } catch (error) {
      // A namespace that echoes nothing has answered all the same.
      if (error.code === "offline") throw error;
    }
    return performance.now() - from;
  }

  /** The token that the session goes on with. */
  async renew(token) {
    this.token = token;
    if (this.isLive) await this.ask("auth:refresh", { token });
    this.#runsOut = false;
  }

  #write(frame, { isQuiet = false } = {}) {
    this.#connection.send(JSON.stringify(frame));
    if (!isQuiet) this.on.onFrame("out", frame);
  }

  #read(frame) {
    const { event, data } = frame;
    if (frame.offset !== undefined) this.#offset = frame.offset;
    if (event === "session") return this.#begin(frame);
    if (event === "message" && data?.content === PING) return;
    if (event === "server:shutdown") this.#hint = data?.reconnectAfterMs ?? 0;
    if (event === "token:expiring" || (event === "error" && data?.code === "token_expired")) this.#runsOut = true;
    if (!this.#asked.get(frame.ack)?.isQuiet) this.on.onFrame("in", frame);
    if (frame.ack !== undefined) this.#answer(frame.ack, data);
  }

  #begin(frame) {
    const { session, recovered } = frame.data;
    const isReturn = this.#session !== null;
    clearTimeout(this.#patience);
    this.#session = session;
    this.#failures = this.#fruitless = 0;
    this.isLive = this.#wasLive = true;
    clearTimeout(this.#trialTimer);
    if (this.#isByPolling) this.#trialTimer = setTimeout(() => this.#tryWebSocket(), TRY_AGAIN.first);
    this.on.onState(...(this.#isByPolling ? ["polling", "Polling, live"] : ["live", "Live"]));
    this.on.onFrame("in", frame);
    this.on.onReady({ recovered, isReturn });
  }

  /** By a session of its own, beside the one that polls; where that is taken, the other goes on by WebSocket too. */
  #tryWebSocket() {
    if (!this.#isByPolling || this.#trial || this.#ended) return;
    clearTimeout(this.#trialTimer);
    const socket = this.#newWebSocket();
    this.#trial = socket;
    const end = () => {
      clearTimeout(patience);
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
      this.#trial = null;
    };
    const inVain = () => {
      end();
      this.#trialTimer = setTimeout(() => this.#tryWebSocket(), TRY_AGAIN.then);
    };
    const patience = setTimeout(inVain, PATIENCE_MS);
    socket.onopen = () => socket.send(JSON.stringify({ event: "auth", data: { token: this.token } }));
    socket.onclose = inVain;
    socket.onmessage = () => {
      end();
      this.#isByPolling = false;
      clearTimeout(this.#timer);
      this.#abandon();
      this.isLive = false;
      this.#forgetQuestions();
      this.open();
    };
  }

  #answer(id, data) {
    const question = this.#asked.get(id);
    if (!question) return;
    this.#asked.delete(id);
    clearTimeout(question.timer);
    if (data?.ok === false) question.reject(new SocketError(data.error?.code ?? "invalid", data.error?.message ?? "The server refused."));
    else question.resolve(data);
  }

  #giveUp() {
    this.#abandon();
    this.#lost(1006);
  }

  /** A close handshake over a dead line could take minutes. */
  #abandon() {
    clearTimeout(this.#patience);
    this.#connection.onopen = this.#connection.onmessage = this.#connection.onclose = null;
    this.#connection.close();
  }

  /** Breaks the line as a lost network does, and comes back after so long. */
  break(ms) {
    if (!this.isLive) return;
    this.#hint = ms;
    this.#onPurpose = "Socket broken on purpose";
    this.#giveUp();
  }

  #lost(code, reason) {
    clearTimeout(this.#patience);
    if (!this.isLive) this.#fruitless += 1;
    this.isLive = false;
    this.#forgetQuestions();
    if (this.#ended) return;
    if (FINAL[code]) {
      this.#ended = true;
      this.on.onState("off", "Not connected");
      this.on.onEnd(code, code === 4401 && (this.#runsOut || reason === "token_expired") ? RAN_OUT : FINAL[code]);
      return;
    }
    // Anywhere between the shortest wait and a bound that doubles: a thousand pages do not all come back at once.
    this.#failures += 1;
    const bound = Math.min(RETRY.longest, RETRY.shortest * 2 ** this.#failures);
    // From WebSocket to polling at once, back as after any failure.
    const isAtOnce = this.#takeTurns() && this.#isByPolling;
    const wait = isAtOnce ? 0 : this.#hint || RETRY.shortest + Math.random() * (bound - RETRY.shortest);
    this.#hint = 0;
    this.#timer = setTimeout(() => this.open(), wait);
    const why = this.#onPurpose ?? (this.#wasLive ? "Connection lost" : "No connection");
    this.#onPurpose = null;
    this.on.onState("waiting", `${why}. Trying again in ${Math.ceil(wait / 1000)} s`);
  }

  /** Whether it is time for the other way. */
  #takeTurns() {
    if (this.#fruitless < (this.#isByPolling ? 1 : TRIES)) return false;
    this.#isByPolling = !this.#isByPolling;
    this.#fruitless = 0;
    return true;
  }

  #forgetQuestions() {
    const left = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject, timer } of left) {
      clearTimeout(timer);
      reject(new SocketError("offline", "The connection was lost before the answer came."));
    }
  }

  /** The network is back: do not sit out the wait. */
  hurry() {
    if (this.#ended) return;
    if (this.isLive) return this.#tryWebSocket();
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.open();
  }

  close() {
    this.#ended = true;
    this.isLive = false;
    for (const timer of [this.#timer, this.#patience, this.#trialTimer]) clearTimeout(timer);
    if (this.#trial) this.#trial.onclose = this.#trial.onmessage = null;
    this.#trial?.close(1000);
    this.#connection?.close(1000);
    this.#forgetQuestions();
  }
}
