// The invitations at the bell: to conversations and projects, each with a yes, a no and a block.

import { $, arrange, briefly, cloneTemplate } from "./dom.js";
import { oneAtATime } from "./scope.js";
import { toast } from "./toasts.js";

const PAGE_SIZE = 50;

const words = ({ kind, title, invitedBy }) => {
  const what = title ? `“${title}”` : "a conversation";
  return `${invitedBy.name} invites you to ${kind === "project" ? `the project ${what}` : what}`;
};

export class Invitations {
  #scope;
  #lists;
  #known = new Map();
  #rows = new Map();

  /** `lists` are the parts that show what was accepted: `{conversation, project}`. */
  constructor(scope, lists) {
    this.#scope = scope;
    this.#lists = lists;
    $("invitation-list").replaceChildren();
  }

  handlers = {
    invitation: (invitation) => {
      if (!this.#known.has(invitation.id)) toast(words(invitation), "Answer at the bell.");
      this.#known.set(invitation.id, invitation);
      this.#show();
    },
    "invitation:closed": ({ id }) => this.#drop(id),
  };

  ready() {
    this.refresh();
  }

  refresh = oneAtATime(() =>
    this.#attempt(async () => {
      const { data } = await this.#scope.call("GET", `/invitations?limit=${PAGE_SIZE}`);
      this.#known = new Map(data.map((invitation) => [invitation.id, invitation]));
      this.#show();
    }),
  );

  #attempt(work) {
    return this.#scope.attempt($("notifications-error"), work);
  }

  #show() {
    const newestFirst = [...this.#known.values()].sort((one, other) => other.id - one.id);
    arrange($("invitation-list"), newestFirst.map((invitation) => this.#row(invitation)));
    for (const id of this.#rows.keys()) if (!this.#known.has(id)) this.#rows.delete(id);
  }

  #row(invitation) {
    const { id, kind, createdAt } = invitation;
    const known = this.#rows.get(id);
    if (known) return known;
    const row = cloneTemplate("invitation-row");
    row.dataset.invitationId = id;
    row.querySelector("b").textContent = words(invitation);
    row.querySelector("time").textContent = briefly(createdAt);
    const answers = { accept: () => this.#accept(id, kind), refuse: {}, block: { block: true } };
    for (const [name, answer] of Object.entries(answers)) {
      const work = typeof answer === "function" ? answer : () => this.#refuse(id, answer);
      const button = row.querySelector(`.${name}`);
      button.setAttribute("aria-label", `${button.textContent}: ${words(invitation)}`);
      button.addEventListener("click", () => this.#attempt(work));
    }
    this.#rows.set(id, row);
    return row;
  }

  async #accept(id, kind) {
    await this.#scope.call("POST", `/invitations/${id}/accept`, { body: {} });
    this.#drop(id);
    await this.#lists[kind].refresh();
  }

  async #refuse(id, body) {
    await this.#scope.call("POST", `/invitations/${id}/refuse`, { body });
    this.#drop(id);
  }

  #drop(id) {
    const hadFocus = this.#rows.get(id)?.contains(document.activeElement);
    this.#known.delete(id);
    this.#show();
    if (hadFocus) $("notifications-title").focus();
  }
}
