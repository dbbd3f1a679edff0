// Access to the page's elements, and the formats that every part uses.

export const $ = (id) => document.getElementById(id);

// Importing modules wait for this file, so the templates are always loaded when they run.
const rows = new DOMParser().parseFromString(await (await fetch("/rows.html")).text(), "text/html");
export const cloneTemplate = (id) =>
  document.importNode(rows.getElementById(id).content.firstElementChild, true);

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const minutes = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const calendar = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const names = new Intl.ListFormat("en", { type: "conjunction" });

/** The time of day with seconds. */
export const timeOfDay = (when) => clock.format(when);
/** Day and time to the minute; empty for a missing time. */
export const dayAndTime = (text) => (text ? calendar.format(new Date(text)) : "");
/** The time alone for today, day and time for other days. */
export function briefly(text) {
  const when = new Date(text ?? NaN);
  if (isNaN(when)) return "";
  const isToday = when.toDateString() === new Date().toDateString();
  return isToday ? minutes.format(when) : calendar.format(when);
}
/** "Alice, Bob, and Carol" */
export const listOf = (words) => names.format(words);
/** (1, "piece") → "1 piece", (3, "piece") → "3 pieces" */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** Shows `text` in an element that is hidden while the text is empty. */
export function showText(element, text) {
  element.textContent = text ?? "";
  element.hidden = !text;
}

/** Speaks `text` to people who use a screen reader. */
export const announce = (text) => ($("announce").textContent = text);

/** Shows a count, or nothing for zero. */
export function showCount(element, number) {
  showText(element, number > 99 ? "99+" : number > 0 ? String(number) : null);
}

/** Starts the animation for "this has just changed", also while it is still running. */
export function glow(element) {
  element.classList.remove("changed");
  void element.offsetWidth;
  element.classList.add("changed");
}

/** Brings `elements` into this order in `list`, moves only those out of place, keeps the focus. */
export function arrange(list, elements) {
  const focused = document.activeElement;
  elements.forEach((element, at) => {
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
  while (list.children.length > elements.length) list.lastElementChild.remove();
  if (focused !== document.activeElement && list.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
}
