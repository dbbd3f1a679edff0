// Toasts: short words at the edge of the page that go by themselves.

import { $, cloneTemplate } from "./dom.js";

const AT_ONCE = 3;
const LASTS_MS = 7000;

/** `kind` is "news" or "fault". */
export function toast(title, text, kind = "news") {
  const element = cloneTemplate("toast");
  element.dataset.kind = kind;
  element.querySelector("b").textContent = title;
  element.querySelector("p").textContent = text;
  element.querySelector("button").addEventListener("click", () => element.remove());

  // Whoever is reading it, or is about to close it, is not hurried.
  let timer;
  const rest = () => clearTimeout(timer);
  const leaveSoon = () => {
    rest();
    timer = setTimeout(() => element.remove(), LASTS_MS);
  };
  for (const event of ["pointerenter", "focusin"]) element.addEventListener(event, rest);
  for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, leaveSoon);
  leaveSoon();

  $("toasts").append(element);
  if ($("toasts").children.length > AT_ONCE) $("toasts").firstElementChild.remove();
}

export const clearToasts = () => $("toasts").replaceChildren();
