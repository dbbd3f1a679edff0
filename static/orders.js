// The view of orders: the desk of an admin, or a customer's own.

import { randomKey } from "./api.js";
import { $, announce, cloneTemplate, dayAndTime, glow, say } from "./dom.js";

const PAGE_SIZE = 50;

/** An order only ever moves to a higher rank, so of two reports about it the higher one is the later one. */
const RANK = { pending: 0, paid: 1, shipped: 2, delivered: 3, cancelled: 4 };

/** Where the desk may move an order next, by its status. */
const STEPS = { pending: ["paid", "cancelled"], paid: ["shipped", "cancelled"], shipped: ["delivered"], delivered: [], cancelled: [] };

/** All orders that this page has heard of, by id, and the row of each. */
class OrderList {
  #known = new Map();
  #rows = new Map();
  #names = new Map();

  /** `step(id, to)` moves an order on; without it the list only shows (a customer's). */
  constructor(step) {
    this.step = step;
    $("orders").replaceChildren();
  }

  has(id) {
    return this.#known.has(id);
  }

  knowsName(customerId) {
    return customerId === null || this.#names.has(customerId);
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
    if (this.step) this.#showSteps(row, order.status);
    if (changed) glow(row);
  }

  /** Newest first. */
  #addRow(id) {
    const row = cloneTemplate("order-row");
    row.dataset.orderId = id;
    for (const button of row.querySelectorAll("button")) {
      button.setAttribute("aria-label", `${button.textContent}: order ${id}`);
      button.addEventListener("click", () => this.#take(row, id, button.dataset.to));
    }
    if (!this.step) row.querySelector(".actions").remove();
    this.#rows.set(id, row);
    const below = [...$("orders").children].find((other) => Number(other.dataset.orderId) < id);
    $("orders").insertBefore(row, below ?? null);
    return row;
  }

  #nameOf(customerId) {
    return customerId === null ? "No customer" : (this.#names.get(customerId) ?? `Customer ${customerId}`);
  }

  #showSteps(row, status) {
    const focused = document.activeElement;
    const buttons = [...row.querySelectorAll("button")];
    for (const button of buttons) button.hidden = !STEPS[status].includes(button.dataset.to);
    // Whoever works the desk by keyboard stays in the row.
    if (row.contains(focused) && focused.hidden) (buttons.find(({ hidden }) => !hidden) ?? $("desk-title")).focus();
  }

  async #take(row, id, to) {
    if (row.ariaBusy === "true") return;
    const { status } = row.dataset;
    row.ariaBusy = "true";
    await this.step(id, to);
    // After a step that worked the frame, which may be faster than the answer, has freed the row.
    if (row.dataset.status === status) row.ariaBusy = "false";
  }
}

export class Orders {
  #stay;
  #list;
  #older;
  #wasRead = false;
  // The key stays until an answer comes: pressing again after a lost answer does not order twice.
  #key = randomKey();

  constructor(stay) {
    this.#stay = stay;
    const asAdmin = stay.user.role === "admin";
    this.#list = new OrderList(asAdmin && ((id, to) => this.#step(id, to)));
    $("desk-title").textContent = asAdmin ? "Order desk" : `Hello, ${stay.user.name}`;
    for (const id of ["total-error", "orders-error"]) say($(id), null);
    $("older").hidden = true;
    stay.listen($("older"), "click", () => this.#readPage(this.#older, { isNewest: false }));
    stay.listen($("total"), "input", () => (this.#key = randomKey()));
    stay.listen($("order-form"), "submit", async (event) => {
      event.preventDefault();
      await stay.submit($("order-form"), $("total-error"), () => this.#place());
      $("total").focus();
    });
  }

  hear = {
    new_order: ({ orderId: id, customerId, total, createdAt }) => {
      this.#list.put({ id, customerId, total, createdAt, status: "pending" }, { fresh: true });
      announce(`New order ${id}, ${total}`);
      if (!this.#list.knowsName(customerId)) this.#readOne(id);
    },
    orderUpdate: ({ orderId: id, status, customerId, total, updatedAt }) => {
      const isNew = !this.#list.has(id);
      this.#list.put({ id, customerId, total, status, updatedAt }, { fresh: true });
      announce(`Order ${id} is ${status}`);
      if (isNew) this.#readOne(id);
    },
  };

  /** What was sent while the line was down is not seen here: read what is true now. */
  ready() {
    this.refresh();
  }

  refresh() {
    return this.#readPage(`/orders?limit=${PAGE_SIZE}`, { isNewest: true });
  }

  #readPage(path, { isNewest }) {
    return this.#stay.attempt($("orders-error"), async () => {
      const { data, next } = await this.#stay.call("GET", path);
      const leavesNoGap = data.some(({ id }) => this.#list.has(id));
      for (const order of data) this.#list.put(order, { fresh: isNewest && this.#wasRead });
      this.#wasRead = true;
      // Reading the newest page again takes "older" back to its end only when orders are missing below it.
      if (!isNewest || !leavesNoGap) this.#older = next;
      $("older").hidden = !this.#older;
    });
  }

  #readOne(id) {
    return this.#stay.attempt($("orders-error"), async () => this.#list.put((await this.#stay.call("GET", `/orders/${id}`)).data));
  }

  #step(id, to) {
    return this.#stay.attempt($("orders-error"), async () => {
      const { data } = await (to === "shipped"
        ? this.#stay.call("PATCH", `/orders/${id}/ship`)
        : this.#stay.call("PATCH", `/orders/${id}/status`, { body: { status: to } }));
      this.#list.put(data, { fresh: true });
    });
  }

  async #place() {
    const body = { total: $("total").value.trim() };
    const { data } = await this.#stay.call("POST", "/orders", { body, headers: { "Idempotency-Key": this.#key } });
    this.#list.put(data, { fresh: true });
    announce(`Order ${data.id} placed`);
    $("order-form").reset();
    this.#key = randomKey();
  }
}
