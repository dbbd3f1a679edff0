// The basket: what the customer is about to order, against what is in stock at this moment.

import { randomKey } from "./api.js";
import { $, announce, arrange, cloneTemplate, listOf, showText } from "./dom.js";
import { asText, hundredths } from "./money.js";
import { toast } from "./toasts.js";

export class Basket {
  #scope;
  #products;
  #orders;
  #quantities = new Map();
  #rows = new Map();
  // The key stays until an answer comes: pressing again after a lost answer does not order twice.
  #key = randomKey();

  constructor(scope, products, orders) {
    this.#scope = scope;
    this.#products = products;
    this.#orders = orders;
    $("basket-lines").replaceChildren();
    this.#open(false);
    this.#show();
    scope.listen($("basket-open"), "click", () => this.#open($("basket-lines").hidden));
    scope.listen($("basket"), "submit", (event) => {
      event.preventDefault();
      scope.submit($("basket"), $("basket-error"), () => this.#order());
    });
  }

  add(id, quantity) {
    this.#set(id, (this.#quantities.get(id) ?? 0) + quantity);
  }

  productChanged(id) {
    if (this.#quantities.has(id)) this.#show();
  }

  productGone(id, name) {
    if (!this.#quantities.delete(id)) return;
    toast(`${name} is gone`, "It is no longer sold, and no longer in your basket.");
    this.#changed();
  }

  #open(isOpen) {
    $("basket-lines").hidden = !isOpen;
    $("basket-open").ariaExpanded = String(isOpen);
  }

  #set(id, quantity) {
    this.#quantities.set(id, quantity);
    this.#changed();
  }

  #remove(id) {
    const row = this.#rows.get(id);
    const next = row.nextElementSibling ?? row.previousElementSibling;
    this.#quantities.delete(id);
    (next?.querySelector("button") ?? $("shop-title")).focus();
    this.#changed();
  }

  #changed() {
    this.#key = randomKey();
    showText($("basket-error"), null);
    this.#show();
  }

  #show() {
    const lines = [...this.#quantities].map(([id, quantity]) => ({ product: this.#products.get(id), quantity }));
    const count = lines.reduce((sum, { quantity }) => sum + quantity, 0);
    const total = lines.reduce((sum, { product, quantity }) => sum + hundredths(product.price) * BigInt(quantity), 0n);
    $("basket").hidden = lines.length === 0;
    $("basket-count").textContent = `${count} ${count === 1 ? "piece" : "pieces"}`;
    $("basket-total").textContent = asText(total);
    for (const id of this.#rows.keys()) if (!this.#quantities.has(id)) this.#rows.delete(id);
    arrange($("basket-lines"), lines.map((line) => this.#row(line)));
  }

  #row({ product, quantity }) {
    const { id, name, price, stock } = product;
    const row = this.#rows.get(id) ?? this.#addRow(id);
    const input = row.querySelector("input");
    row.querySelector(".name").textContent = name;
    row.querySelector(".for-readers").textContent = `Quantity of ${name}`;
    row.querySelector("button").setAttribute("aria-label", `Remove: ${name}`);
    row.querySelector(".sum").textContent = asText(hundredths(price) * BigInt(quantity));
    if (document.activeElement !== input || Number(input.value) !== quantity) input.value = quantity;
    const isShort = quantity > stock;
    input.ariaInvalid = String(isShort);
    showText(row.querySelector(".short"), isShort ? (stock > 0 ? `Only ${stock} left` : "Out of stock") : null);
    return row;
  }

  #addRow(id) {
    const row = cloneTemplate("basket-line");
    row.dataset.productId = id;
    this.#rows.set(id, row);
    const input = row.querySelector("input");
    const take = () => {
      const quantity = Number(input.value);
      if (Number.isInteger(quantity) && quantity > 0) this.#set(id, quantity);
      else this.#show();
    };
    input.addEventListener("change", take);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      // It takes the number; it does not order.
      event.preventDefault();
      take();
    });
    row.querySelector("button").addEventListener("click", () => this.#remove(id));
    return row;
  }

  async #order() {
    const items = [...this.#quantities].map(([productId, quantity]) => ({ productId, quantity }));
    try {
      const { data } = await this.#scope.call("POST", "/orders", { body: { items }, headers: { "Idempotency-Key": this.#key } });
      this.#quantities.clear();
      this.#changed();
      this.#open(false);
      this.#orders.placed(data);
      this.#products.refresh();
      announce(`Order ${data.id} placed`);
      location.hash = "orders";
    } catch (error) {
      if (error.status !== 409) throw error;
      // What is left stands at each line.
      this.#open(true);
      await this.#products.refresh();
      const short = items.map(({ productId, quantity }) => ({ ...this.#products.get(productId), quantity })).filter(({ stock, quantity }) => stock < quantity);
      const what = short.length ? `There is not enough left of ${listOf(short.map(({ name }) => name))}` : error.message;
      throw new Error(`Somebody was faster. ${what}. Please take fewer, or leave it out.`);
    }
  }
}
