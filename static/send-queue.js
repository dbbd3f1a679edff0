// Messages that the server has not confirmed yet. Each is sent until it is answered, in the order
// of writing; its clientId makes repeats harmless.

import { randomKey } from "./api.js";

const TRY_AGAIN_MS = 2000;

export class SendQueue {
  #scope;
  #channel;
  #pending = [];
  #isBusy = false;

  /**
   * A pending message is {conversationId, clientId, content, fault?}. One with a fault waits for
   * `retry` or `discard`.
   */
  constructor(scope, channel, { onChange, onDelivered }) {
    this.#scope = scope;
    this.#channel = channel;
    this.onChange = onChange;
    this.onDelivered = onDelivered;
  }

  of(conversationId) {
    return this.#pending.filter((message) => message.conversationId === conversationId);
  }

  add(conversationId, content) {
    this.#pending.push({ conversationId, clientId: randomKey(), content });
    this.onChange(conversationId);
    this.flush();
  }

  retry(message) {
    delete message.fault;
    this.onChange(message.conversationId);
    this.flush();
  }

  discard(message) {
    this.#pending = this.#pending.filter((other) => other !== message);
    this.onChange(message.conversationId);
  }

  /** Drops a message that was seen in the conversation: it was stored, even if no answer comes. */
  arrived(clientId) {
    const message = clientId && this.#pending.find((message) => message.clientId === clientId);
    if (message) this.discard(message);
  }

  /** Sends all that is pending, by socket or by REST. */
  async flush() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (;;) {
        const message = this.#pending.find(({ fault }) => !fault);
        if (!message || !(this.#channel.isLive || this.#channel.isPolling)) break;
        await this.#deliver(message);
      }
    } catch {
      // Reconnecting flushes again. If the connection is up, the server was busy: ask again later.
      if (this.#channel.isLive) this.#scope.after(TRY_AGAIN_MS, () => this.flush());
    } finally {
      this.#isBusy = false;
    }
  }

  async #deliver(message) {
    try {
      const stored = await (this.#channel.isLive ? this.#emit(message) : this.#post(message));
      this.discard(message);
      this.onDelivered(stored);
    } catch (error) {
      if (!error.isFinal) throw error;
      message.fault = error.message;
      this.onChange(message.conversationId);
    }
  }

  async #emit({ conversationId, clientId, content }) {
    const data = { conversationId, clientId, message: { content, type: "text" } };
    return (await this.#channel.request("message:send", data)).message;
  }

  async #post({ conversationId, clientId, content }) {
    const path = `/conversations/${conversationId}/messages`;
    const body = { clientId, content, type: "text" };
    return (await this.#scope.call("POST", path, { body })).data;
  }
}
