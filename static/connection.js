// The connection panel: by which way the page hears, how long that takes, and what became of the session when the line broke.

import { $, say } from "./dom.js";

const BREAK_MS = 10_000;
/** The first figure is taken while the page reads everything else. */
const MEASURE_FIRST_MS = 2000;
const MEASURE_EVERY_MS = 15_000;
/** The state of several links is that of the worst. */
const WORST_FIRST = ["off", "waiting", "connecting", "polling", "live"];

export class Connection {
  #stay;
  #links = [];
  /** What has come of the last break, by namespace: {recovered, missed}. */
  #returns = new Map();
  /** Of the namespaces that are just back: how many events have come that they had missed. */
  #counts = new Map();

  constructor(stay) {
    this.#stay = stay;
    $("line-latency").textContent = "–";
    $("line-recovery").textContent = "None yet";
    delete $("line-panel").dataset.recovered;
    stay.listen($("line-measure"), "click", () => this.#measure());
    stay.listen($("line-break"), "click", () => this.#breakOrHurry());
    stay.listen($("to-line"), "click", () => {
      $("line-panel").scrollIntoView({ block: "center" });
      $("line-title").focus({ preventScroll: true });
    });
    this.#measureNowAndThen(MEASURE_FIRST_MS);
  }

  /** The first one added is the one that is measured. */
  add(link) {
    this.#links.push(link);
  }

  #worst() {
    return this.#links.toSorted((one, other) => WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state))[0];
  }

  show() {
    const { state, words, transport, isLive } = this.#worst();
    if ($("connection").textContent === words && $("connection").dataset.state === state) return;
    $("connection").dataset.state = $("line-panel").dataset.state = state;
    $("connection").textContent = $("line-state").textContent = words;
    $("line-transport").textContent = transport ?? "None";
    $("line-break").textContent = state === "waiting" ? "Come back now" : "Break the line";
    $("line-break").disabled = !isLive && state !== "waiting";
    $("line-measure").disabled = !this.#links[0].isLive;
    if (!this.#links[0].isLive) $("line-latency").textContent = "–";
  }

  /** A frame has come. */
  count(namespace, { event, offset }) {
    // The older name of an event has an offset of its own.
    const isOfLog = offset !== undefined && event !== "session" && event !== "notification:new";
    if (isOfLog && this.#counts.has(namespace)) this.#counts.set(namespace, this.#counts.get(namespace) + 1);
  }

  /** A link has signed in. What it has missed comes ahead of the answer to a ping. */
  async ready(link, { recovered, isReturn }) {
    const { namespace } = link;
    if (isReturn) this.#counts.set(namespace, 0);
    try {
      const took = await link.ping();
      if (this.#stay.isOver) return;
      if (link === this.#links[0]) this.#showLatency(took);
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
    $("line-panel").dataset.recovered = recovered;
    $("line-recovery").textContent = recovered ? `Recovered, ${missed ? `${events} came after` : "nothing was missed"}` : "Not recovered, all was read anew";
  }

  #breakOrHurry() {
    if (this.#worst().state !== "waiting") {
      this.#returns.clear();
      say($("line-recovery"), "Broken now");
      for (const link of this.#links) link.break(BREAK_MS);
    } else {
      for (const link of this.#links) link.hurry();
    }
  }

  async #measure() {
    try {
      const took = await this.#links[0].ping();
      if (!this.#stay.isOver) this.#showLatency(took);
    } catch {
      // The state says that there is no line.
    }
  }

  #measureNowAndThen(ms = MEASURE_EVERY_MS) {
    this.#stay.after(ms, () => {
      if (!document.hidden && this.#links[0].isLive) this.#measure();
      this.#measureNowAndThen();
    });
  }

  #showLatency(ms) {
    $("line-latency").textContent = ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
  }
}
