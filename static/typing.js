// Shows who is typing in the open conversation, and sends the user's own typing.

import { $, listOf } from "./dom.js";

/** While the user types, `isTyping` is sent again after this long. */
const SEND_EVERY_MS = 2500;
/** The user counts as typing until this long after the last key. */
const IDLE_MS = 3500;
/** Others count as typing until this long after their last event. */
const SHOWN_MS = 5000;
/** With more people typing, their number is shown instead of their names. */
const NAMES_SHOWN = 3;

export class Typing {
  #scope;
  #send;
  #nameOf;
  #others = new Map();
  #sentAt = 0;
  #idle;

  /** `send(isTyping)` sends the event. */
  constructor(scope, { send, nameOf }) {
    this.#scope = scope;
    this.#send = send;
    this.#nameOf = nameOf;
    this.#show();
    scope.listen($("message-input"), "input", ({ target }) => {
      if (target.value.trim()) this.#typed();
      else this.stop();
    });
  }

  #typed() {
    clearTimeout(this.#idle);
    this.#idle = this.#scope.after(IDLE_MS, () => this.stop());
    if (Date.now() - this.#sentAt < SEND_EVERY_MS) return;
    this.#sentAt = Date.now();
    this.#send(true);
  }

  stop() {
    clearTimeout(this.#idle);
    if (this.#sentAt) this.#send(false);
    this.#sentAt = 0;
  }

  /** Shows that another user started or stopped typing. */
  set(userId, isTyping) {
    clearTimeout(this.#others.get(userId));
    this.#others.delete(userId);
    if (isTyping) {
      const timer = this.#scope.after(SHOWN_MS, () => this.set(userId, false));
      this.#others.set(userId, timer);
    }
    this.#show();
  }

  #show() {
    const names = [...this.#others.keys()].map(this.#nameOf);
    const people = names.length > NAMES_SHOWN ? `${names.length} people` : listOf(names);
    const verb = names.length === 1 ? "is" : "are";
    $("typing").textContent = names.length === 0 ? "" : `${people} ${verb} typing…`;
  }
}
