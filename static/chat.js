// The chat view: the list of conversations with their unread counts, and the open conversation.

import { $, announce, arrange, briefly, cloneTemplate, showCount, showText } from "./dom.js";
import { Room } from "./room.js";
import { oneAtATime } from "./scope.js";
import { SendQueue } from "./send-queue.js";
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
  /** Messages that arrive while the list is read, which may miss them; null at other times. */
  #meanwhile = null;

  constructor(scope, channel) {
    this.#scope = scope;
    this.#channel = channel;
    this.#queue = new SendQueue(scope, channel, {
      onChange: (conversationId) => {
        if (this.#thread?.id === conversationId) this.#thread.showPending();
      },
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
      // Another page of the same user may have read messages meanwhile.
      this.#read();
    });
  }

  handlers = {
    "message:new": (message) => this.#take(message),
    messageReceived: (message) => this.#take(message),
    typing: (data) => this.#ifOpen(data, (thread) => thread.showTyping(data)),
    "conversation:read": (data) => this.#ifOpen(data, (thread) => thread.showReadMark(data)),
    // The user read it, here or on another page.
    "conversations:unread": ({ conversationId, unreadCount }) => {
      this.#setUnread(conversationId, unreadCount);
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
      // Conversations below the page's lowest id may still exist, so only those above are dropped.
      const lowest = next ? data.at(-1).id : 0;
      const isGone = (id) => id >= lowest && !data.some((one) => one.id === id);
      for (const id of [...this.#conversations.keys()].filter(isGone)) this.#drop(id);
      for (const conversation of data) {
        const { id, lastMessage } = conversation;
        const isOpen = lastMessage && this.#thread?.id === id;
        const isRead = isOpen && this.#thread.hasMarkedAllTo(lastMessage.seq);
        this.#conversations.set(id, isRead ? { ...conversation, unreadCount: 0 } : conversation);
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
    if (!this.#conversations.has(message.conversationId)) {
      return this.#readOne(message.conversationId);
    }
    this.#count(message);
    this.#showAll();
  }

  /** Reads a conversation that is new, or too old for the list's first page. */
  #readOne(id) {
    return this.#scope.attempt($("chat-error"), async () => {
      const { data } = await this.#scope.call("GET", `/conversations/${id}`);
      // A message that arrived during the call is newer than the answer.
      const known = this.#conversations.get(id);
      const isNewer = (known?.lastMessage?.seq ?? 0) > (data.lastMessage?.seq ?? 0);
      if (!isNewer) this.#conversations.set(id, data);
      this.#showAll();
    });
  }

  /** Adds a message to its conversation's count, unless it was counted already. */
  #count(message) {
    const conversation = this.#conversations.get(message.conversationId);
    if (!conversation || message.seq <= (conversation.lastMessage?.seq ?? 0)) return;
    const unreadCount = this.#unreadAfter(message, conversation);
    const { id } = conversation;
    this.#conversations.set(id, { ...conversation, unreadCount, lastMessage: message });
  }

  #unreadAfter(message, { id, unreadCount }) {
    // Writing in a conversation reads it: the server moves the sender's read mark too.
    if (message.senderId === this.#scope.user.id) return 0;
    const isMarked = this.#thread?.id === id && this.#thread.isMarked(message);
    return isMarked ? unreadCount : unreadCount + 1;
  }

  #setUnread(id, unreadCount) {
    const conversation = this.#conversations.get(id);
    if (!conversation) return;
    this.#conversations.set(id, { ...conversation, unreadCount });
    this.#showAll();
  }

  /** Shows all conversations, the one with the newest message first. */
  #showAll() {
    const latest = ({ lastMessage, createdAt }) => lastMessage?.createdAt ?? createdAt;
    const sorted = [...this.#conversations.values()].sort((one, other) =>
      latest(one) < latest(other) ? 1 : -1,
    );
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
    const sender = lastMessage?.senderId === this.#scope.user.id ? "You: " : "";
    const last = lastMessage ? sender + lastMessage.content.slice(0, 200) : "No messages yet";
    row.querySelector(".last").textContent = last;
    row.querySelector("time").textContent = briefly(lastMessage?.createdAt);
    showCount(row.querySelector(".badge"), unreadCount);
    row.querySelector(".for-readers").textContent = unreadCount ? " unread" : "";
    return row;
  }

  #showUnread() {
    const all = [...this.#conversations.values()];
    const sum = all.reduce((sum, { unreadCount }) => sum + unreadCount, 0);
    showCount($("chat-badge"), sum);
    $("chat-unread").textContent = sum ? " unread" : "";
  }

  /** Shows the view with conversation `id` open, or with none. */
  show(id) {
    // No event says that one was added to a conversation, so the list is read again.
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
    const isOffline = !this.#channel.isLive && !this.#channel.isPolling;
    if (isOffline) announce("Not connected. The message is sent later.");
    $("message-input").focus();
  }
}
