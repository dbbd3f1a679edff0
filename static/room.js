// A room of the server that this page is in: joined again after each reconnect. Knows who else is there, and shows it among the members.

import { $, arrange, cloneTemplate } from "./dom.js";
import { SocketError } from "./socket.js";

export class Room {
  #scope;
  #channel;
  #kind;
  #id;
  #onChange;
  #present = new Set();

  /** `kind` is "conversation" or "project"; `onChange()` when somebody has come or gone. */
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

  /** Without a line, or when it breaks meanwhile, there is nothing to do: the next line joins again. */
  async join() {
    try {
      const { members } = await this.#channel.ask(`join:${this.#kind}`, { [`${this.#kind}Id`]: this.#id });
      this.#set(members);
    } catch (error) {
      if (!(error instanceof SocketError && error.code === "offline")) throw error;
    }
  }

  leave() {
    if (this.#channel.isLive) this.#channel.send(`leave:${this.#kind}`, { [`${this.#kind}Id`]: this.#id });
  }

  /** Who is there, for a page that is not: without a line. */
  async look() {
    this.#set((await this.#scope.call("GET", `/presence?room=${this.name}`)).data.members);
  }

  /** To be laid into the `handlers` of the part that owns rooms; `current` gives the room that it is in, if any. */
  static handlers(current) {
    const change = (change) => ({ room, ...data }) => current()?.name === room && current().#change(change, data);
    return {
      "presence:join": change((present, { userIds }) => userIds.forEach((id) => present.add(id))),
      "presence:leave": change((present, { userIds }) => userIds.forEach((id) => present.delete(id))),
      "presence:state": change((present, { members }) => (present.clear(), members.forEach((id) => present.add(id)))),
    };
  }

  #change(change, data) {
    change(this.#present, data);
    this.#onChange();
  }

  #set(members) {
    this.#present = new Set(members);
    this.#onChange();
  }
}

/** Shows `members` ({userId, name}) in the list with that id: who is in the room first, the one who looks by name too. */
export function showPeople(id, members, room, me) {
  const list = $(id);
  const chips = [...members].map(({ userId, name }) => {
    const chip = list.querySelector(`[data-user-id="${userId}"]`) ?? cloneTemplate("person-chip");
    const isHere = room.has(userId);
    chip.dataset.userId = userId;
    chip.dataset.here = isHere;
    chip.querySelector(".name").textContent = userId === me ? `${name} (you)` : name;
    chip.querySelector(".for-readers").textContent = isHere ? ", here now" : ", away";
    return chip;
  });
  arrange(list, chips.toSorted((one, other) => (other.dataset.here === "true") - (one.dataset.here === "true")));
}
