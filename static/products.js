// The products as this page knows them, for the shop and for the stock: read by REST, kept true by `productUpdated`.

import { oneAtATime } from "./scope.js";

const PAGE_SIZE = 100;

export class Products {
  #scope;
  #known = new Map();
  #views = [];
  /** Ids are never given twice: what was deleted stays so, whatever an older answer says. */
  #gone = new Set();
  /** Heard of while the list is read, of which the answer may not know. */
  #meanwhile = new Set();
  #older;
  #wasRead = false;

  constructor(scope) {
    this.#scope = scope;
    scope.listen(document, "visibilitychange", () => document.hidden || this.refresh());
  }

  /** A view has `place`, for words when reading fails; `put(product, {isNew, isFresh})`, `drop(id)`, and `showMore(isMore)`. */
  watch(view) {
    this.#views.push(view);
  }

  get(id) {
    return this.#known.get(id);
  }

  handlers = {
    productUpdated: ({ productId, action, product }) => {
      this.#meanwhile.add(productId);
      if (action === "deleted" || !product) this.drop(productId);
      else this.put(product, { isFresh: true });
    },
    // What orders take from the stock, and what a cancelled one gives back, is told by their own events alone.
    new_order: () => this.refresh(),
    orderUpdate: ({ status }) => status === "cancelled" && this.refresh(),
  };

  ready() {
    this.refresh();
  }

  refresh = oneAtATime(() => {
    this.#meanwhile.clear();
    return this.#attempt(() => this.#readPage(`/products?limit=${PAGE_SIZE}`, { isNewest: true }));
  });

  readOlder() {
    return this.#attempt(() => this.#readPage(this.#older, { isNewest: false }));
  }

  #attempt(work) {
    return this.#scope.attempt(this.#views[0].place, work);
  }

  async #readPage(path, { isNewest }) {
    const { data, next } = await this.#scope.call("GET", path);
    const lowest = next ? data.at(-1).id : 0;
    const leavesGap = next && !data.some(({ id }) => this.#known.has(id));
    if (isNewest) {
      const isMissing = (id) => id >= lowest && !this.#meanwhile.has(id) && !data.some((product) => product.id === id);
      for (const id of [...this.#known.keys()].filter(isMissing)) this.drop(id);
    }
    for (const product of data) this.put(product, { isFresh: isNewest && this.#wasRead });
    if (!isNewest || !this.#wasRead || leavesGap) this.#older = next;
    this.#wasRead = true;
    for (const view of this.#views) view.showMore(Boolean(this.#older));
  }

  /** Takes a report from REST or from a frame; one that is older than what is known changes nothing. */
  put(product, { isFresh = false } = {}) {
    const known = this.#known.get(product.id);
    if (this.#gone.has(product.id) || known?.updatedAt > product.updatedAt) return;
    this.#known.set(product.id, product);
    const hasChanged = !known || ["name", "description", "price", "stock", "lowStockThreshold"].some((field) => known[field] !== product[field]);
    for (const view of this.#views) view.put(product, { isNew: !known, isFresh: isFresh && hasChanged });
  }

  drop(id) {
    this.#gone.add(id);
    this.#known.delete(id);
    for (const view of this.#views) view.drop(id);
  }
}

/** "low" at the threshold or below, "out" with nothing left, else "in". */
export function level({ stock, lowStockThreshold }) {
  if (stock <= 0) return "out";
  return stock <= lowStockThreshold ? "low" : "in";
}

/** The row of `id` into `list`, newest first. */
export function insertByNewest(list, row, id) {
  row.dataset.productId = id;
  const below = [...list.children].find((other) => Number(other.dataset.productId) < id);
  list.insertBefore(row, below ?? null);
}
