// The open conversation: its members and who is here, its messages, what is read of it and by whom.

import { $, announce, showText } from "./dom.js";
import { MessageList } from "./messages.js";
import { Room, showPeople } from "./room.js";
import { oneAtATime } from "./scope.js";
import { Typing } from "./typing.js";

const PAGE_SIZE = 40;

export class Thread {
  #scope;
  #channel;
  #queue;
  #onRead;
  #isWatched;
  #members = new Map();
  #marks = new Map();
  #markedUpTo = 0;
  #list;
  #typing;
  /** Where the messages before the earliest shown are; undefined before anything was read, null when there are none. */
  #earlier;

  /** `isWatched()`: the user can see it now. `onRead(unreadCount)` after it was marked read. */
  constructor(scope, channel, queue, conversation, { isWatched, onRead }) {
    this.#scope = scope.branch();
    this.#channel = channel;
    this.#queue = queue;
    this.#isWatched = isWatched;
    this.#onRead = onRead;
    this.id = conversation.id;
    this.room = new Room(this.#scope, channel, "conversation", this.id, () => this.#showPeople());
    const nameOf = (userId) => this.#nameOf(userId);
    this.#list = new MessageList(this.#scope, { nameOf, onLetter: (letter, what) => queue[what](letter), onEnd: () => this.markRead() });
    this.#typing = new Typing(this.#scope, { nameOf, tell: (isTyping) => this.#tellTyping(isTyping) });
    this.#showTitle(conversation);
    this.#showPeople();
    this.#showEarlier();
    showText($("thread-error"), null);
    this.showLetters();
    this.#scope.listen($("earlier"), "click", () => this.#attempt(() => this.#readEarlier()));
  }

  /** In the room first: what is written while the messages are read is heard. */
  async ready() {
    await this.#attempt(() => this.room.join());
    if (!this.#scope.isOver) await this.refresh();
  }

  refresh = oneAtATime(() =>
    this.#attempt(() => Promise.all([this.#readDetails(), this.#readNewest(), this.#channel.isPolling && !this.#channel.isLive && this.room.look()])),
  );

  #attempt(work) {
    return this.#scope.attempt($("thread-error"), work);
  }

  async #readDetails() {
    const { data } = await this.#scope.call("GET", `/conversations/${this.id}`);
    this.#members = new Map(data.members.map((member) => [member.userId, member]));
    this.#showTitle(data);
    this.#showPeople();
    this.#list.nameSenders();
    this.#list.showSeen((id) => this.#readersOf(id));
  }

  async #readNewest() {
    const { data, next } = await this.#scope.call("GET", `${this.#path}?limit=${PAGE_SIZE}`);
    this.#put(data);
    // More was missed than one page holds: "Show earlier" leads there.
    if (this.#list.dropBelowGap() || this.#earlier === undefined) this.#earlier = next ?? null;
    this.#showEarlier();
  }

  get #path() {
    return `/conversations/${this.id}/messages`;
  }

  async #readEarlier() {
    const { data, next } = await this.#scope.call("GET", this.#earlier);
    this.#list.putEarlier(data);
    this.#earlier = next ?? null;
    this.#showEarlier();
    announce(`${data.length} earlier messages`);
  }

  #showEarlier() {
    // The button goes, and the focus with it, unless the list takes it.
    if (!this.#earlier && document.activeElement === $("earlier")) $("messages-scroll").focus();
    $("earlier").hidden = !this.#earlier;
  }

  /** Takes a message from a frame or an answer. */
  take(message) {
    const isNew = !this.#list.has(message.seq);
    const isNext = this.#list.size === 0 || this.#list.has(message.seq - 1);
    this.#put([message]);
    if (!isNew) return;
    if (message.senderId !== this.#scope.user.id) {
      this.#typing.hear(message.senderId, false);
      if (this.#isWatched()) announce(`${this.#nameOf(message.senderId)}: ${message.content}`);
    }
    if (!isNext && this.#earlier !== undefined) this.refresh();
  }

  #put(messages) {
    for (const { clientId, senderId } of messages) if (senderId === this.#scope.user.id) this.#queue.arrived(clientId);
    this.#list.put(messages);
    const earliest = this.#list.trim();
    if (earliest) {
      this.#earlier = `${this.#path}?limit=${PAGE_SIZE}&before=${earliest.id}`;
      this.#showEarlier();
    }
    this.#list.showSeen((id) => this.#readersOf(id));
    this.markRead();
  }

  hearTyping({ userId, isTyping }) {
    if (userId !== this.#scope.user.id) this.#typing.hear(userId, isTyping);
  }

  hearRead({ userId, messageId }) {
    this.#marks.set(userId, Math.max(messageId, this.#marks.get(userId) ?? 0));
    this.#list.showSeen((id) => this.#readersOf(id));
  }

  #readersOf(messageId) {
    const me = this.#scope.user.id;
    return [...this.#marks].filter(([userId, mark]) => userId !== me && mark >= messageId).map(([userId]) => userId);
  }

  #newestOfOthers() {
    const me = this.#scope.user.id;
    return this.#list.newestThat(({ senderId }) => senderId !== me);
  }

  /** What the user sees is read: the newest message of another, when the end of the list is in sight. */
  async markRead() {
    const seen = this.#newestOfOthers();
    if (!seen || seen.id <= this.#markedUpTo || !this.#list.isAtEnd || !this.#isWatched()) return;
    const before = this.#markedUpTo;
    this.#markedUpTo = seen.id;
    try {
      const { unreadCount } = this.#channel.isLive
        ? await this.#channel.ask("conversation:read", { conversationId: this.id, messageId: seen.id })
        : (await this.#scope.call("POST", `/conversations/${this.id}/read`, { body: { messageId: seen.id } })).data;
      this.#onRead(unreadCount);
    } catch {
      // It counts as unread still, and is marked when the page is ready again.
      if (this.#markedUpTo === seen.id) this.#markedUpTo = before;
    }
  }

  /** Whether nothing up to the message with that seq is left to be marked. */
  hasMarkedAllTo(seq) {
    const seen = this.#newestOfOthers();
    return this.#list.newest >= seq && (!seen || seen.id <= this.#markedUpTo);
  }

  /** Whether this message needs no badge: it is one's own, or marked. */
  isMarked({ id, senderId }) {
    return senderId === this.#scope.user.id || id <= this.#markedUpTo;
  }

  write(content) {
    this.#typing.stop();
    this.#list.toEnd();
    this.#queue.add(this.id, content);
  }

  showLetters() {
    this.#list.showLetters(this.#queue.of(this.id));
  }

  /** It can be seen again. */
  shown() {
    if (this.#list.isAtEnd) this.#list.toEnd();
    this.markRead();
  }

  #tellTyping(isTyping) {
    if (this.#channel.isLive) this.#channel.send("typing", { conversationId: this.id, isTyping });
  }

  #nameOf(userId) {
    return this.#members.get(userId)?.name ?? `User ${userId}`;
  }

  #showTitle({ id, title }) {
    const others = [...this.#members.values()].filter(({ userId }) => userId !== this.#scope.user.id);
    $("thread-title").textContent = title || others.map(({ name }) => name).join(", ") || `Conversation ${id}`;
  }

  #showPeople() {
    showPeople("thread-people", this.#members.values(), this.room, this.#scope.user.id);
  }

  close() {
    this.#typing.stop();
    this.room.leave();
    this.#scope.end();
  }
}
