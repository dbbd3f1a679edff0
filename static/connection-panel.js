// The connection in the bar and in the drawer: its transport, its round trip, and the outcome of
// its last break.

import { $, count, showText } from "./dom.js";

const BREAK_MS = 10_000;
/** The first measurement waits until the page has read its data. */
const MEASURE_FIRST_MS = 2000;
const MEASURE_EVERY_MS = 15_000;
/** With several channels, the page shows the worst state. */
const WORST_FIRST = ["off", "waiting", "connecting", "polling", "live"];

export class ConnectionPanel {
  #scope;
  #channels = [];
  /** The outcome of the last break, {recovered, missed}, by namespace. */
  #outcomes = new Map();
  /** Missed events received so far, by namespace, while its socket comes back. */
  #counts = new Map();

  constructor(scope) {
    this.#scope = scope;
    $("round-trip").textContent = "–";
    $("last-break").textContent = "None yet";
    delete $("connection-panel").dataset.recovered;
    scope.listen($("measure"), "click", () => this.#measure());
    scope.listen($("break-connection"), "click", () => this.#breakOrHurry());
    this.#measureRegularly(MEASURE_FIRST_MS);
  }

  /** The first channel added is the one that is measured. */
  add(channel) {
    this.#channels.push(channel);
  }

  #worst() {
    const rank = ({ state }) => WORST_FIRST.indexOf(state);
    return this.#channels.toSorted((one, other) => rank(one) - rank(other))[0];
  }

  show() {
    const { state, words, transport, isLive } = this.#worst();
    const status = $("connection");
    if (status.textContent === words && status.dataset.state === state) return;
    status.dataset.state = $("connection-panel").dataset.state = state;
    status.textContent = $("connection-state").textContent = words;
    $("transport").textContent = transport ?? "None";
    const isWaiting = state === "waiting";
    $("break-connection").textContent = isWaiting ? "Reconnect now" : "Break the connection";
    $("break-connection").disabled = !isLive && !isWaiting;
    $("measure").disabled = !this.#channels[0].isLive;
    if (!this.#channels[0].isLive) $("round-trip").textContent = "–";
  }

  /** Counts a frame that came in. */
  count(namespace, { event, offset }) {
    // An alias of an event has an offset of its own, but is not one more event.
    const isStored = offset !== undefined && event !== "session" && event !== "notification:new";
    if (!isStored || !this.#counts.has(namespace)) return;
    this.#counts.set(namespace, this.#counts.get(namespace) + 1);
  }

  /** Called after each sign-in. The missed events come before the answer to a ping. */
  async ready(channel, { recovered, isReturn }) {
    const { namespace } = channel;
    if (isReturn) this.#counts.set(namespace, 0);
    try {
      const took = await channel.ping();
      if (this.#scope.isOver) return;
      if (channel === this.#channels[0]) this.#showRoundTrip(took);
      const missed = this.#counts.get(namespace);
      if (isReturn) this.#showOutcome(namespace, { recovered, missed });
    } catch {
      // Disconnected again; the next sign-in shows the outcome.
    } finally {
      this.#counts.delete(namespace);
    }
  }

  #showOutcome(namespace, outcome) {
    this.#outcomes.set(namespace, outcome);
    const all = [...this.#outcomes.values()];
    const recovered = all.every((one) => one.recovered);
    const missed = all.reduce((sum, one) => sum + one.missed, 0);
    const news = missed ? `${count(missed, "missed event")} came after` : "nothing was missed";
    $("connection-panel").dataset.recovered = recovered;
    $("last-break").textContent = recovered
      ? `Recovered, ${news}`
      : "Not recovered, everything was read again";
  }

  #breakOrHurry() {
    if (this.#worst().state === "waiting") {
      for (const channel of this.#channels) channel.hurry();
      return;
    }
    this.#outcomes.clear();
    showText($("last-break"), "Broken now");
    for (const channel of this.#channels) channel.break(BREAK_MS);
  }

  async #measure() {
    try {
      const took = await this.#channels[0].ping();
      if (!this.#scope.isOver) this.#showRoundTrip(took);
    } catch {
      // The state already says that there is no connection.
    }
  }

  #measureRegularly(ms = MEASURE_EVERY_MS) {
    this.#scope.after(ms, () => {
      if (!document.hidden && this.#channels[0].isLive) this.#measure();
      this.#measureRegularly();
    });
  }

  #showRoundTrip(ms) {
    $("round-trip").textContent = ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
  }
}
