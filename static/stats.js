// The strip with the server's figures, from `server:stats` every two seconds.

import { $, count } from "./dom.js";

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

const KINDS = {
  "websocket plain": "plain WebSocket",
  "websocket socketio": "Socket.IO WebSocket",
  "polling socketio": "Socket.IO poller",
  // Not in a namespace yet.
  "websocket engineio": "new WebSocket",
  "polling engineio": "new poller",
};

const connectionsInWords = (connections) =>
  connections
    .filter((kind) => kind.count > 0)
    .map((kind) => {
      const words = `${kind.transport} ${kind.protocol}`;
      return count(kind.count, KINDS[words] ?? words);
    })
    .join(", ") || "0";

/** An order desk has a socket on `/` too, so those are not counted as customers. */
function peopleInWords(sockets) {
  const desks = sockets["/admin"] ?? 0;
  const customers = Math.max(0, (sockets["/"] ?? 0) - desks);
  return `${count(customers, "customer")}, ${count(desks, "desk")}`;
}

const rateInWords = (rate) =>
  `${number.format(rate)} ${rate === 1 ? "event" : "events"} a second`;

function durationInWords(seconds) {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${count(days, "day")} ${count(hours, "hour")}`;
  if (hours) return `${count(hours, "hour")} ${count(minutes, "minute")}`;
  return minutes ? count(minutes, "minute") : count(Math.floor(seconds), "second");
}

/** Each figure of the strip: its field in the event, its label, and its value in words. */
const FIGURES = [
  ["connections", "Connections", connectionsInWords],
  ["sockets", "Signed in", peopleInWords],
  ["rooms", "Rooms", (rooms) => `${rooms} in use`],
  ["eventsPerSecond", "Traffic", rateInWords],
  ["memoryBytes", "Memory", (bytes) => `${number.format(bytes / 1024 / 1024)} MiB`],
  ["uptimeSeconds", "Running for", durationInWords],
];

export class Stats {
  constructor(scope) {
    this.#clear();
    scope.signal.addEventListener("abort", () => this.#clear());
  }

  handlers = {
    "server:stats": (stats) => {
      const known = FIGURES.filter(([field]) => (stats[field] ?? null) !== null);
      const figures = known.map(([field, label, inWords]) => [label, inWords(stats[field])]);
      if ($("stats").children.length !== figures.length) this.#build(figures.length);
      for (const [at, [label, words]] of figures.entries()) {
        const [term, value] = $("stats").children[at].children;
        term.textContent = label;
        value.textContent = words;
      }
      $("stats").hidden = false;
    },
  };

  ready() {}

  refresh() {
    return true;
  }

  #build(many) {
    const figures = Array.from({ length: many }, () => {
      const figure = document.createElement("div");
      figure.append(document.createElement("dt"), document.createElement("dd"));
      return figure;
    });
    $("stats").replaceChildren(...figures);
  }

  #clear() {
    $("stats").replaceChildren();
    $("stats").hidden = true;
  }
}
