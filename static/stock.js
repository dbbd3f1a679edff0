// The stock, for admins: every product with its price and stock, which can be edited in place.

import { $, announce, cloneTemplate, glow, showText } from "./dom.js";
import { insertByNewest, level } from "./products.js";

/** A second press within this time confirms the deletion. */
const CONFIRM_MS = 4000;
/** Other texts are sent as they are, and the server says what is wrong with them. */
const asNumber = (text) => (/^-?\d+$/.test(text) ? Number(text) : text);
const labelOf = (input) => input.parentElement.firstChild.textContent;

export class Stock {
  #scope;
  #products;
  #rows = new Map();
  place = $("stock-error");

  constructor(scope, products) {
    this.#scope = scope;
    this.#products = products;
    $("stock").replaceChildren();
    $("product-form").reset();
    $("add-product").open = false;
    for (const id of ["stock-error", "product-error"]) showText($(id), null);
    this.showMore(false);
    products.watch(this);
    scope.listen($("more-stock"), "click", () => products.readOlder());
    scope.listen($("product-form"), "submit", (event) => {
      event.preventDefault();
      scope.submit($("product-form"), $("product-error"), () => this.#add());
    });
  }

  showMore(isMore) {
    $("more-stock").hidden = !isMore;
  }

  put(product, { isFresh }) {
    const row = this.#rows.get(product.id) ?? this.#addRow(product.id);
    row.dataset.level = level(product);
    row.querySelector("b").textContent = product.name;
    const words = { out: "Out of stock", low: "Low", in: null };
    showText(row.querySelector(".level"), words[row.dataset.level]);
    row.querySelector(".delete").setAttribute("aria-label", `Delete: ${product.name}`);
    for (const input of row.querySelectorAll("input")) {
      const value = product[input.dataset.field];
      input.setAttribute("aria-label", `${labelOf(input)} of ${product.name}`);
      // A field that the user is editing keeps its text.
      const isEdited = document.activeElement === input && input.value !== input.dataset.was;
      if (!isEdited) input.value = value;
      input.dataset.was = value;
    }
    if (isFresh) glow(row);
  }

  drop(id) {
    const row = this.#rows.get(id);
    if (row?.contains(document.activeElement)) $("stock-title").focus();
    row?.remove();
    this.#rows.delete(id);
  }

  #addRow(id) {
    const row = cloneTemplate("stock-row");
    this.#rows.set(id, row);
    insertByNewest($("stock"), row, id);
    for (const input of row.querySelectorAll("input")) {
      this.#scope.listen(input, "change", () => this.#change(id, row, input));
      this.#scope.listen(input, "keydown", ({ key }) => {
        if (key === "Escape") input.value = input.dataset.was;
      });
    }
    this.#scope.listen(row.querySelector(".delete"), "click", () => this.#delete(id, row));
    return row;
  }

  async #change(id, row, input) {
    const { field, was } = input.dataset;
    const text = input.value.trim();
    if (text === was) return;
    const fault = row.querySelector(".error");
    await this.#scope.attempt(fault, async () => {
      const value = field === "price" ? text : asNumber(text);
      const request = { body: { [field]: value } };
      const { data } = await this.#scope.call("PATCH", `/products/${id}`, request);
      input.dataset.was = input.value = data[field];
      this.#products.put(data, { isFresh: true });
      announce(`${data.name}: ${labelOf(input)} is ${data[field]}`);
    });
    input.ariaInvalid = String(!fault.hidden);
  }

  async #delete(id, row) {
    const button = row.querySelector(".delete");
    const { name } = this.#products.get(id);
    const ask = (isSure) => {
      button.dataset.sure = isSure;
      button.textContent = isSure ? "Really delete?" : "Delete";
      button.setAttribute("aria-label", `${button.textContent} ${name}`);
    };
    if (button.dataset.sure !== "true") {
      ask(true);
      this.#scope.after(CONFIRM_MS, () => ask(false));
      return;
    }
    await this.#scope.attempt(row.querySelector(".error"), async () => {
      await this.#scope.call("DELETE", `/products/${id}`);
      this.#products.drop(id);
      announce(`${name} is deleted`);
    });
  }

  async #add() {
    const field = (name) => $("product-form").elements[name].value.trim();
    const body = { name: field("name"), price: field("price") };
    if (field("description")) body.description = field("description");
    for (const name of ["stock", "lowStockThreshold"]) {
      if (field(name)) body[name] = asNumber(field(name));
    }
    const { data } = await this.#scope.call("POST", "/products", { body });
    this.#products.put(data, { isFresh: true });
    announce(`${data.name} is for sale`);
    $("product-form").reset();
    $("product-name").focus();
  }
}
