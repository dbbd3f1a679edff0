// The messages of the open conversation, in the order of seq, followed by those still pending.

import { $, briefly, cloneTemplate, glow, listOf, showText } from "./dom.js";

/** Pixels from the end of the list within which the reader counts as being at its end. */
const NEAR_END = 48;
const MOST_KEPT = 500;

export class MessageList {
  #me;
  #nameOf;
  #onPending;
  #messages = new Map();
  #rows = new Map();
  #pendingRows = new Map();
  #newest = 0;
  #isAtEnd = true;

  /** `onPending(message, "retry" | "discard")`; `onEnd()` when the reader reaches the end. */
  constructor(scope, { nameOf, onPending, onEnd }) {
    this.#me = scope.user.id;
    this.#nameOf = nameOf;
    this.#onPending = onPending;
    $("messages").replaceChildren();
    $("to-end").hidden = true;
    scope.listen($("to-end"), "click", () => {
      this.toEnd();
      onEnd();
    });
    scope.listen($("messages-scroll"), "scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = $("messages-scroll");
      const wasAtEnd = this.#isAtEnd;
      this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
      if (this.#isAtEnd) $("to-end").hidden = true;
      if (this.#isAtEnd && !wasAtEnd) onEnd();
    });
  }

  get isAtEnd() {
    return this.#isAtEnd;
  }

  get size() {
    return this.#messages.size;
  }

  /** The highest seq, or 0 for an empty list. */
  get newest() {
    return this.#newest;
  }

  /** The newest message for which `is` returns true. */
  newestThat(is) {
    const found = [...this.#messages.values()].filter(is);
    return found.reduce((newest, one) => (newest?.seq > one.seq ? newest : one), undefined);
  }

  has(seq) {
    return this.#messages.has(seq);
  }

  toEnd() {
    $("messages-scroll").scrollTop = $("messages-scroll").scrollHeight;
    $("to-end").hidden = true;
    this.#isAtEnd = true;
  }

  /** Adds messages in any order. A reader at the end follows new ones; others get a button. */
  put(messages) {
    const known = this.#newest;
    for (const message of messages) if (!this.has(message.seq)) this.#add(message);
    if (this.#isAtEnd) this.toEnd();
    else if (known && this.#newest > known) $("to-end").hidden = false;
  }

  /** Adds earlier messages and keeps the visible ones in their place. */
  putEarlier(messages) {
    const scroll = $("messages-scroll");
    const fromEnd = scroll.scrollHeight - scroll.scrollTop;
    for (const message of messages) if (!this.has(message.seq)) this.#add(message);
    scroll.scrollTop = scroll.scrollHeight - fromEnd;
  }

  /** Drops all messages below the highest gap. Returns true if there was one. */
  dropBelowGap() {
    let lowest = this.#newest;
    while (this.has(lowest - 1)) lowest -= 1;
    return this.#dropBelow(lowest);
  }

  /** Keeps a page small that stays open for days. Returns the earliest message left, if trimmed. */
  trim() {
    const lowest = this.#newest - MOST_KEPT + 1;
    // A reader further up keeps what they read.
    return this.#isAtEnd && this.#dropBelow(lowest) ? this.#messages.get(lowest) : undefined;
  }

  /** Returns true if messages were dropped. */
  #dropBelow(lowest) {
    const below = [...this.#messages.keys()].filter((seq) => seq < lowest);
    for (const seq of below) {
      this.#messages.delete(seq);
      this.#rows.get(seq).remove();
      this.#rows.delete(seq);
    }
    return below.length > 0;
  }

  /** Shows the senders' names again, once the members are known. */
  nameSenders() {
    for (const [seq, row] of this.#rows) {
      row.querySelector(".sender").textContent = this.#nameOf(this.#messages.get(seq).senderId);
    }
  }

  #add(message) {
    const { seq, senderId, content, createdAt } = message;
    const row = cloneTemplate("message-row");
    row.dataset.seq = seq;
    row.dataset.sender = senderId;
    row.dataset.state = "sent";
    row.dataset.mine = senderId === this.#me;
    row.querySelector(".sender").textContent = this.#nameOf(senderId);
    row.querySelector(".content").textContent = content;
    row.querySelector("time").textContent = briefly(createdAt);
    this.#messages.set(seq, message);
    this.#rows.set(seq, row);
    this.#newest = Math.max(seq, this.#newest);
    // Most messages are the newest, so the search for the place starts at the end.
    const isBelow = ({ dataset }) => dataset.state !== "sent" || Number(dataset.seq) > seq;
    let above = $("messages").lastElementChild;
    while (above && isBelow(above)) above = above.previousElementSibling;
    if (above) above.after(row);
    else $("messages").prepend(row);
    for (const one of [row, row.nextElementSibling]) this.#group(one);
  }

  /** A row from the same sender as the row above does not show the name again. */
  #group(row) {
    if (!row) return;
    row.dataset.goesOn = row.previousElementSibling?.dataset.sender === row.dataset.sender;
  }

  /** Marks the user's newest message that others have read; `readers(id)` returns their ids. */
  showSeen(readers) {
    for (const old of $("messages").querySelectorAll(".seen:not([hidden])")) showText(old, null);
    const isSeen = ({ id, senderId }) => senderId === this.#me && readers(id).length > 0;
    const seen = this.newestThat(isSeen);
    if (!seen) return;
    const names = listOf(readers(seen.id).map(this.#nameOf));
    showText(this.#rows.get(seen.seq).querySelector(".seen"), `Seen by ${names}`);
    if (this.#isAtEnd) this.toEnd();
  }

  /** Shows the pending messages after all others. */
  showPending(messages) {
    for (const [message, row] of this.#pendingRows) {
      if (messages.includes(message)) continue;
      row.remove();
      this.#pendingRows.delete(message);
    }
    for (const message of messages) {
      const row = this.#pendingRows.get(message) ?? this.#addPending(message);
      row.dataset.state = message.fault ? "failed" : "pending";
      showText(row.querySelector(".fault"), message.fault);
      row.querySelector(".actions").hidden = !message.fault;
    }
    if (this.#isAtEnd) this.toEnd();
  }

  #addPending(message) {
    const row = cloneTemplate("message-row");
    row.dataset.sender = this.#me;
    row.dataset.mine = true;
    row.querySelector(".content").textContent = message.content;
    row.querySelector("time").textContent = "Sending…";
    for (const button of row.querySelectorAll("button")) {
      button.addEventListener("click", () => this.#onPending(message, button.dataset.do));
    }
    this.#pendingRows.set(message, row);
    $("messages").append(row);
    this.#group(row);
    glow(row);
    return row;
  }
}
