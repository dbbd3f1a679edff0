// Who is typing in the open conversation; and telling the others when one is oneself.

import { $, listOf } from "./dom.js";

/** Typing on is told again so often; silence for so long ends it; and so long after the last word of it, another's has ended. */
const TELL_EVERY_MS = 2500;
const IDLE_MS = 3500;
const SHOWN_MS = 5000;
/** Above so many, a number says more than their names. */
const NAMES_SHOWN = 3;

export class Typing {
  #scope;
  #tell;
  #nameOf;
  #others = new Map();
  #toldAt = 0;
  #idle;

  /** `tell(isTyping)` sends it. */
  constructor(scope, { tell, nameOf }) {
    this.#scope = scope;
    this.#tell = tell;
    this.#nameOf = nameOf;
    this.#show();
    scope.listen($("message-input"), "input", ({ target }) => (target.value.trim() ? this.#wrote() : this.stop()));
  }

  #wrote() {
    clearTimeout(this.#idle);
    this.#idle = this.#scope.after(IDLE_MS, () => this.stop());
    if (Date.now() - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = Date.now();
    this.#tell(true);
  }

  stop() {
    clearTimeout(this.#idle);
    if (this.#toldAt) this.#tell(false);
    this.#toldAt = 0;
  }

  hear(userId, isTyping) {
    clearTimeout(this.#others.get(userId));
    this.#others.delete(userId);
    if (isTyping) this.#others.set(userId, this.#scope.after(SHOWN_MS, () => this.hear(userId, false)));
    this.#show();
  }

  #show() {
    const names = [...this.#others.keys()].map(this.#nameOf);
    const who = names.length > NAMES_SHOWN ? `${names.length} people` : listOf(names);
    $("typing").textContent = names.length === 0 ? "" : `${who} ${names.length === 1 ? "is" : "are"} typing…`;
  }
}
