// The view of orders: the desk of an admin, or a customer's own orders.

import { randomKey } from "./api.js";
import { $, announce, showText } from "./dom.js";
import { inCurrency } from "./money.js";
import { OrderList } from "./order-list.js";
import { oneAtATime } from "./scope.js";
import { payments } from "./settings.js";
import { toast } from "./toasts.js";

const PAGE_SIZE = 50;

export class Orders {
  #scope;
  #list;
  #older;
  #wasRead = false;
  #isShown = false;
  // The key is kept until an answer comes: a repeat after a lost answer does not order twice.
  #key = randomKey();

  constructor(scope) {
    this.#scope = scope;
    const isAdmin = scope.user.role === "admin";
    const step = (id, to) => this.#step(id, to);
    const pay = (id, amount, key) => this.#pay(id, amount, key);
    this.#list = new OrderList(isAdmin ? { step } : payments ? { pay } : {});
    $("order-by-total").open = false;
    for (const id of ["total-error", "orders-error"]) showText($(id), null);
    $("older").hidden = true;
    scope.listen($("older"), "click", () => this.#readPage(this.#older, { isNewest: false }));
    scope.listen($("total"), "input", () => (this.#key = randomKey()));
    scope.listen($("order-form"), "submit", async (event) => {
      event.preventDefault();
      await scope.submit($("order-form"), $("total-error"), () => this.#place());
      $("total").focus();
    });
  }

  handlers = {
    new_order: ({ orderId: id, customerId, total, createdAt }) => {
      this.#list.put({ id, customerId, total, createdAt, status: "pending" }, { fresh: true });
      announce(`New order ${id}, ${inCurrency(total)}`);
      if (!this.#isShown) toast(`New order ${id}`, `${inCurrency(total)}, waiting at the desk.`);
      // The event has neither the customer's name nor the items.
      this.refresh();
    },
    // Placed here, on another page of the customer, or by a back end.
    orderCreated: (order) => this.placed(order),
    orderUpdate: ({ orderId: id, status, customerId, total, updatedAt }) => {
      const isNew = !this.#list.has(id);
      this.#list.put({ id, customerId, total, status, updatedAt }, { fresh: true });
      announce(`Order ${id} is ${status}`);
      if (isNew) this.#readOne(id);
    },
  };

  /** Reads the orders again: events sent while the socket was down may be lost. */
  ready() {
    this.refresh();
  }

  refresh = oneAtATime(() => this.#readPage(`/orders?limit=${PAGE_SIZE}`, { isNewest: true }));

  show() {
    this.#isShown = true;
  }

  hide() {
    this.#isShown = false;
  }

  /** The customers of all orders so far, as [id, name]. */
  customers() {
    return this.#list.customers();
  }

  /** Takes a new order of this customer, from the answer or from the event. */
  placed(order) {
    this.#list.put(order, { fresh: true });
  }

  #attempt(work) {
    return this.#scope.attempt($("orders-error"), work);
  }

  #readPage(path, { isNewest }) {
    return this.#attempt(async () => {
      const { data, next } = await this.#scope.call("GET", path);
      const leavesNoGap = data.some(({ id }) => this.#list.has(id));
      for (const order of data) this.#list.put(order, { fresh: isNewest && this.#wasRead });
      this.#wasRead = true;
      // The newest page resets "older" to its own end only if orders are missing below it.
      if (!isNewest || !leavesNoGap) this.#older = next;
      $("older").hidden = !this.#older;
    });
  }

  #readOne(id) {
    return this.#attempt(async () => {
      this.#list.put((await this.#scope.call("GET", `/orders/${id}`)).data);
    });
  }

  #step(id, to) {
    return this.#attempt(async () => {
      const { data } = await (to === "shipped"
        ? this.#scope.call("PATCH", `/orders/${id}/ship`)
        : this.#scope.call("PATCH", `/orders/${id}/status`, { body: { status: to } }));
      this.#list.put(data, { fresh: true });
    });
  }

  /** Resolves to the amount due after the payment. */
  async #pay(id, amount, key) {
    let due;
    await this.#attempt(async () => {
      try {
        const request = { body: { amount }, headers: { "Idempotency-Key": key } };
        const { data } = await this.#scope.call("POST", `/orders/${id}/payments`, request);
        due = data.due;
        this.#list.put({ id, status: data.orderStatus }, { fresh: true });
      } catch (error) {
        // An order does not say how much of it was paid elsewhere; only this error does.
        due = / only (\d+\.\d\d) due$/.exec(error.message)?.[1];
        throw error;
      }
    });
    return due;
  }

  async #place() {
    const body = { total: $("total").value.trim() };
    const headers = { "Idempotency-Key": this.#key };
    const { data } = await this.#scope.call("POST", "/orders", { body, headers });
    this.placed(data);
    announce(`Order ${data.id} placed`);
    $("order-form").reset();
    this.#key = randomKey();
  }
}
