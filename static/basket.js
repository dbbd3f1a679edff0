// The basket: what the customer is about to order, checked against the current stock.

import { randomKey } from "./api.js";
import { $, announce, arrange, cloneTemplate, count, listOf, showText } from "./dom.js";
import { asText, hundredths, inCurrency } from "./money.js";
import { toast } from "./toasts.js";

export class Basket {
  #scope;
  #products;
  #orders;
  #onChange;
  #quantities = new Map();
  #rows = new Map();
  // The key is kept until an answer comes: a repeat after a lost answer does not order twice.
  #key = randomKey();

  /** `onChange()` runs when a quantity has changed. */
  constructor(scope, products, orders, { onChange }) {
    this.#scope = scope;
    this.#products = products;
    this.#orders = orders;
    this.#onChange = onChange;
    $("basket-lines").replaceChildren();
    this.#open(false);
    this.#show();
    scope.listen($("basket-open"), "click", () => this.#open($("basket-lines").hidden));
    scope.listen($("basket"), "submit", (event) => {
      event.preventDefault();
      scope.submit($("basket"), $("basket-error"), () => this.#order());
    });
  }

  quantityOf(id) {
    return this.#quantities.get(id) ?? 0;
  }

  add(id, quantity) {
    this.#set(id, this.quantityOf(id) + quantity);
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
    this.#onChange();
  }

  #show() {
    const lines = [...this.#quantities].map(([id, quantity]) => {
      const product = this.#products.get(id);
      return { product, quantity, sum: hundredths(product.price) * BigInt(quantity) };
    });
    const pieces = lines.reduce((all, { quantity }) => all + quantity, 0);
    const total = lines.reduce((all, { sum }) => all + sum, 0n);
    $("basket").hidden = lines.length === 0;
    $("basket-count").textContent = count(pieces, "piece");
    $("basket-total").textContent = inCurrency(asText(total));
    for (const id of this.#rows.keys()) if (!this.#quantities.has(id)) this.#rows.delete(id);
    arrange($("basket-lines"), lines.map((line) => this.#row(line)));
  }

  #row({ product, quantity, sum }) {
    const { id, name, stock } = product;
    const row = this.#rows.get(id) ?? this.#addRow(id);
    const input = row.querySelector("input");
    row.querySelector(".name").textContent = name;
    row.querySelector(".for-readers").textContent = `Quantity of ${name}`;
    row.querySelector("button").setAttribute("aria-label", `Remove: ${name}`);
    row.querySelector(".sum").textContent = inCurrency(asText(sum));
    // A field with the focus keeps its text, and with it the cursor, if that says the same.
    const isSame = document.activeElement === input && Number(input.value) === quantity;
    if (!isSame) input.value = quantity;
    const isShort = quantity > stock;
    input.ariaInvalid = String(isShort);
    const fault = stock > 0 ? `Only ${stock} left` : "Out of stock";
    showText(row.querySelector(".short"), isShort ? fault : null);
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
      // Enter takes the number and must not submit the order.
      event.preventDefault();
      take();
    });
    row.querySelector("button").addEventListener("click", () => this.#remove(id));
    return row;
  }

  async #order() {
    const items = [...this.#quantities].map(([productId, quantity]) => ({ productId, quantity }));
    const request = { body: { items }, headers: { "Idempotency-Key": this.#key } };
    try {
      const { data } = await this.#scope.call("POST", "/orders", request);
      this.#quantities.clear();
      this.#changed();
      this.#open(false);
      this.#orders.placed(data);
      this.#products.refresh();
      announce(`Order ${data.id} placed`);
      location.hash = "orders";
    } catch (error) {
      if (error.status !== 409) throw error;
      // Each line of the open basket then shows what is left.
      this.#open(true);
      await this.#products.refresh();
      throw new Error(this.#conflict(items, error.message));
    }
  }

  #conflict(items, message) {
    const isShort = ({ productId, quantity }) => this.#products.get(productId)?.stock < quantity;
    const names = items.filter(isShort).map(({ productId }) => this.#products.get(productId).name);
    const what = names.length ? `There is not enough left of ${listOf(names)}` : message;
    return `Somebody was faster. ${what}. Please take fewer, or leave it out.`;
  }
}
