// A channel connects the page's parts to one namespace: by a socket, and while there is none, by
// reading REST every few seconds.

import { Socket } from "./socket.js";

/** Polling by REST starts after this long without a socket, which keeps reconnecting meanwhile. */
const GRACE_MS = 3000;
const POLL_EVERY_MS = 3000;

/**
 * A part has `handlers`, a function for each event that it knows; `ready()`, called after each
 * sign-in of the socket; and `refresh()`, which reads the current state by REST and resolves to
 * false if the server was unreachable.
 */
export class Channel {
  #parts = [];
  #socket;
  #socketState = { state: "connecting", words: "Connecting" };
  /** Identifies the current period of polling; null while the socket is live. */
  #round = null;
  #timer = null;
  #isAnswered = false;
  /** The user broke the connection: the missed events have to come by recovery, not by polling. */
  #isBroken = false;

  /** `onState()` when `state` or `words` may have changed; the other handlers as the socket's. */
  constructor(namespace, token, { onState, onFrame, onReady, onEnd }) {
    this.namespace = namespace;
    this.onState = onState;
    this.#socket = new Socket(namespace, token, {
      onState: (state, words) => this.#setSocketState(state, words),
      onFrame: (direction, frame) => {
        onFrame(direction, frame);
        if (direction === "in" && frame.event) this.#dispatch(frame.event, frame.data);
      },
      onReady: (info) => {
        this.#stopPolling();
        onReady(info);
        for (const part of this.#parts) part.ready();
      },
      onEnd: (code, words) => {
        this.#stopPolling();
        onEnd(code, words);
      },
    });
  }

  add(...parts) {
    this.#parts.push(...parts);
  }

  open() {
    this.#socket.open();
  }

  get isLive() {
    return this.#socket.isLive;
  }

  get isPolling() {
    return this.#round !== null;
  }

  get #isPollingWell() {
    return this.isPolling && this.#isAnswered;
  }

  get state() {
    return this.#isPollingWell ? "polling" : this.#socketState.state;
  }

  /** The transport for people, or null while there is none. */
  get transport() {
    if (this.#isPollingWell) return `REST, every ${POLL_EVERY_MS / 1000} s`;
    return this.#socket.transport;
  }

  get words() {
    if (this.#isPollingWell) return `Polling every ${POLL_EVERY_MS / 1000} s, not live`;
    return this.#socketState.words;
  }

  send(event, data, options) {
    this.#socket.send(event, data, options);
  }

  request(event, data) {
    return this.#socket.request(event, data);
  }

  ping() {
    return this.#socket.ping();
  }

  renew(token) {
    return this.#socket.renew(token);
  }

  /** Breaks the connection for `ms`, without polling meanwhile. */
  break(ms) {
    this.#isBroken = this.isLive;
    this.#socket.break(ms);
  }

  hurry() {
    this.#socket.hurry();
  }

  close() {
    this.#stopPolling();
    this.#socket.close();
  }

  #setSocketState(state, words) {
    this.#socketState = { state, words };
    if (state !== "waiting") this.#isBroken = false;
    const isDown = state === "connecting" || state === "waiting";
    if (isDown && !this.#isBroken) {
      this.#timer ??= setTimeout(() => this.#poll((this.#round = Symbol("polling"))), GRACE_MS);
    }
    this.onState();
  }

  #dispatch(event, data) {
    for (const { handlers } of this.#parts) {
      if (Object.hasOwn(handlers, event)) handlers[event](data);
    }
  }

  async #poll(round) {
    // A hidden page has no reader; it polls again when it is shown.
    if (!document.hidden) {
      const answers = await Promise.all(this.#parts.map((part) => part.refresh()));
      if (this.#round !== round) return;
      this.#isAnswered = answers.every(Boolean);
      this.onState();
    }
    this.#timer = setTimeout(() => this.#poll(round), POLL_EVERY_MS);
  }

  #stopPolling() {
    clearTimeout(this.#timer);
    this.#timer = this.#round = null;
    this.#isAnswered = false;
    this.onState();
  }
}
