// The list of orders, newest first, each with its next step at the desk or for its customer.

import { randomKey } from "./api.js";
import { $, cloneTemplate, dayAndTime, glow, showText } from "./dom.js";
import { inCurrency } from "./money.js";

/** A status only moves to a higher rank, so of two reports the higher one is the later one. */
const RANK = { pending: 0, paid: 1, shipped: 2, delivered: 3, cancelled: 4 };

/** The statuses to which the desk may move an order. */
const STEPS = {
  pending: ["paid", "cancelled"],
  paid: ["shipped", "cancelled"],
  shipped: ["delivered"],
  delivered: [],
  cancelled: [],
};

export class OrderList {
  #known = new Map();
  #rows = new Map();
  #names = new Map();
  /** The amount due, for orders that were paid in part. */
  #due = new Map();
  /** The idempotency key of a payment without an answer. */
  #keys = new Map();

  /**
   * At the desk `step(id, to)` moves an order to a status. For customers who may pay,
   * `pay(id, amount, key)` pays, and resolves to the amount due after it.
   */
  constructor({ step, pay }) {
    this.step = step;
    this.pay = pay;
    $("orders").replaceChildren();
  }

  has(id) {
    return this.#known.has(id);
  }

  /** The customers of all orders so far, as [id, name]. */
  customers() {
    return this.#names.entries();
  }

  /** Takes a report from an answer or an event. An older report only fills gaps. */
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
    row.querySelector(".total").textContent = inCurrency(order.total);
    row.querySelector(".status").textContent = order.status;
    row.querySelector("time").textContent = dayAndTime(order.createdAt);
    const items = order.items?.map(({ name, quantity }) => `${quantity} × ${name}`);
    showText(row.querySelector(".items"), items?.join(", "));
    this.#showSteps(row, order);
    if (changed) glow(row);
  }

  /** Inserts a row, newest first. */
  #addRow(id) {
    const row = cloneTemplate("order-row");
    row.dataset.orderId = id;
    for (const button of row.querySelectorAll("button")) {
      const { to } = button.dataset;
      if (!(to ? this.step : this.pay)) button.remove();
      button.setAttribute("aria-label", `${button.textContent}: order ${id}`);
      const work = () => (to ? this.step(id, to) : this.#settle(id));
      button.addEventListener("click", () => this.#run(row, work));
    }
    this.#rows.set(id, row);
    const rows = [...$("orders").children];
    const below = rows.find((other) => Number(other.dataset.orderId) < id);
    $("orders").insertBefore(row, below ?? null);
    return row;
  }

  #nameOf(customerId) {
    if (customerId === null) return "No customer";
    return this.#names.get(customerId) ?? `Customer ${customerId}`;
  }

  #showSteps(row, { id, status, total }) {
    const focused = document.activeElement;
    const buttons = [...row.querySelectorAll("button")];
    for (const button of buttons) {
      const { to } = button.dataset;
      button.hidden = to ? !STEPS[status].includes(to) : status !== "pending";
      if (to) continue;
      button.textContent = `Pay ${inCurrency(this.#due.get(id) ?? total)}`;
      button.setAttribute("aria-label", `${button.textContent} for order ${id}`);
    }
    // The keyboard's focus stays in the row when its button disappears.
    if (row.contains(focused) && focused.hidden) {
      (buttons.find(({ hidden }) => !hidden) ?? $("orders-heading")).focus();
    }
  }

  async #run(row, work) {
    if (row.ariaBusy === "true") return;
    const { status } = row.dataset;
    row.ariaBusy = "true";
    await work();
    // After a successful step the event, which may be faster than the answer, has freed the row.
    if (row.dataset.status === status) row.ariaBusy = "false";
  }

  async #settle(id) {
    const order = this.#known.get(id);
    // A repeat after a lost answer has the same key, so it does not pay twice.
    if (!this.#keys.has(id)) this.#keys.set(id, randomKey());
    const due = await this.pay(id, this.#due.get(id) ?? order.total, this.#keys.get(id));
    if (due === undefined) return;
    this.#keys.delete(id);
    this.#due.set(id, due);
    this.#show(this.#known.get(id), false);
  }
}
