// The reviews of one product, read when they are opened, and the form for the user's own.

import { announce, briefly, cloneTemplate, glow, showText } from "./dom.js";

const PAGE_SIZE = 10;
const MOST_STARS = 5;

const inWords = (stars) => `${stars} of ${MOST_STARS} stars`;

export class Reviews {
  #scope;
  #place;
  #productId;
  #older = null;

  /** `place` is the `details` element. */
  constructor(scope, place, productId) {
    this.#scope = scope;
    this.#place = place;
    this.#productId = productId;
    this.#addStars();
    const form = this.#find(".review-form");
    scope.listen(place, "toggle", () => place.open && this.#attempt(() => this.#read()));
    const readMore = () => this.#attempt(() => this.#readPage(this.#older));
    scope.listen(this.#find(".more"), "click", readMore);
    scope.listen(form, "submit", (event) => {
      event.preventDefault();
      scope.submit(form, form.querySelector(".error"), () => this.#write(form));
    });
  }

  #find(selector) {
    return this.#place.querySelector(selector);
  }

  #attempt(work) {
    return this.#scope.attempt(this.#find(".error"), work);
  }

  #addStars() {
    for (let stars = 1; stars <= MOST_STARS; stars += 1) {
      const label = cloneTemplate("star");
      const input = label.querySelector("input");
      input.name = `rating-of-${this.#productId}`;
      input.value = stars;
      input.dataset.testid = `star-${stars}`;
      label.querySelector(".for-readers").textContent = inWords(stars);
      this.#find(".stars").append(label);
    }
  }

  async #read() {
    this.#find(".review-list").replaceChildren();
    await this.#readPage(`/products/${this.#productId}/reviews?limit=${PAGE_SIZE}`);
  }

  async #readPage(path) {
    const { data, next } = await this.#scope.call("GET", path);
    this.#find(".review-list").append(...data.map((review) => this.#row(review)));
    this.#older = next ?? null;
    this.#find(".more").hidden = !this.#older;
    this.#showMean();
  }

  #row({ id, userId, userName, rating, comment, createdAt }) {
    const row = cloneTemplate("review-row");
    row.dataset.reviewId = id;
    row.dataset.rating = rating;
    const stars = "★".repeat(rating) + "☆".repeat(MOST_STARS - rating);
    row.querySelector(".given").textContent = stars;
    row.querySelector(".for-readers").textContent = inWords(rating);
    const name = userName ?? `User ${userId}`;
    row.querySelector("b").textContent = userId === this.#scope.user.id ? "You" : name;
    row.querySelector("time").textContent = briefly(createdAt);
    showText(row.querySelector(".text"), comment);
    return row;
  }

  /** Shows the mean of all reviews; with some not read yet there is none. */
  #showMean() {
    const rows = [...this.#find(".review-list").children];
    const ratings = rows.map(({ dataset }) => Number(dataset.rating));
    const mean = ratings.reduce((sum, rating) => sum + rating, 0) / ratings.length;
    const isComplete = ratings.length > 0 && !this.#older;
    const words = isComplete ? ` ★ ${mean.toFixed(1)} (${ratings.length})` : "";
    this.#find("summary .hint").textContent = words;
  }

  async #write(form) {
    const rating = Number(form.querySelector("input:checked")?.value);
    if (!rating) {
      form.querySelector("input").focus();
      throw new Error("How many stars?");
    }
    const comment = form.querySelector("textarea").value.trim();
    const body = { rating, ...(comment && { comment }) };
    const path = `/products/${this.#productId}/reviews`;
    const { data } = await this.#scope.call("POST", path, { body });
    // A user has one review of a product; writing again changes it.
    this.#find(`[data-review-id="${data.id}"]`)?.remove();
    const row = this.#row(data);
    this.#find(".review-list").prepend(row);
    glow(row);
    form.reset();
    this.#showMean();
    announce("Your review is there");
  }
}
