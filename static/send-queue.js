// Messages on their way. Each is sent until the server has answered for it, in the order of writing; its clientId makes repeating harmless.

import { randomKey } from "./api.js";

const TRY_AGAIN_MS = 2000;

export class SendQueue {
  #scope;
  #channel;
  #letters = [];
  #isBusy = false;

  /** A letter is {conversationId, clientId, content, fault?}; one with a fault waits for `retry` or `discard`. */
  constructor(scope, channel, { onChange, onDelivered }) {
    this.#scope = scope;
    this.#channel = channel;
    this.onChange = onChange;
    this.onDelivered = onDelivered;
  }

  of(conversationId) {
    return this.#letters.filter((letter) => letter.conversationId === conversationId);
  }

  add(conversationId, content) {
    this.#letters.push({ conversationId, clientId: randomKey(), content });
    this.onChange(conversationId);
    this.flush();
  }

  retry(letter) {
    delete letter.fault;
    this.onChange(letter.conversationId);
    this.flush();
  }

  discard(letter) {
    this.#letters = this.#letters.filter((other) => other !== letter);
    this.onChange(letter.conversationId);
  }

  /** The message has been seen among the others: whatever becomes of the answer, it has arrived. */
  arrived(clientId) {
    const letter = clientId && this.#letters.find((letter) => letter.clientId === clientId);
    if (letter) this.discard(letter);
  }

  /** Sends what waits, by whichever way there is. */
  async flush() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (;;) {
        const letter = this.#letters.find(({ fault }) => !fault);
        if (!letter || !(this.#channel.isLive || this.#channel.isPolling)) break;
        await this.#deliver(letter);
      }
    } catch {
      // A lost line or server brings the next try with its return; a busy server has to be asked again.
      if (this.#channel.isLive) this.#scope.after(TRY_AGAIN_MS, () => this.flush());
    } finally {
      this.#isBusy = false;
    }
  }

  async #deliver(letter) {
    const { conversationId, clientId, content } = letter;
    try {
      const message = this.#channel.isLive
        ? (await this.#channel.ask("message:send", { conversationId, clientId, message: { content, type: "text" } })).message
        : (await this.#scope.call("POST", `/conversations/${conversationId}/messages`, { body: { clientId, content, type: "text" } })).data;
      this.discard(letter);
      this.onDelivered(message);
    } catch (error) {
      if (!error.isFinal) throw error;
      letter.fault = error.message;
      this.onChange(conversationId);
    }
  }
}
