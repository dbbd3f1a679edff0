// Toasts: short messages at the edge of the page that close by themselves.

import { $, cloneTemplate } from "./dom.js";

const MOST_SHOWN = 3;
const SHOWN_MS = 7000;

/** `kind` is "news" or "fault". `text` must add something to `title`; without it, leave it out. */
export function toast(title, text, kind = "news") {
  const element = cloneTemplate("toast");
  element.dataset.kind = kind;
  element.querySelector("b").textContent = title;
  element.querySelector("p").textContent = text ?? "";
  element.querySelector("button").addEventListener("click", () => element.remove());

  // Reading a toast, or being about to close it, stops the clock.
  let timer;
  const rest = () => clearTimeout(timer);
  const leaveSoon = () => {
    rest();
    timer = setTimeout(() => element.remove(), SHOWN_MS);
  };
  for (const event of ["pointerenter", "focusin"]) element.addEventListener(event, rest);
  for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, leaveSoon);
  leaveSoon();

  const shown = [...$("toasts").children];
  shown.find((other) => other.textContent === element.textContent)?.remove();
  $("toasts").append(element);
  if ($("toasts").children.length > MOST_SHOWN) $("toasts").firstElementChild.remove();
}

export const clearToasts = () => $("toasts").replaceChildren();
