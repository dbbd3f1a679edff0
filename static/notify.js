// The form with which admins notify one user, several, a role, or everyone.

import { $, count, showText } from "./dom.js";

/** At most this many known customers are listed. */
const NAMES_SHOWN = 20;

export class Notify {
  #scope;
  #orders;

  constructor(scope, orders) {
    this.#scope = scope;
    this.#orders = orders;
    $("notify-form").reset();
    for (const id of ["notify-error", "notify-done"]) showText($(id), null);
    this.#showUsers();
    scope.listen($("notify-who"), "change", () => this.#showUsers());
    scope.listen($("notify-form"), "input", () => showText($("notify-done"), null));
    scope.listen($("notify-form"), "submit", (event) => {
      event.preventDefault();
      scope.submit($("notify-form"), $("notify-error"), () => this.#send());
    });
  }

  show() {
    this.#showUsers();
  }

  #showUsers() {
    $("notify-users-field").hidden = $("notify-who").value !== "users";
    const customers = [...this.#orders.customers()].slice(0, NAMES_SHOWN);
    const known = customers.map(([id, name]) => `${id} is ${name}`).join(", ");
    showText($("notify-known"), known && `Customers with orders: ${known}.`);
  }

  #receivers() {
    const who = $("notify-who").value;
    if (who === "all") return { all: true };
    if (who !== "users") return { role: who };
    const ids = $("notify-users").value.split(/[\s,]+/).filter(Boolean);
    if (!ids.length || !ids.every((id) => /^\d+$/.test(id))) {
      $("notify-users").focus();
      throw new Error("To whom? The ids are numbers, with commas between them.");
    }
    return ids.length === 1 ? { userId: Number(ids[0]) } : { userIds: ids.map(Number) };
  }

  async #send() {
    showText($("notify-done"), null);
    const body = {
      ...this.#receivers(),
      type: $("notify-type").value,
      title: $("notify-subject").value.trim(),
      message: $("notify-message").value.trim(),
    };
    const { data } = await this.#scope.call("POST", "/notifications", { body });
    showText($("notify-done"), `Sent to ${count(data.count, "user")}.`);
    for (const id of ["notify-subject", "notify-message"]) $(id).value = "";
    $("notify-subject").focus();
  }
}
