// What the server says of itself every few seconds: whatever numbers are there.

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

export class Stats {
  #shown = new Map();

  constructor(stay) {
    this.#clear();
    stay.signal.addEventListener("abort", () => this.#clear());
  }

  hear = {
    "server:stats": (stats) => {
      $("stats").hidden = false;
      for (const [name, value] of Object.entries(stats ?? {})) if (typeof value === "number") this.#show(name, value);
    },
  };

  ready() {}

  refresh() {
    return true;
  }

  #show(name, value) {
    const [unit, write] = UNITS.find(([unit]) => unit.test(name)) ?? [/$/, number.format];
    if (!this.#shown.has(name)) {
      const [place, term, figure] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      term.textContent = inWords(name.replace(unit, ""));
      figure.dataset.testid = `stats-${name}`;
      place.append(term, figure);
      $("stats").append(place);
      this.#shown.set(name, figure);
    }
    this.#shown.get(name).textContent = write(value);
  }

  #clear() {
    $("stats").replaceChildren();
    $("stats").hidden = true;
    this.#shown.clear();
  }
}
