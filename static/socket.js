// One socket in one namespace, over a plain WebSocket at /ws. Reconnects after a break, resumes its
// session and gets the events it missed. Where no WebSocket gets through, it continues over
// long-polling and tries a WebSocket again from time to time.

import { PollSocket } from "./poll-socket.js";

const RETRY = { shortest: 1000, longest: 10_000 };
/** A sign-in or request without an answer for this long means that the connection is dead. */
const PATIENCE_MS = 10_000;
/** After so many failed WebSockets in a row, long-polling is tried. */
const TRIES = 2;
/** While long-polling, a WebSocket is tried after `first`, then every `then`. */
const TRY_AGAIN = { first: 1000, then: 30_000 };
/** The content of the echo that measures the round trip; hidden from the frames panel. */
const PING = "there and back";

/** Close codes after which reconnecting cannot help, and the message for the user. */
const FINAL = {
  4400: "The server did not understand this page.",
  4401: "You have been signed out. Please sign in again.",
  4403: "This account may not open the order desk.",
  4404: "This server has no such namespace.",
  4429: "You are connected in too many places. Reload this page to go on here.",
};
export const SESSION_ENDED = FINAL[4401];
const EXPIRED = "Your sign-in has run out. Please sign in again.";

/** The server's refusal of an event, or the code `offline` when no answer could come. */
export class SocketError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }

  /** Repeating the same request would fail again. */
  get isFinal() {
    return !["offline", "unavailable", "rate_limited"].includes(this.code);
  }
}

export class Socket {
  /** A WebSocket or a PollSocket. */
  #connection = null;
  /** Runs while the socket waits to reconnect; otherwise null. */
  #timer = null;
  #patience;
  #failures = 0;
  /** The server's or the user's wish for the next wait, in milliseconds; 0 for none. */
  #nextWait = 0;
  #ended = false;
  #wasLive = false;
  #lastId = 0;
  /** Requests without an answer, by their id. */
  #pending = new Map();
  /** What resumes the session: its name, and the offset of the last event received. */
  #session = null;
  #offset = null;
  /** The reason to show while waiting, when the user broke the connection. */
  #breakReason = null;
  #isExpiring = false;
  /** Connections in a row that ended before the session started. */
  #fruitless = 0;
  #isByPolling = false;
  /** The WebSocket that is tried while polling continues. */
  #trial = null;
  #trialTimer;

  /** Signed in, with a session. */
  isLive = false;

  /**
   * Handlers: `onState(state, words)`; `onFrame(direction, frame)`; `onReady({recovered,
   * isReturn})` after each sign-in; `onEnd(code, words)` when it will not reconnect.
   * Nothing happens before `open`.
   */
  constructor(namespace, token, handlers) {
    this.namespace = namespace;
    this.token = token;
    this.on = handlers;
  }

  /** "WebSocket", "Long-polling", or null while disconnected. */
  get transport() {
    if (!this.isLive) return null;
    return this.#isByPolling ? "Long-polling" : "WebSocket";
  }

  /** What identifies the session to resume; empty before the first one. */
  get #resume() {
    return this.#offset === null ? {} : { session: this.#session, offset: this.#offset };
  }

  #newWebSocket({ session: resume, offset } = {}) {
    const url = new URL("/ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const query = { namespace: this.namespace, resume, offset };
    for (const [name, value] of Object.entries(query)) {
      if (value) url.searchParams.set(name, value);
    }
    return new WebSocket(url);
  }

  open() {
    this.#timer = null;
    this.on.onState("connecting", "Connecting");
    this.#connection = this.#isByPolling
      ? new PollSocket(this.namespace, this.#resume)
      : this.#newWebSocket(this.#resume);
    this.#patience = setTimeout(() => this.#giveUp(), PATIENCE_MS);
    // The token is in the first frame and never in the URL, because URLs end up in logs.
    this.#connection.onopen = () => this.#write({ event: "auth", data: { token: this.token } });
    this.#connection.onmessage = ({ data }) => this.#read(JSON.parse(data));
    this.#connection.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  /** Sends an event. With `ack` the server answers, which only the frames panel shows. */
  send(event, data, { ack = false } = {}) {
    if (!this.isLive) throw new SocketError("offline", "Not connected.");
    this.#write(ack ? { event, data, id: ++this.#lastId } : { event, data });
  }

  /** Sends an event and resolves to its answer. With `isQuiet` no frame is shown. */
  request(event, data, { isQuiet = false } = {}) {
    return new Promise((resolve, reject) => {
      if (!this.isLive) throw new SocketError("offline", "Not connected.");
      const id = ++this.#lastId;
      const timer = setTimeout(() => this.#giveUp(), PATIENCE_MS);
      this.#pending.set(id, { resolve, reject, isQuiet, timer });
      this.#write({ event, data, id }, { isQuiet });
    });
  }

  /** Resolves to the round trip in milliseconds. The answer comes after all earlier events. */
  async ping() {
    const from = performance.now();
    try {
      await this.request("message", { content: PING }, { isQuiet: true });
    } catch (error) {
      // A namespace without an echo refuses the event, which is an answer too.
      if (error.code === "offline") throw error;
    }
    return performance.now() - from;
  }

  /** Continues the session with another token of the same user. */
  async renew(token) {
    this.token = token;
    if (this.isLive) await this.request("auth:refresh", { token });
    this.#isExpiring = false;
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
    if (event === "server:shutdown") this.#nextWait = data?.reconnectAfterMs ?? 0;
    const isExpired = event === "error" && data?.code === "token_expired";
    if (event === "token:expiring" || isExpired) this.#isExpiring = true;
    if (!this.#pending.get(frame.ack)?.isQuiet) this.on.onFrame("in", frame);
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
    if (this.#isByPolling) {
      this.#trialTimer = setTimeout(() => this.#tryWebSocket(), TRY_AGAIN.first);
    }
    this.on.onState(...(this.#isByPolling ? ["polling", "Polling, live"] : ["live", "Live"]));
    this.on.onFrame("in", frame);
    this.on.onReady({ recovered, isReturn });
  }

  /** Tries a WebSocket with a session of its own; if it works, the polling session moves to one. */
  #tryWebSocket() {
    if (!this.#isByPolling || this.#trial || this.#ended) return;
    clearTimeout(this.#trialTimer);
    const trial = this.#newWebSocket();
    this.#trial = trial;
    const end = () => {
      clearTimeout(patience);
      trial.onopen = trial.onmessage = trial.onclose = null;
      trial.close(1000);
      this.#trial = null;
    };
    const fail = () => {
      end();
      this.#trialTimer = setTimeout(() => this.#tryWebSocket(), TRY_AGAIN.then);
    };
    const patience = setTimeout(fail, PATIENCE_MS);
    trial.onopen = () => trial.send(JSON.stringify({ event: "auth", data: { token: this.token } }));
    trial.onclose = fail;
    trial.onmessage = () => {
      end();
      this.#isByPolling = false;
      clearTimeout(this.#timer);
      this.#abandon();
      this.isLive = false;
      this.#rejectPending();
      this.open();
    };
  }

  #answer(id, data) {
    const request = this.#pending.get(id);
    if (!request) return;
    this.#pending.delete(id);
    clearTimeout(request.timer);
    if (data?.ok !== false) return request.resolve(data);
    const { code = "invalid", message = "The server refused." } = data.error ?? {};
    request.reject(new SocketError(code, message));
  }

  #giveUp() {
    this.#abandon();
    this.#lost(1006);
  }

  /** Drops the connection without waiting: a close handshake on a dead one could take minutes. */
  #abandon() {
    clearTimeout(this.#patience);
    this.#connection.onopen = this.#connection.onmessage = this.#connection.onclose = null;
    this.#connection.close();
  }

  /** Breaks the connection as a lost network would, and reconnects after `ms`. */
  break(ms) {
    if (!this.isLive) return;
    this.#nextWait = ms;
    this.#breakReason = "Connection broken on purpose";
    this.#giveUp();
  }

  #lost(code, reason) {
    clearTimeout(this.#patience);
    if (!this.isLive) this.#fruitless += 1;
    this.isLive = false;
    this.#rejectPending();
    if (this.#ended) return;
    if (FINAL[code]) {
      this.#ended = true;
      const isExpired = code === 4401 && (this.#isExpiring || reason === "token_expired");
      this.on.onState("off", "Not connected");
      this.on.onEnd(code, isExpired ? EXPIRED : FINAL[code]);
      return;
    }
    // A random wait below a bound that doubles, so that a thousand pages do not reconnect at once.
    this.#failures += 1;
    const bound = Math.min(RETRY.longest, RETRY.shortest * 2 ** this.#failures);
    const random = RETRY.shortest + Math.random() * (bound - RETRY.shortest);
    // Polling starts at once after a WebSocket failed; the way back waits as after any failure.
    const wait = this.#switchTransport() && this.#isByPolling ? 0 : this.#nextWait || random;
    this.#nextWait = 0;
    this.#timer = setTimeout(() => this.open(), wait);
    const why = this.#breakReason ?? (this.#wasLive ? "Connection lost" : "No connection");
    this.#breakReason = null;
    this.on.onState("waiting", `${why}. Trying again in ${Math.ceil(wait / 1000)} s`);
  }

  /** Switches between WebSocket and polling after enough failures. Returns true if it did. */
  #switchTransport() {
    if (this.#fruitless < (this.#isByPolling ? 1 : TRIES)) return false;
    this.#isByPolling = !this.#isByPolling;
    this.#fruitless = 0;
    return true;
  }

  #rejectPending() {
    const left = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, timer } of left) {
      clearTimeout(timer);
      reject(new SocketError("offline", "The connection was lost before the answer came."));
    }
  }

  /** Reconnects now instead of after the wait, for when the network is back. */
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
    this.#rejectPending();
  }
}
