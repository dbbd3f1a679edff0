// The view of orders: the desk of an admin, or a customer's own.

import { randomKey } from "./api.js";
import { $, announce, showText } from "./dom.js";
import { OrderList } from "./order-list.js";
import { oneAtATime } from "./scope.js";
import { toast } from "./toasts.js";

const PAGE_SIZE = 50;

export class Orders {
  #scope;
  #list;
  #older;
  #wasRead = false;
  #isShown = false;
  // The key stays until an answer comes: pressing again after a lost answer does not order twice.
  #key = randomKey();

  constructor(scope) {
    this.#scope = scope;
    const asAdmin = scope.user.role === "admin";
    this.#list = new OrderList(asAdmin ? { step: (id, to) => this.#step(id, to) } : { pay: (id, amount, key) => this.#pay(id, amount, key) });
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
      announce(`New order ${id}, ${total}`);
      if (!this.#isShown) toast(`New order ${id}`, `${total} in all. It waits at the desk.`);
      // The frame has neither the customer's name nor what was ordered.
      this.refresh();
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

  refresh = oneAtATime(() => this.#readPage(`/orders?limit=${PAGE_SIZE}`, { isNewest: true }));

  show() {
    this.#isShown = true;
  }

  hide() {
    this.#isShown = false;
  }

  /** Customers that this page has heard of, [id, name]. */
  customers() {
    return this.#list.customers();
  }

  /** One's own new order, from the answer. */
  placed(order) {
    this.#list.put(order, { fresh: true });
  }

  #readPage(path, { isNewest }) {
    return this.#scope.attempt($("orders-error"), async () => {
      const { data, next } = await this.#scope.call("GET", path);
      const leavesNoGap = data.some(({ id }) => this.#list.has(id));
      for (const order of data) this.#list.put(order, { fresh: isNewest && this.#wasRead });
      this.#wasRead = true;
      // Reading the newest page again takes "older" back to its end only when orders are missing below it.
      if (!isNewest || !leavesNoGap) this.#older = next;
      $("older").hidden = !this.#older;
    });
  }

  #readOne(id) {
    return this.#scope.attempt($("orders-error"), async () => this.#list.put((await this.#scope.call("GET", `/orders/${id}`)).data));
  }

  #step(id, to) {
    return this.#scope.attempt($("orders-error"), async () => {
      const { data } = await (to === "shipped"
        ? this.#scope.call("PATCH", `/orders/${id}/ship`)
        : this.#scope.call("PATCH", `/orders/${id}/status`, { body: { status: to } }));
      this.#list.put(data, { fresh: true });
    });
  }

  /** Resolves to what is due after it. */
  async #pay(id, amount, key) {
    let due;
    await this.#scope.attempt($("orders-error"), async () => {
      try {
        const { data } = await this.#scope.call("POST", `/orders/${id}/payments`, { body: { amount }, headers: { "Idempotency-Key": key } });
        due = data.due;
        this.#list.put({ id, status: data.orderStatus }, { fresh: true });
      } catch (error) {
        // A part was paid elsewhere, and an order does not showText how much: only this does.
        due = / only (\d+\.\d\d) due$/.exec(error.message)?.[1];
        throw error;
      }
    });
    return due;
  }

  async #place() {
    const body = { total: $("total").value.trim() };
    const { data } = await this.#scope.call("POST", "/orders", { body, headers: { "Idempotency-Key": this.#key } });
    this.placed(data);
    announce(`Order ${data.id} placed`);
    $("order-form").reset();
    this.#key = randomKey();
  }
}
