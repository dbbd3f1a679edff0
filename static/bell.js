// The bell: how many notifications are unread, the list of them, and a toast for each new one.

import { $, briefly, cloneTemplate, showText, showCount } from "./dom.js";
import { oneAtATime } from "./scope.js";
import { clearToasts, toast } from "./toasts.js";

const PAGE_SIZE = 20;

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
    this.#count(0);
    scope.listen($("bell"), "click", () => this.#open($("notifications").hidden));
    scope.listen($("notifications-older"), "click", () => this.#attempt(() => this.#readPage(this.#older)));
    scope.listen($("read-all"), "click", () => this.#attempt(() => this.#readAll()));
    scope.listen(document, "keydown", ({ key }) => {
      if (key !== "Escape" || $("notifications").hidden) return;
      this.#open(false);
      $("bell").focus();
    });
    scope.listen(document, "pointerdown", ({ target }) => $("bell-place").contains(target) || this.#open(false));
  }

  handlers = {
    notification: (notification) => this.#put(notification, { isNews: !this.#known.has(notification.id) }),
    "notifications:unread": ({ count }) => this.#count(count),
    "notification:read": ({ ids, all }) => {
      for (const id of all ? this.#known.keys() : ids) this.#markRead(id);
    },
  };

  ready() {
    this.refresh();
  }

  refresh = oneAtATime(() =>
    this.#attempt(async () => {
      await Promise.all([this.#readPage(`/notifications?limit=${PAGE_SIZE}`, { isNewest: true }), this.#recount()]);
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
      // The newest page is the truth from its lowest id on. What lies below a gap is read again by "Show earlier".
      const lowest = next ? data.at(-1).id : 0;
      for (const id of before) if (leavesGap || (id >= lowest && !ids.has(id))) this.#drop(id);
    }
    if (!isNewest || leavesGap || !this.#wasRead) this.#older = next;
    $("notifications-older").hidden = !this.#older;
    const isNews = ({ id }) => isNewest && this.#wasRead && id > this.#highest;
    // Oldest first, so that the newest toast comes last.
    for (const notification of data.toReversed()) this.#put(notification, { isNews: isNews(notification) });
    this.#wasRead = true;
  }

  #put(notification, { isNews }) {
    const { id, type, title, message, createdAt } = notification;
    // Whatever was read stays so, even if an answer that was under way says otherwise.
    const isRead = notification.isRead || Boolean(this.#known.get(id)?.isRead);
    if (isNews && !isRead) toast(title, message);
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

  /** Newest first. */
  #addRow(id) {
    const row = cloneTemplate("notification-row");
    row.dataset.notificationId = id;
    row.querySelector(".mark-read").addEventListener("click", () => this.#attempt(() => this.#read(id)));
    row.querySelector(".delete").addEventListener("click", () => this.#attempt(() => this.#delete(id)));
    this.#rows.set(id, row);
    const below = [...$("notification-list").children].find((other) => Number(other.dataset.notificationId) < id);
    $("notification-list").insertBefore(row, below ?? null);
    return row;
  }

  #showRead(row, isRead) {
    const button = row.querySelector(".mark-read");
    // Whoever works the list by keyboard stays in the row.
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
    // Not what comes meanwhile.
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
    if (row?.contains(document.activeElement)) (next?.querySelector(".delete") ?? $("notifications-title")).focus();
    this.#drop(id);
    await this.#recount();
  }

  /** On the line each change of the count is told in its place; an answer by REST might be older than what was heard meanwhile. */
  async #recount() {
    if (!this.#channel.isLive) this.#count((await this.#scope.call("GET", "/notifications/unread-count")).data.count);
  }

  #count(count) {
    showCount($("bell-badge"), count);
    $("bell").setAttribute("aria-label", count ? `Notifications, ${count} unread` : "Notifications, none unread");
    $("read-all").disabled = count === 0;
  }

  #open(isOpen) {
    $("notifications").hidden = !isOpen;
    $("bell").ariaExpanded = String(isOpen);
    if (isOpen) {
      // The list says it all.
      clearToasts();
      this.refresh();
      $("notifications-title").focus();
    }
  }
}
