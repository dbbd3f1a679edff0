// The shop, for customers: a card for each product, with its reviews, and a bell to be told when it is back.

import { Basket } from "./basket.js";
import { $, announce, cloneTemplate, glow, showText } from "./dom.js";
import { insertByNewest, level } from "./products.js";
import { Reviews } from "./reviews.js";

export class Shop {
  #scope;
  #products;
  #basket;
  #cards = new Map();
  /** Products for which the user waits, as far as this page knows. */
  #awaited = new Set();
  place = $("shop-error");

  constructor(scope, products, orders) {
    this.#scope = scope;
    this.#products = products;
    this.#basket = new Basket(scope, products, orders);
    $("shop-title").textContent = `Hello, ${scope.user.name}`;
    $("products").replaceChildren();
    showText(this.place, null);
    this.showMore(false);
    products.watch(this);
    scope.listen($("more-products"), "click", () => products.readOlder());
  }

  /** The view is on the screen. */
  show() {
    this.#products.refresh();
  }

  showMore(isMore) {
    $("more-products").hidden = !isMore;
  }

  put(product, { isFresh }) {
    const card = this.#cards.get(product.id) ?? this.#addCard(product.id);
    const { name, description, price, stock } = product;
    const isBack = card.dataset.level === "out" && stock > 0;
    card.dataset.level = level(product);
    card.querySelector(".name").textContent = name;
    showText(card.querySelector(".text"), description);
    card.querySelector(".price").textContent = price;
    card.querySelector(".stock").textContent = { out: "Out of stock", low: `Only ${stock} left`, in: `${stock} in stock` }[card.dataset.level];
    card.querySelector(".buy").hidden = stock <= 0;
    card.querySelector(".buy .for-readers").textContent = `Quantity of ${name}`;
    card.querySelector(".buy button").setAttribute("aria-label", `Add to basket: ${name}`);
    card.querySelector(".buy input").max = stock;
    // The server has told all who waited, and forgotten them.
    if (isBack) this.#awaited.delete(product.id);
    this.#showWaiting(card, product);
    if (isFresh) glow(card);
    this.#basket.productChanged(product.id);
  }

  drop(id) {
    const name = this.#cards.get(id)?.querySelector(".name").textContent;
    this.#cards.get(id)?.remove();
    this.#cards.delete(id);
    this.#basket.productGone(id, name);
  }

  #addCard(id) {
    const card = cloneTemplate("product-card");
    this.#cards.set(id, card);
    insertByNewest($("products"), card, id);
    new Reviews(this.#scope, card.querySelector(".reviews"), id);
    const form = card.querySelector(".buy");
    this.#scope.listen(form, "submit", (event) => {
      event.preventDefault();
      this.#add(id, card, form.querySelector("input"));
    });
    this.#scope.listen(card.querySelector(".wait"), "click", () => this.#wait(id, card));
    return card;
  }

  #add(id, card, input) {
    const product = this.#products.get(id);
    const quantity = Number(input.value);
    const isNumber = Number.isInteger(quantity) && quantity > 0;
    showText(card.querySelector(".error"), isNumber ? null : "How many? A whole number from 1 on.");
    input.ariaInvalid = String(!isNumber);
    if (!isNumber) return input.focus();
    this.#basket.add(id, quantity);
    input.value = "1";
    announce(`${quantity} of ${product.name} in the basket`);
  }

  #showWaiting(card, { id, name, stock }) {
    const button = card.querySelector(".wait");
    const waits = this.#awaited.has(id);
    if (stock > 0 && document.activeElement === button) card.querySelector(".buy button").focus();
    button.hidden = stock > 0;
    button.dataset.waits = waits;
    button.textContent = waits ? "You will be told. Forget it" : "Tell me when it is back";
    button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  }

  async #wait(id, card) {
    if (card.ariaBusy === "true") return;
    card.ariaBusy = "true";
    await this.#scope.attempt(card.querySelector(".error"), async () => {
      const waits = this.#awaited.has(id);
      if (waits) await this.#scope.call("DELETE", `/products/${id}/waitlist`);
      else await this.#scope.call("POST", `/products/${id}/waitlist`, { body: {} });
      if (waits) this.#awaited.delete(id);
      else this.#awaited.add(id);
    });
    card.ariaBusy = "false";
    const product = this.#products.get(id);
    if (product) this.#showWaiting(card, product);
  }
}
