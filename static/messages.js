// The list of messages of the open conversation: in the order of seq, each once, then what is still on its way.

import { $, briefly, cloneTemplate, glow, listOf, showText } from "./dom.js";

/** Within so many pixels of the end counts as being there. */
const NEAR_END = 48;
const MOST_KEPT = 500;

export class MessageList {
  #me;
  #nameOf;
  #onLetter;
  #messages = new Map();
  #rows = new Map();
  #letters = new Map();
  #newest = 0;
  #isAtEnd = true;

  /** `onLetter(letter, "retry" | "discard")`, `onEnd()` when the reader has come to the end of the list. */
  constructor(scope, { nameOf, onLetter, onEnd }) {
    this.#me = scope.user.id;
    this.#nameOf = nameOf;
    this.#onLetter = onLetter;
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

  /** The highest seq, 0 while there is none. */
  get newest() {
    return this.#newest;
  }

  /** The newest that `is` holds for. */
  newestThat(is) {
    return [...this.#messages.values()].filter(is).reduce((newest, one) => (newest && newest.seq > one.seq ? newest : one), undefined);
  }

  has(seq) {
    return this.#messages.has(seq);
  }

  toEnd() {
    $("messages-scroll").scrollTop = $("messages-scroll").scrollHeight;
    $("to-end").hidden = true;
    this.#isAtEnd = true;
  }

  /** Takes messages in any order. What is new at the end is scrolled to if the reader was there; else a button offers it. */
  put(messages) {
    const known = this.#newest;
    for (const message of messages) if (!this.has(message.seq)) this.#add(message);
    if (this.#isAtEnd) this.toEnd();
    else if (known && this.#newest > known) $("to-end").hidden = false;
  }

  /** Takes earlier messages: what the reader looks at stays in its place. */
  putEarlier(messages) {
    const fromEnd = $("messages-scroll").scrollHeight - $("messages-scroll").scrollTop;
    for (const message of messages) if (!this.has(message.seq)) this.#add(message);
    $("messages-scroll").scrollTop = $("messages-scroll").scrollHeight - fromEnd;
  }

  /** Forgets whatever lies below the highest gap; whether there was one. */
  dropBelowGap() {
    let lowest = this.#newest;
    while (this.has(lowest - 1)) lowest -= 1;
    return this.#dropBelow(lowest);
  }

  /** Keeps a page that stays open for days small; gives the earliest message that is left, if there was too much of them. */
  trim() {
    const lowest = this.#newest - MOST_KEPT + 1;
    // Whoever reads what lies above does not lose it.
    return this.#isAtEnd && this.#dropBelow(lowest) ? this.#messages.get(lowest) : undefined;
  }

  /** Whether there was something to drop. */
  #dropBelow(lowest) {
    const below = [...this.#messages.keys()].filter((seq) => seq < lowest);
    for (const seq of below) {
      this.#messages.delete(seq);
      this.#rows.get(seq).remove();
      this.#rows.delete(seq);
    }
    return below.length > 0;
  }

  /** Once the members are known, those who stand there as a number get their names. */
  nameSenders() {
    for (const [seq, row] of this.#rows) row.querySelector(".sender").textContent = this.#nameOf(this.#messages.get(seq).senderId);
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
    // Nearly always the last one: look from the end.
    let after = $("messages").lastElementChild;
    while (after && (after.dataset.state !== "sent" || Number(after.dataset.seq) > seq)) after = after.previousElementSibling;
    if (after) after.after(row);
    else $("messages").prepend(row);
    for (const one of [row, row.nextElementSibling]) this.#group(one);
  }

  /** A row that goes on where the one above left off does not name the sender again. */
  #group(row) {
    if (row) row.dataset.goesOn = row.previousElementSibling?.dataset.sender === row.dataset.sender;
  }

  /** Marks the newest message of one's own that others have seen; `readers` gives those who have seen the message with that id. */
  showSeen(readers) {
    for (const old of $("messages").querySelectorAll(".seen:not([hidden])")) showText(old, null);
    const seen = this.newestThat(({ id, senderId }) => senderId === this.#me && readers(id).length > 0);
    if (seen) showText(this.#rows.get(seen.seq).querySelector(".seen"), `Seen by ${listOf(readers(seen.id).map(this.#nameOf))}`);
    if (seen && this.#isAtEnd) this.toEnd();
  }

  /** Shows what is on its way, after all that has arrived. */
  showLetters(letters) {
    for (const [letter, row] of this.#letters) {
      if (letters.includes(letter)) continue;
      row.remove();
      this.#letters.delete(letter);
    }
    for (const letter of letters) {
      const row = this.#letters.get(letter) ?? this.#addLetter(letter);
      row.dataset.state = letter.fault ? "failed" : "pending";
      showText(row.querySelector(".fault"), letter.fault);
      row.querySelector(".actions").hidden = !letter.fault;
    }
    if (this.#isAtEnd) this.toEnd();
  }

  #addLetter(letter) {
    const row = cloneTemplate("message-row");
    row.dataset.sender = this.#me;
    row.dataset.mine = true;
    row.querySelector(".content").textContent = letter.content;
    row.querySelector("time").textContent = "Sending…";
    for (const button of row.querySelectorAll("button")) button.addEventListener("click", () => this.#onLetter(letter, button.dataset.do));
    this.#letters.set(letter, row);
    $("messages").append(row);
    this.#group(row);
    glow(row);
    return row;
  }
}
