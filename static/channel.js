// The channel of the page's parts to one namespace: the line; and while that cannot be had, reading REST every few seconds in its place.

import { Socket } from "./socket.js";

/** So long without a line, and polling begins. The line is tried on meanwhile. */
const GRACE_MS = 3000;
const POLL_EVERY_MS = 3000;

/**
 * A part has `handlers`, a handler for each event that it knows; `ready()`, called after each sign-in on the line; and `refresh()`, which
 * reads what is true by REST and resolves to whether the server can be reached.
 */
export class Channel {
  #parts = [];
  #socket;
  #said = { state: "connecting", words: "Connecting" };
  #round = null;
  /** Runs to the begin of polling, and then from round to round. */
  #timer = null;
  #isAnswered = false;
  /** The line was broken on purpose and is not yet tried again: what is missed is to come by itself, not by polling. */
  #isBroken = false;

  /** `onState()` when `state` or `words` may have changed, `onFrame(way, frame)`, `onReady(info)`, `onEnd(code, words)` as the line's. */
  constructor(namespace, token, { onState, onFrame, onReady, onEnd }) {
    this.namespace = namespace;
    this.onState = onState;
    this.#socket = new Socket(namespace, token, {
      onState: (state, words) => this.#say(state, words),
      onFrame: (way, frame) => {
        onFrame(way, frame);
        if (way === "in" && frame.event) this.#hand(frame.event, frame.data);
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

  get state() {
    return this.isPolling && this.#isAnswered ? "polling" : this.#said.state;
  }

  /** By which way the page hears, or null. */
  get transport() {
    if (this.isPolling && this.#isAnswered) return `REST, every ${POLL_EVERY_MS / 1000} s`;
    return this.#socket.transport;
  }

  get words() {
    return this.isPolling && this.#isAnswered ? `Polling every ${POLL_EVERY_MS / 1000} s, not live` : this.#said.words;
  }

  /** As the line's. */
  send(event, data, options) {
    this.#socket.send(event, data, options);
  }

  /** As the line's. */
  ask(event, data) {
    return this.#socket.ask(event, data);
  }

  /** As the line's. */
  ping() {
    return this.#socket.ping();
  }

  /** As the line's. */
  renew(token) {
    return this.#socket.renew(token);
  }

  /** As the line's, without polling meanwhile. */
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

  #say(state, words) {
    this.#said = { state, words };
    if (state !== "waiting") this.#isBroken = false;
    if ((state === "connecting" || state === "waiting") && !this.#isBroken) this.#timer ??= setTimeout(() => this.#poll((this.#round = Symbol("polling"))), GRACE_MS);
    this.onState();
  }

  #hand(event, data) {
    for (const { handlers } of this.#parts) if (Object.hasOwn(handlers, event)) handlers[event](data);
  }

  async #poll(round) {
    // Nobody looks at a hidden page; it reads when it is shown again.
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
