// The open conversation: its members and their presence, its messages, and who has read them.

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
  /** The id of the last message that each member has read, as far as this page knows. */
  #readMarks = new Map();
  #markedUpTo = 0;
  #list;
  #typing;
  /** The address of earlier messages; undefined before the first read, null when there are none. */
  #earlier;

  /** `isWatched()`: the user sees it now. `onRead(unreadCount)` runs after it was marked read. */
  constructor(scope, channel, queue, conversation, { isWatched, onRead }) {
    this.#scope = scope.branch();
    this.#channel = channel;
    this.#queue = queue;
    this.#isWatched = isWatched;
    this.#onRead = onRead;
    this.id = conversation.id;
    const onChange = () => this.#showPeople();
    this.room = new Room(this.#scope, channel, "conversation", this.id, onChange);
    const nameOf = (userId) => this.#nameOf(userId);
    this.#list = new MessageList(this.#scope, {
      nameOf,
      onPending: (message, action) => queue[action](message),
      onEnd: () => this.markRead(),
    });
    const send = (isTyping) => this.#sendTyping(isTyping);
    this.#typing = new Typing(this.#scope, { nameOf, send });
    this.#showTitle(conversation);
    this.#showPeople();
    this.#showEarlier();
    showText($("thread-error"), null);
    this.showPending();
    this.#scope.listen($("earlier"), "click", () => this.#attempt(() => this.#readEarlier()));
  }

  /** Joins the room before reading, so that no message falls between the two. */
  async ready() {
    await this.#attempt(() => this.room.join());
    if (!this.#scope.isOver) await this.refresh();
  }

  refresh = oneAtATime(() =>
    this.#attempt(() => {
      const isPolling = this.#channel.isPolling && !this.#channel.isLive;
      return Promise.all([
        this.#readDetails(),
        this.#readNewest(),
        isPolling && this.room.look(),
      ]);
    }),
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
    this.#showSeen();
  }

  async #readNewest() {
    const { data, next } = await this.#scope.call("GET", `${this.#path}?limit=${PAGE_SIZE}`);
    this.#put(data);
    // If more was missed than one page holds, "Show earlier" leads to the rest.
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
    // The button disappears, so the list takes its focus.
    if (!this.#earlier && document.activeElement === $("earlier")) $("messages-scroll").focus();
    $("earlier").hidden = !this.#earlier;
  }

  /** Takes a message from an event or an answer. */
  take(message) {
    const isNew = !this.#list.has(message.seq);
    const isNext = this.#list.size === 0 || this.#list.has(message.seq - 1);
    this.#put([message]);
    if (!isNew) return;
    if (message.senderId !== this.#me) {
      this.#typing.set(message.senderId, false);
      if (this.#isWatched()) announce(`${this.#nameOf(message.senderId)}: ${message.content}`);
    }
    if (!isNext && this.#earlier !== undefined) this.refresh();
  }

  get #me() {
    return this.#scope.user.id;
  }

  #put(messages) {
    for (const { clientId, senderId } of messages) {
      if (senderId === this.#me) this.#queue.arrived(clientId);
    }
    this.#list.put(messages);
    const earliest = this.#list.trim();
    if (earliest) {
      this.#earlier = `${this.#path}?limit=${PAGE_SIZE}&before=${earliest.id}`;
      this.#showEarlier();
    }
    this.#showSeen();
    this.markRead();
  }

  showTyping({ userId, isTyping }) {
    if (userId !== this.#me) this.#typing.set(userId, isTyping);
  }

  showReadMark({ userId, messageId }) {
    this.#readMarks.set(userId, Math.max(messageId, this.#readMarks.get(userId) ?? 0));
    this.#showSeen();
  }

  #showSeen() {
    this.#list.showSeen((messageId) =>
      [...this.#readMarks]
        .filter(([userId, mark]) => userId !== this.#me && mark >= messageId)
        .map(([userId]) => userId),
    );
  }

  #newestOfOthers() {
    return this.#list.newestThat(({ senderId }) => senderId !== this.#me);
  }

  /**
   * Marks everything as read if the user sees the end of the list and a message of others is
   * unmarked. The server moves the mark silently up to an own message, so the own message is marked
   * too: only then the others receive `conversation:read`.
   */
  async markRead() {
    const seen = this.#newestOfOthers();
    if (!seen || seen.id <= this.#markedUpTo) return;
    if (!this.#list.isAtEnd || !this.#isWatched()) return;
    const before = this.#markedUpTo;
    const newest = this.#list.newestThat(() => true);
    this.#markedUpTo = newest.id;
    try {
      this.#onRead(await this.#sendReadMark(newest.id));
    } catch {
      // It stays unread, and is marked when the page is ready again.
      if (this.#markedUpTo === newest.id) this.#markedUpTo = before;
    }
  }

  /** Resolves to the number of messages that are still unread. */
  async #sendReadMark(messageId) {
    if (this.#channel.isLive) {
      const data = { conversationId: this.id, messageId };
      return (await this.#channel.request("conversation:read", data)).unreadCount;
    }
    const path = `/conversations/${this.id}/read`;
    return (await this.#scope.call("POST", path, { body: { messageId } })).data.unreadCount;
  }

  /** Returns true if all messages up to `seq` are here and marked. */
  hasMarkedAllTo(seq) {
    const seen = this.#newestOfOthers();
    return this.#list.newest >= seq && (!seen || seen.id <= this.#markedUpTo);
  }

  /** Returns true if the message is marked as read. */
  isMarked({ id }) {
    return id <= this.#markedUpTo;
  }

  write(content) {
    this.#typing.stop();
    this.#list.toEnd();
    this.#queue.add(this.id, content);
  }

  showPending() {
    this.#list.showPending(this.#queue.of(this.id));
  }

  /** Called when the user sees the conversation again. */
  shown() {
    if (this.#list.isAtEnd) this.#list.toEnd();
    this.markRead();
  }

  #sendTyping(isTyping) {
    if (!this.#channel.isLive) return;
    this.#channel.send("typing", { conversationId: this.id, isTyping });
  }

  #nameOf(userId) {
    return this.#members.get(userId)?.name ?? `User ${userId}`;
  }

  #showTitle({ id, title }) {
    const others = [...this.#members.values()].filter(({ userId }) => userId !== this.#me);
    const names = others.map(({ name }) => name).join(", ");
    $("thread-title").textContent = title || names || `Conversation ${id}`;
  }

  #showPeople() {
    showPeople("thread-people", this.#members.values(), this.room, this.#me);
  }

  close() {
    this.#typing.stop();
    this.room.leave();
    this.#scope.end();
  }
}
