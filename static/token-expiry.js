// Warns a minute before the token expires, and continues with a new token for the password.

import { api, saveToken } from "./api.js";
import { $, showText } from "./dom.js";
import { toast } from "./toasts.js";

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export class TokenExpiry {
  #scope;
  #channels;

  constructor(scope, channels) {
    this.#scope = scope;
    this.#channels = channels;
    this.#show(null);
    scope.listen($("expiring"), "submit", (event) => {
      event.preventDefault();
      scope.submit($("expiring"), $("expiring-error"), () => this.#renew());
    });
  }

  handlers = {
    "token:expiring": ({ expiresAt }) => this.#show(expiresAt),
  };

  ready() {}

  refresh() {
    return true;
  }

  #show(expiresAt) {
    $("expiring").hidden = !expiresAt;
    $("expiring-password").value = "";
    showText($("expiring-error"), null);
    if (!expiresAt) return;
    const time = clock.format(new Date(expiresAt));
    $("expiring-words").textContent = `At ${time} this page will be signed out.`;
  }

  async #renew() {
    const body = { email: this.#scope.user.email, password: $("expiring-password").value };
    const { data } = await api("POST", "/auth/login", { body, isSignIn: true });
    if (this.#scope.isOver) return;
    saveToken(data.accessToken);
    await Promise.all(this.#channels.map((channel) => channel.renew(data.accessToken)));
    this.#show(null);
    toast("You are still signed in", `Until ${clock.format(new Date(data.expiresAt))}.`);
  }
}
