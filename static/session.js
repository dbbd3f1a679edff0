// The sign-in that runs out: says so a minute ahead, and goes on with a new token when the password is given again.

import { api, saveToken } from "./api.js";
import { $, say } from "./dom.js";
import { toast } from "./toasts.js";

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export class Session {
  #stay;
  #links;

  constructor(stay, links) {
    this.#stay = stay;
    this.#links = links;
    this.#show(null);
    stay.listen($("expiring"), "submit", (event) => {
      event.preventDefault();
      stay.submit($("expiring"), $("expiring-error"), () => this.#renew());
    });
  }

  hear = {
    "token:expiring": ({ expiresAt }) => this.#show(expiresAt),
  };

  ready() {}

  refresh() {
    return true;
  }

  #show(expiresAt) {
    $("expiring").hidden = !expiresAt;
    $("expiring-password").value = "";
    say($("expiring-error"), null);
    if (expiresAt) $("expiring-words").textContent = `At ${clock.format(new Date(expiresAt))} this page will be signed out.`;
  }

  async #renew() {
    const body = { email: this.#stay.user.email, password: $("expiring-password").value };
    const { data } = await api("POST", "/auth/login", { body, isSignIn: true });
    if (this.#stay.isOver) return;
    saveToken(data.accessToken);
    await Promise.all(this.#links.map((link) => link.renew(data.accessToken)));
    this.#show(null);
    toast("You are still signed in", `Until ${clock.format(new Date(data.expiresAt))}.`);
  }
}
