// A room that this page is in: joined again after each reconnect. Knows which members are present.

import { $, arrange, cloneTemplate } from "./dom.js";
import { SocketError } from "./socket.js";

export class Room {
  #scope;
  #channel;
  #kind;
  #id;
  #onChange;
  #present = new Set();

  /** `kind` is "conversation" or "project"; `onChange()` runs when somebody comes or leaves. */
  constructor(scope, channel, kind, id, onChange) {
    this.#scope = scope;
    this.#channel = channel;
    this.#kind = kind;
    this.#id = id;
    this.#onChange = onChange;
    this.name = `${kind}:${id}`;
  }

  has(userId) {
    return this.#present.has(userId);
  }

  get #target() {
    return { [`${this.#kind}Id`]: this.#id };
  }

  /** Joins the room. Does nothing while offline, because the next sign-in joins again. */
  async join() {
    try {
      const { members } = await this.#channel.request(`join:${this.#kind}`, this.#target);
      this.#set(members);
    } catch (error) {
      if (!(error instanceof SocketError && error.code === "offline")) throw error;
    }
  }

  leave() {
    if (this.#channel.isLive) this.#channel.send(`leave:${this.#kind}`, this.#target);
  }

  /** Reads by REST who is present, while this page has no socket to join with. */
  async look() {
    const { data } = await this.#scope.call("GET", `/presence?room=${this.name}`);
    this.#set(data.members);
  }

  /** Handlers of presence for a part that has rooms; `current()` gives its open room, if any. */
  static handlers(current) {
    const change = (apply) => ({ room, ...data }) => {
      if (current()?.name !== room) return;
      apply(current().#present, data);
      current().#onChange();
    };
    return {
      "presence:join": change((present, { userIds }) => userIds.forEach((id) => present.add(id))),
      "presence:leave": change((present, { userIds }) => {
        userIds.forEach((id) => present.delete(id));
      }),
      "presence:state": change((present, { members }) => {
        present.clear();
        members.forEach((id) => present.add(id));
      }),
    };
  }

  #set(members) {
    this.#present = new Set(members);
    this.#onChange();
  }
}

/** Shows `members` ({userId, name}) in the list with that id, present ones first. */
export function showPeople(id, members, room, me) {
  const list = $(id);
  const chips = [...members].map(({ userId, name }) => {
    const known = list.querySelector(`[data-user-id="${userId}"]`);
    const chip = known ?? cloneTemplate("person-chip");
    const isHere = room.has(userId);
    chip.dataset.userId = userId;
    chip.dataset.here = isHere;
    chip.querySelector(".name").textContent = userId === me ? `${name} (you)` : name;
    chip.querySelector(".for-readers").textContent = isHere ? ", here now" : ", away";
    return chip;
  });
  const isHere = (chip) => Number(chip.dataset.here === "true");
  arrange(list, chips.toSorted((one, other) => isHere(other) - isHere(one)));
}
