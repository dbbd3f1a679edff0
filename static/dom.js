// The page's elements, and the ways in which every part writes to them.

export const $ = (id) => document.getElementById(id);

// Whatever imports this waits for it: no part has to ask whether there are rows yet.
const rows = new DOMParser().parseFromString(await (await fetch("/rows.html")).text(), "text/html");
export const cloneTemplate = (id) => document.importNode(rows.getElementById(id).content.firstElementChild, true);

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const minutes = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const calendar = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const names = new Intl.ListFormat("en", { type: "conjunction" });

/** The time of day, to the second. */
export const timeOfDay = (when) => clock.format(when);
/** Day and time, to the minute; nothing for no time. */
export const dayAndTime = (text) => (text ? calendar.format(new Date(text)) : "");
/** As short as it can be told: the time of today, or the day and time of another day. */
export function briefly(text) {
  const when = new Date(text ?? NaN);
  if (isNaN(when)) return "";
  return when.toDateString() === new Date().toDateString() ? minutes.format(when) : calendar.format(when);
}
/** "Alice, Bob, and Carol" */
export const listOf = (words) => names.format(words);

/** Shows `text` in an element that is hidden while it has nothing to showText. */
export function showText(element, text) {
  element.textContent = text ?? "";
  element.hidden = !text;
}

/** Tells it to people who listen to the page instead of looking at it. */
export const announce = (text) => ($("announce").textContent = text);

/** A count that is not there while there is nothing to count. */
export function showCount(element, count) {
  showText(element, count > 99 ? "99+" : count > 0 ? String(count) : null);
}

/** Lets the animation of "this has just changed" start, also when it is still running. */
export function glow(element) {
  element.classList.remove("changed");
  void element.offsetWidth;
  element.classList.add("changed");
}

/** Puts `elements` into `list` in this order, moves only what stands elsewhere, and keeps the focus. */
export function arrange(list, elements) {
  const focused = document.activeElement;
  elements.forEach((element, at) => list.children[at] === element || list.insertBefore(element, list.children[at] ?? null));
  while (list.children.length > elements.length) list.lastElementChild.remove();
  if (focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
}
