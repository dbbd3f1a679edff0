// The list of orders, newest first: each with what may be done about it next, at the desk or by its customer.

import { randomKey } from "./api.js";
import { $, cloneTemplate, dayAndTime, glow, showText } from "./dom.js";

/** An order only ever moves to a higher rank, so of two reports about it the higher one is the later one. */
const RANK = { pending: 0, paid: 1, shipped: 2, delivered: 3, cancelled: 4 };

/** Where the desk may move an order next, by its status. */
const STEPS = { pending: ["paid", "cancelled"], paid: ["shipped", "cancelled"], shipped: ["delivered"], delivered: [], cancelled: [] };

/** All orders that this page has heard of, by id, and the row of each. */
export class OrderList {
  #known = new Map();
  #rows = new Map();
  #names = new Map();
  /** What is left to be paid, where it is not the total; and the key of a payment that is not answered. */
  #due = new Map();
  #keys = new Map();

  /** At the desk `step(id, to)` moves an order on; for its customer `pay(id, amount, key)` pays for it, and resolves to what is due then. */
  constructor({ step, pay }) {
    this.step = step;
    this.pay = pay;
    $("orders").replaceChildren();
  }

  has(id) {
    return this.#known.has(id);
  }

  customers() {
    return this.#names.entries();
  }

  /** Takes a report from REST or from a frame; of what is known already, an older one only fills gaps. */
  put(report, { fresh = false } = {}) {
    if (report.customer) this.#names.set(report.customer.id, report.customer.name);
    const known = this.#known.get(report.id);
    const isOlder = known && RANK[known.status] > RANK[report.status];
    const order = isOlder ? { ...report, ...known } : { ...known, ...report };
    this.#known.set(order.id, order);
    this.#show(order, fresh && known?.status !== order.status);
  }

  #show(order, changed) {
    const row = this.#rows.get(order.id) ?? this.#addRow(order.id);
    if (row.dataset.status !== order.status) row.ariaBusy = "false";
    row.dataset.status = order.status;
    row.querySelector(".number").textContent = `Order ${order.id}`;
    row.querySelector(".customer").textContent = this.step ? this.#nameOf(order.customerId) : "";
    row.querySelector(".total").textContent = order.total;
    row.querySelector(".status").textContent = order.status;
    row.querySelector("time").textContent = dayAndTime(order.createdAt);
    showText(row.querySelector(".items"), order.items?.map(({ name, quantity }) => `${quantity} × ${name}`).join(", "));
    this.#showSteps(row, order);
    if (changed) glow(row);
  }

  /** Newest first. */
  #addRow(id) {
    const row = cloneTemplate("order-row");
    row.dataset.orderId = id;
    for (const button of row.querySelectorAll("button")) {
      const { to } = button.dataset;
      if (Boolean(to) !== Boolean(this.step)) button.remove();
      button.setAttribute("aria-label", `${button.textContent}: order ${id}`);
      button.addEventListener("click", () => this.#take(row, id, () => (to ? this.step(id, to) : this.#settle(id))));
    }
    this.#rows.set(id, row);
    const below = [...$("orders").children].find((other) => Number(other.dataset.orderId) < id);
    $("orders").insertBefore(row, below ?? null);
    return row;
  }

  #nameOf(customerId) {
    return customerId === null ? "No customer" : (this.#names.get(customerId) ?? `Customer ${customerId}`);
  }

  #showSteps(row, { id, status, total }) {
    const focused = document.activeElement;
    const buttons = [...row.querySelectorAll("button")];
    for (const button of buttons) {
      const { to } = button.dataset;
      button.hidden = to ? !STEPS[status].includes(to) : status !== "pending";
      if (to) continue;
      button.textContent = `Pay ${this.#due.get(id) ?? total}`;
      button.setAttribute("aria-label", `${button.textContent} for order ${id}`);
    }
    // Whoever works the list by keyboard stays in the row.
    if (row.contains(focused) && focused.hidden) (buttons.find(({ hidden }) => !hidden) ?? $("orders-heading")).focus();
  }

  async #take(row, id, work) {
    if (row.ariaBusy === "true") return;
    const { status } = row.dataset;
    row.ariaBusy = "true";
    await work();
    // After a step that worked the frame, which may be faster than the answer, has freed the row.
    if (row.dataset.status === status) row.ariaBusy = "false";
  }

  async #settle(id) {
    const order = this.#known.get(id);
    // The same key for the same payment: pressing again after a lost answer does not pay twice.
    if (!this.#keys.has(id)) this.#keys.set(id, randomKey());
    const due = await this.pay(id, this.#due.get(id) ?? order.total, this.#keys.get(id));
    if (due === undefined) return;
    this.#keys.delete(id);
    this.#due.set(id, due);
    this.#show(this.#known.get(id), false);
  }
}
