// The connection panel: by which way the page hears, how long that takes, and what became of the session when the line broke.

import { $, showText } from "./dom.js";

const BREAK_MS = 10_000;
/** The first figure is taken while the page reads everything else. */
const MEASURE_FIRST_MS = 2000;
const MEASURE_EVERY_MS = 15_000;
/** The state of several channels is that of the worst. */
const WORST_FIRST = ["off", "waiting", "connecting", "polling", "live"];

export class ConnectionPanel {
  #scope;
  #channels = [];
  /** What has come of the last break, by namespace: {recovered, missed}. */
  #returns = new Map();
  /** Of the namespaces that are just back: how many events have come that they had missed. */
  #counts = new Map();

  constructor(scope) {
    this.#scope = scope;
    $("round-trip").textContent = "–";
    $("last-break").textContent = "None yet";
    delete $("connection-panel").dataset.recovered;
    scope.listen($("measure"), "click", () => this.#measure());
    scope.listen($("break-connection"), "click", () => this.#breakOrHurry());
    scope.listen($("open-drawer"), "click", () => {
      $("connection-panel").scrollIntoView({ block: "center" });
      $("connection-title").focus({ preventScroll: true });
    });
    this.#measureNowAndThen(MEASURE_FIRST_MS);
  }

  /** The first one added is the one that is measured. */
  add(channel) {
    this.#channels.push(channel);
  }

  #worst() {
    return this.#channels.toSorted((one, other) => WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state))[0];
  }

  show() {
    const { state, words, transport, isLive } = this.#worst();
    if ($("connection").textContent === words && $("connection").dataset.state === state) return;
    $("connection").dataset.state = $("connection-panel").dataset.state = state;
    $("connection").textContent = $("connection-state").textContent = words;
    $("transport").textContent = transport ?? "None";
    $("break-connection").textContent = state === "waiting" ? "Come back now" : "Break the line";
    $("break-connection").disabled = !isLive && state !== "waiting";
    $("measure").disabled = !this.#channels[0].isLive;
    if (!this.#channels[0].isLive) $("round-trip").textContent = "–";
  }

  /** A frame has come. */
  count(namespace, { event, offset }) {
    // The older name of an event has an offset of its own.
    const isOfLog = offset !== undefined && event !== "session" && event !== "notification:new";
    if (isOfLog && this.#counts.has(namespace)) this.#counts.set(namespace, this.#counts.get(namespace) + 1);
  }

  /** A channel has signed in. What it has missed comes ahead of the answer to a ping. */
  async ready(channel, { recovered, isReturn }) {
    const { namespace } = channel;
    if (isReturn) this.#counts.set(namespace, 0);
    try {
      const took = await channel.ping();
      if (this.#scope.isOver) return;
      if (channel === this.#channels[0]) this.#showLatency(took);
      if (isReturn) this.#showReturn(namespace, { recovered, missed: this.#counts.get(namespace) });
    } catch {
      // Gone again: the next sign-in will tell.
    } finally {
      this.#counts.delete(namespace);
    }
  }

  #showReturn(namespace, what) {
    this.#returns.set(namespace, what);
    const all = [...this.#returns.values()];
    const recovered = all.every((one) => one.recovered);
    const missed = all.reduce((sum, one) => sum + one.missed, 0);
    const events = `${missed} missed ${missed === 1 ? "event" : "events"}`;
    $("connection-panel").dataset.recovered = recovered;
    $("last-break").textContent = recovered ? `Recovered, ${missed ? `${events} came after` : "nothing was missed"}` : "Not recovered, all was read anew";
  }

  #breakOrHurry() {
    if (this.#worst().state !== "waiting") {
      this.#returns.clear();
      showText($("last-break"), "Broken now");
      for (const channel of this.#channels) channel.break(BREAK_MS);
    } else {
      for (const channel of this.#channels) channel.hurry();
    }
  }

  async #measure() {
    try {
      const took = await this.#channels[0].ping();
      if (!this.#scope.isOver) this.#showLatency(took);
    } catch {
      // The state says that there is no line.
    }
  }

  #measureNowAndThen(ms = MEASURE_EVERY_MS) {
    this.#scope.after(ms, () => {
      if (!document.hidden && this.#channels[0].isLive) this.#measure();
      this.#measureNowAndThen();
    });
  }

  #showLatency(ms) {
    $("round-trip").textContent = ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
  }
}
