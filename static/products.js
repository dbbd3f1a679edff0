// The products, for the shop and for the stock: read by REST, kept current by `productUpdated`.

import { oneAtATime } from "./scope.js";

const PAGE_SIZE = 100;
const SHOWN_FIELDS = ["name", "description", "price", "stock", "lowStockThreshold"];

export class Products {
  #scope;
  #known = new Map();
  #views = [];
  /** Ids of deleted products. Ids are never reused, so an older answer cannot bring one back. */
  #gone = new Set();
  /** Products with an event while the list is read, which may be older than the event. */
  #meanwhile = new Set();
  #older;
  #wasRead = false;

  constructor(scope) {
    this.#scope = scope;
    scope.listen(document, "visibilitychange", () => document.hidden || this.refresh());
  }

  /**
   * Adds a view. A view has `place`, an element for errors; `put(product, {isNew, isFresh})`;
   * `drop(id)`; and `showMore(isMore)`.
   */
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
    // Orders change the stock, and only their own events say so.
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
      const isListed = (id) => data.some((product) => product.id === id);
      const isMissing = (id) => id >= lowest && !this.#meanwhile.has(id) && !isListed(id);
      for (const id of [...this.#known.keys()].filter(isMissing)) this.drop(id);
    }
    for (const product of data) this.put(product, { isFresh: isNewest && this.#wasRead });
    if (!isNewest || !this.#wasRead || leavesGap) this.#older = next;
    this.#wasRead = true;
    for (const view of this.#views) view.showMore(Boolean(this.#older));
  }

  /** Takes a product from an answer or an event, unless a newer state of it is known. */
  put(product, { isFresh = false } = {}) {
    const known = this.#known.get(product.id);
    if (this.#gone.has(product.id) || known?.updatedAt > product.updatedAt) return;
    this.#known.set(product.id, product);
    const hasChanged = !known || SHOWN_FIELDS.some((field) => known[field] !== product[field]);
    const change = { isNew: !known, isFresh: isFresh && hasChanged };
    for (const view of this.#views) view.put(product, change);
  }

  drop(id) {
    this.#gone.add(id);
    this.#known.delete(id);
    for (const view of this.#views) view.drop(id);
  }
}

/** "out" with nothing left, "low" at the threshold or below, else "in". */
export function level({ stock, lowStockThreshold }) {
  if (stock <= 0) return "out";
  return stock <= lowStockThreshold ? "low" : "in";
}

/** Inserts the row of product `id` into `list`, newest first. */
export function insertByNewest(list, row, id) {
  row.dataset.productId = id;
  const below = [...list.children].find((other) => Number(other.dataset.productId) < id);
  list.insertBefore(row, below ?? null);
}
