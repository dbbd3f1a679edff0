// The view of chat: the list of conversations with what is unread in each, and the open one beside it.

import { $, announce, arrange, briefly, cloneTemplate, showText, showCount } from "./dom.js";
import { SendQueue } from "./send-queue.js";
import { Room } from "./room.js";
import { oneAtATime } from "./scope.js";
import { Thread } from "./thread.js";

const PAGE_SIZE = 100;

export class Chat {
  #scope;
  #channel;
  #queue;
  #conversations = new Map();
  #rows = new Map();
  #drafts = new Map();
  #thread = null;
  #isShown = false;
  /** Messages that came while the list is read, of which the answer may not know; null at other times. */
  #meanwhile = null;

  constructor(scope, channel) {
    this.#scope = scope;
    this.#channel = channel;
    this.#queue = new SendQueue(scope, channel, {
      onChange: (conversationId) => this.#thread?.id === conversationId && this.#thread.showLetters(),
      onDelivered: (message) => this.#take(message),
    });
    $("conversations").replaceChildren();
    $("message-form").reset();
    showText($("chat-error"), null);
    this.#showOpen();
    this.#showUnread();
    scope.listen($("message-form"), "submit", (event) => {
      event.preventDefault();
      this.#write();
    });
    scope.listen($("message-input"), "keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#write();
    });
    scope.listen(document, "visibilitychange", () => {
      if (document.hidden) return;
      this.#thread?.shown();
      // What another page of the same user has read meanwhile.
      this.#read();
    });
  }

  handlers = {
    "message:new": (message) => this.#take(message),
    messageReceived: (message) => this.#take(message),
    typing: (data) => this.#ifOpen(data, (thread) => thread.hearTyping(data)),
    "conversation:read": (data) => {
      this.#ifOpen(data, (thread) => thread.hearRead(data));
      // Read by the same user on another page.
      const conversation = this.#conversations.get(data.conversationId);
      if (data.userId === this.#scope.user.id && conversation?.lastMessage?.id <= data.messageId) this.#setUnread(data.conversationId, 0);
    },
    ...Room.handlers(() => this.#thread?.room),
  };

  #ifOpen({ conversationId }, work) {
    if (this.#thread?.id === conversationId) work(this.#thread);
  }

  ready() {
    this.#queue.flush();
    this.#thread?.ready();
    this.#read();
  }

  async refresh() {
    this.#queue.flush();
    const answers = await Promise.all([this.#read(), this.#thread?.refresh() ?? true]);
    return answers.every(Boolean);
  }

  #read = oneAtATime(() =>
    this.#scope.attempt($("chat-error"), async () => {
      this.#meanwhile = [];
      const { data, next } = await this.#scope.call("GET", `/conversations?limit=${PAGE_SIZE}`);
      // What is older than the page may be there all the same.
      const oldest = next ? data.at(-1).id : 0;
      for (const id of this.#conversations.keys()) if (id >= oldest && !data.some((one) => one.id === id)) this.#drop(id);
      for (const conversation of data) {
        const { lastMessage } = conversation;
        const isRead = lastMessage && this.#thread?.id === conversation.id && this.#thread.hasMarkedAllTo(lastMessage.seq);
        this.#conversations.set(conversation.id, isRead ? { ...conversation, unreadCount: 0 } : conversation);
      }
      for (const message of this.#meanwhile) this.#count(message);
      this.#meanwhile = null;
      this.#showAll();
    }),
  );

  #drop(id) {
    this.#conversations.delete(id);
    this.#rows.get(id)?.remove();
    this.#rows.delete(id);
  }

  #take(message) {
    this.#meanwhile?.push(message);
    this.#ifOpen(message, (thread) => thread.take(message));
    if (!this.#conversations.has(message.conversationId)) return this.#readOne(message.conversationId);
    this.#count(message);
    this.#showAll();
  }

  /** One that is new, or too old for the list's first page. */
  #readOne(id) {
    return this.#scope.attempt($("chat-error"), async () => {
      const { data } = await this.#scope.call("GET", `/conversations/${id}`);
      // Unless a message has come that the answer does not know of yet.
      const known = this.#conversations.get(id);
      if (!known || (known.lastMessage?.seq ?? 0) <= (data.lastMessage?.seq ?? 0)) this.#conversations.set(id, data);
      this.#showAll();
    });
  }

  /** Lays a message over what is known of its conversation; one that was counted already changes nothing. */
  #count(message) {
    const conversation = this.#conversations.get(message.conversationId);
    if (!conversation || message.seq <= (conversation.lastMessage?.seq ?? 0)) return;
    const isRead = message.senderId === this.#scope.user.id || (this.#thread?.id === conversation.id && this.#thread.isMarked(message));
    const unreadCount = conversation.unreadCount + (isRead ? 0 : 1);
    this.#conversations.set(conversation.id, { ...conversation, unreadCount, lastMessage: message });
  }

  #setUnread(id, unreadCount) {
    const conversation = this.#conversations.get(id);
    if (!conversation) return;
    this.#conversations.set(id, { ...conversation, unreadCount });
    this.#showAll();
  }

  /** The one that was written in last comes first. */
  #showAll() {
    const latest = ({ lastMessage, createdAt }) => lastMessage?.createdAt ?? createdAt;
    const sorted = [...this.#conversations.values()].sort((one, other) => (latest(one) < latest(other) ? 1 : -1));
    arrange($("conversations"), sorted.map((conversation) => this.#row(conversation)));
    this.#showUnread();
  }

  #row({ id, title, lastMessage, unreadCount }) {
    const row = this.#rows.get(id) ?? cloneTemplate("conversation-row");
    this.#rows.set(id, row);
    row.dataset.conversationId = id;
    row.dataset.unread = unreadCount > 0;
    const link = row.querySelector("a");
    link.href = `#chat/${id}`;
    link.ariaCurrent = this.#thread?.id === id ? "true" : null;
    row.querySelector(".title").textContent = title || `Conversation ${id}`;
    const who = lastMessage?.senderId === this.#scope.user.id ? "You: " : "";
    row.querySelector(".last").textContent = lastMessage ? who + lastMessage.content.slice(0, 200) : "No messages yet";
    row.querySelector("time").textContent = briefly(lastMessage?.createdAt);
    showCount(row.querySelector(".badge"), unreadCount);
    row.querySelector(".for-readers").textContent = unreadCount ? " unread" : "";
    return row;
  }

  #showUnread() {
    const count = [...this.#conversations.values()].reduce((sum, { unreadCount }) => sum + unreadCount, 0);
    showCount($("chat-badge"), count);
    $("chat-unread").textContent = count ? " unread" : "";
  }

  /** The view is on the screen, with that conversation open, or none. */
  show(id) {
    // Nobody tells that one was added to a conversation.
    if (!this.#isShown) this.#read();
    this.#isShown = true;
    if (id !== (this.#thread?.id ?? null)) this.#open(id);
    this.#thread?.shown();
  }

  hide() {
    this.#isShown = false;
  }

  #open(id) {
    this.#shut();
    if (id !== null) {
      const known = this.#conversations.get(id) ?? { id };
      this.#thread = new Thread(this.#scope, this.#channel, this.#queue, known, {
        isWatched: () => this.#isShown && !document.hidden,
        onRead: (unreadCount) => this.#setUnread(id, unreadCount),
      });
      $("message-input").value = this.#drafts.get(id) ?? "";
      if (this.#channel.isLive) this.#thread.ready();
      else this.#thread.refresh();
    }
    this.#showOpen();
    this.#showAll();
  }

  #shut() {
    if (!this.#thread) return;
    this.#drafts.set(this.#thread.id, $("message-input").value);
    this.#thread.close();
    this.#thread = null;
  }

  #showOpen() {
    $("chat-card").dataset.open = this.#thread !== null;
    $("thread").hidden = !this.#thread;
  }

  #write() {
    const content = $("message-input").value.trim();
    if (!content || !this.#thread) return;
    $("message-input").value = "";
    this.#thread.write(content);
    if (!this.#channel.isLive && !this.#channel.isPolling) announce("Not connected. The message goes out later.");
    $("message-input").focus();
  }
}
