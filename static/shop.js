// The shop, for customers: a card for each product, with its reviews and its waitlist.

import { Basket } from "./basket.js";
import { $, announce, cloneTemplate, glow, showText } from "./dom.js";
import { inCurrency } from "./money.js";
import { insertByNewest, level } from "./products.js";
import { Reviews } from "./reviews.js";

export class Shop {
  #scope;
  #products;
  #basket;
  #cards = new Map();
  /** Products whose waitlist the user is on, as far as this page knows. */
  #awaited = new Set();
  place = $("shop-error");

  constructor(scope, products, orders) {
    this.#scope = scope;
    this.#products = products;
    const onChange = () => this.#showBasket();
    this.#basket = new Basket(scope, products, orders, { onChange });
    $("shop-title").textContent = `Hello, ${scope.user.name}`;
    $("products").replaceChildren();
    showText(this.place, null);
    this.showMore(false);
    products.watch(this);
    scope.listen($("more-products"), "click", () => products.readOlder());
  }

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
    card.querySelector(".price").textContent = inCurrency(price);
    const words = { out: "Out of stock", low: `Only ${stock} left`, in: `${stock} in stock` };
    card.querySelector(".stock").textContent = words[card.dataset.level];
    card.querySelector(".buy").hidden = stock <= 0;
    card.querySelector(".buy .for-readers").textContent = `Quantity of ${name}`;
    card.querySelector(".buy button").setAttribute("aria-label", `Add to basket: ${name}`);
    card.querySelector(".buy input").max = stock;
    // The server has notified the waitlist and emptied it.
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
    const fault = isNumber ? null : "How many? A whole number from 1 on.";
    showText(card.querySelector(".error"), fault);
    input.ariaInvalid = String(!isNumber);
    if (!isNumber) return input.focus();
    this.#basket.add(id, quantity);
    input.value = "1";
    glow(card.querySelector(".in-basket"));
    announce(`${quantity} of ${product.name} in the basket`);
  }

  /** Shows at each card how many of it are in the basket. */
  #showBasket() {
    for (const [id, card] of this.#cards) {
      const quantity = this.#basket.quantityOf(id);
      showText(card.querySelector(".in-basket"), quantity ? `${quantity} in your basket` : null);
    }
  }

  #showWaiting(card, { id, name, stock }) {
    const button = card.querySelector(".wait");
    const waits = this.#awaited.has(id);
    const hadFocus = document.activeElement === button;
    if (stock > 0 && hadFocus) card.querySelector(".buy button").focus();
    button.hidden = stock > 0;
    button.dataset.waits = waits;
    button.textContent = waits ? "You will be told. Forget it" : "Tell me when it is back";
    button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  }

  async #wait(id, card) {
    if (card.ariaBusy === "true") return;
    card.ariaBusy = "true";
    await this.#scope.attempt(card.querySelector(".error"), async () => {
      const path = `/products/${id}/waitlist`;
      if (this.#awaited.has(id)) {
        await this.#scope.call("DELETE", path);
        this.#awaited.delete(id);
      } else {
        await this.#scope.call("POST", path, { body: {} });
        this.#awaited.add(id);
      }
    });
    card.ariaBusy = "false";
    const product = this.#products.get(id);
    if (product) this.#showWaiting(card, product);
  }
}
