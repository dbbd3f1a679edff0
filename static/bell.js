// The bell: the number of unread notifications, their list, and a toast for each new one.

import { $, briefly, cloneTemplate, showCount, showText } from "./dom.js";
import { inCurrency } from "./money.js";
import { oneAtATime } from "./scope.js";
import { clearToasts, toast } from "./toasts.js";

const PAGE_SIZE = 20;

/**
 * The text below a toast's title, for types whose `message` says the title again. A promotion or a
 * message of an admin is shown as it is.
 */
const TOAST_TEXTS = {
  order_status: () => null,
  payment_received: ({ amount }) => `${inCurrency(amount)} was paid.`,
  low_stock: ({ stock }) => `${stock} left.`,
  back_in_stock: () => "You can order it again.",
  new_review: ({ rating }) => `${rating} of 5 stars.`,
};

function toastText({ type, title, message, data }) {
  if (Object.hasOwn(TOAST_TEXTS, type) && data) return TOAST_TEXTS[type](data);
  return message === title ? null : message;
}

export class Bell {
  #scope;
  #channel;
  #known = new Map();
  #rows = new Map();
  #older;
  #highest = 0;
  #wasRead = false;

  constructor(scope, channel) {
    this.#scope = scope;
    this.#channel = channel;
    clearToasts();
    $("notification-list").replaceChildren();
    showText($("notifications-error"), null);
    this.#open(false);
    this.#showUnread(0);
    scope.listen($("bell"), "click", () => this.#open($("notifications").hidden));
    scope.listen($("notifications-older"), "click", () =>
      this.#attempt(() => this.#readPage(this.#older)),
    );
    scope.listen($("read-all"), "click", () => this.#attempt(() => this.#readAll()));
    scope.listen(document, "keydown", ({ key }) => {
      if (key !== "Escape" || $("notifications").hidden) return;
      this.#open(false);
      $("bell").focus();
    });
    scope.listen(document, "pointerdown", ({ target }) => {
      if (!$("bell-place").contains(target)) this.#open(false);
    });
  }

  handlers = {
    notification: (notification) => {
      this.#put(notification, { isNews: !this.#known.has(notification.id) });
    },
    "notifications:unread": ({ count }) => this.#showUnread(count),
    "notification:read": ({ ids, all }) => {
      for (const id of all ? this.#known.keys() : ids) this.#markRead(id);
    },
  };

  ready() {
    this.refresh();
  }

  refresh = oneAtATime(() =>
    this.#attempt(async () => {
      const path = `/notifications?limit=${PAGE_SIZE}`;
      await Promise.all([this.#readPage(path, { isNewest: true }), this.#recount()]);
    }),
  );

  #attempt(work) {
    return this.#scope.attempt($("notifications-error"), work);
  }

  async #readPage(path, { isNewest = false } = {}) {
    const before = [...this.#known.keys()];
    const { data, next } = await this.#scope.call("GET", path);
    const ids = new Set(data.map(({ id }) => id));
    const leavesGap = next && !before.some((id) => ids.has(id));
    if (isNewest) {
      // The newest page is complete from its lowest id on, so other known ids were deleted.
      // Everything below a gap is read again by "Show earlier".
      const lowest = next ? data.at(-1).id : 0;
      const isGone = (id) => leavesGap || (id >= lowest && !ids.has(id));
      for (const id of before.filter(isGone)) this.#drop(id);
    }
    if (!isNewest || leavesGap || !this.#wasRead) this.#older = next;
    $("notifications-older").hidden = !this.#older;
    const isNews = ({ id }) => isNewest && this.#wasRead && id > this.#highest;
    // Oldest first, so that the newest toast comes last.
    for (const notification of data.toReversed()) {
      this.#put(notification, { isNews: isNews(notification) });
    }
    this.#wasRead = true;
  }

  #put(notification, { isNews }) {
    const { id, type, title, message, createdAt } = notification;
    // Once read stays read, even if an answer from before says otherwise.
    const isRead = notification.isRead || Boolean(this.#known.get(id)?.isRead);
    if (isNews && !isRead) toast(title, toastText(notification));
    this.#highest = Math.max(this.#highest, id);
    this.#known.set(id, { ...notification, isRead });
    const row = this.#rows.get(id) ?? this.#addRow(id);
    row.dataset.type = type;
    row.querySelector("b").textContent = title;
    row.querySelector(".text").textContent = message;
    row.querySelector("time").textContent = briefly(createdAt);
    row.querySelector(".mark-read").setAttribute("aria-label", `Mark read: ${title}`);
    row.querySelector(".delete").setAttribute("aria-label", `Delete: ${title}`);
    this.#showRead(row, isRead);
  }

  /** Inserts a row, newest first. */
  #addRow(id) {
    const row = cloneTemplate("notification-row");
    row.dataset.notificationId = id;
    const onClick = (button, work) =>
      row.querySelector(button).addEventListener("click", () => this.#attempt(work));
    onClick(".mark-read", () => this.#read(id));
    onClick(".delete", () => this.#delete(id));
    this.#rows.set(id, row);
    const rows = [...$("notification-list").children];
    const below = rows.find((other) => Number(other.dataset.notificationId) < id);
    $("notification-list").insertBefore(row, below ?? null);
    return row;
  }

  #showRead(row, isRead) {
    const button = row.querySelector(".mark-read");
    // The keyboard's focus stays in the row when its button disappears.
    if (isRead && document.activeElement === button) row.querySelector(".delete").focus();
    button.hidden = isRead;
    row.dataset.read = isRead;
    row.querySelector(".unread-mark").textContent = isRead ? "" : "Unread";
  }

  #markRead(id) {
    const notification = this.#known.get(id);
    if (!notification || notification.isRead) return;
    this.#known.set(id, { ...notification, isRead: true });
    this.#showRead(this.#rows.get(id), true);
  }

  #drop(id) {
    this.#known.delete(id);
    this.#rows.get(id)?.remove();
    this.#rows.delete(id);
  }

  async #read(id) {
    await this.#scope.call("PATCH", `/notifications/${id}/read`);
    this.#markRead(id);
    await this.#recount();
  }

  async #readAll() {
    // Notifications that arrive during the call stay unread.
    const before = [...this.#known.keys()];
    await this.#scope.call("PATCH", "/notifications/mark-all-read");
    for (const id of before) this.#markRead(id);
    await this.#recount();
    $("notifications-title").focus();
  }

  async #delete(id) {
    await this.#scope.call("DELETE", `/notifications/${id}`);
    const row = this.#rows.get(id);
    const next = row?.nextElementSibling ?? row?.previousElementSibling;
    if (row?.contains(document.activeElement)) {
      (next?.querySelector(".delete") ?? $("notifications-title")).focus();
    }
    this.#drop(id);
    await this.#recount();
  }

  /** Reads the count by REST while offline. A live socket gets each change in order instead. */
  async #recount() {
    if (this.#channel.isLive) return;
    const { data } = await this.#scope.call("GET", "/notifications/unread-count");
    this.#showUnread(data.count);
  }

  #showUnread(count) {
    showCount($("bell-badge"), count);
    const label = count ? `Notifications, ${count} unread` : "Notifications, none unread";
    $("bell").setAttribute("aria-label", label);
    $("read-all").disabled = count === 0;
  }

  #open(isOpen) {
    $("notifications").hidden = !isOpen;
    $("bell").ariaExpanded = String(isOpen);
    if (!isOpen) return;
    // The list has everything that the toasts say.
    clearToasts();
    this.refresh();
    $("notifications-title").focus();
  }
}
