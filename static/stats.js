// What the server says of itself every few seconds: whatever figures are there.

import { $ } from "./dom.js";

/** "openSockets" → "Open sockets" */
const inWords = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace(/^./, (letter) => letter.toUpperCase());

function lasting(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNITS = [
  [/Seconds$/, lasting],
  [/Bytes$/, (bytes) => `${number.format(bytes / 1024 / 1024)} MiB`],
];

/** What a figure is made of, [what, how many]: of a list of counts by kind, or of an object of counts; empty for a plain number. */
function parts(value) {
  if (Array.isArray(value)) return value.map(({ count, ...kind }) => [Object.values(kind).join(" "), count]);
  return typeof value === "object" ? Object.entries(value) : [];
}

export class Stats {
  #shown = new Map();

  constructor(scope) {
    this.#clear();
    scope.signal.addEventListener("abort", () => this.#clear());
  }

  handlers = {
    "server:stats": (stats) => {
      $("stats").hidden = false;
      for (const [name, value] of Object.entries(stats)) if (value !== null) this.#show(name, value);
    },
  };

  ready() {}

  refresh() {
    return true;
  }

  #show(name, value) {
    const [unit, write] = UNITS.find(([unit]) => unit.test(name)) ?? [/$/, number.format];
    const { figure, detail } = this.#shown.get(name) ?? this.#add(name, inWords(name.replace(unit, "")));
    const sum = typeof value === "number" ? value : parts(value).reduce((sum, [, count]) => sum + count, 0);
    figure.textContent = write(sum);
    detail.textContent = parts(value).map(([what, count]) => `${count} ${what}`).join(", ");
  }

  #add(name, words) {
    const [place, term, figure, detail] = ["div", "dt", "dd", "dd"].map((tag) => document.createElement(tag));
    term.textContent = words;
    detail.className = "hint";
    place.append(term, figure, detail);
    $("stats").append(place);
    this.#shown.set(name, { figure, detail });
    return this.#shown.get(name);
  }

  #clear() {
    $("stats").replaceChildren();
    $("stats").hidden = true;
    this.#shown.clear();
  }
}
