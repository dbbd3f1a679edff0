// The frames panel: what the sockets carry, both ways, and a box to send any event.

import { $, cloneTemplate, showText, timeOfDay } from "./dom.js";

const FRAMES_KEPT = 200;

/** A token is nobody's business, not even on one's own screen. */
const withoutSecrets = (key, value) => (/^(access)?token$|^authentication$/i.test(key) ? "…" : value);

export class Frames {
  #scope;
  #channels = new Map();

  constructor(scope) {
    this.#scope = scope;
    $("frames").replaceChildren();
    $("send-namespace").replaceChildren();
    showText($("send-error"), null);
    scope.listen($("send-form"), "submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    for (const id of ["send-event", "send-data"]) scope.listen($(id), "input", () => this.#fault(null));
  }

  /** Where there is more than one to choose from, the box asks which. */
  offer(channel) {
    this.#channels.set(channel.namespace, channel);
    $("send-namespace").add(new Option(channel.namespace));
    $("send-namespace-field").hidden = this.#channels.size < 2;
  }

  show(namespace, way, { event, data, id, ack }) {
    const row = cloneTemplate("frame-row");
    // What comes every two seconds would bury the rest: the latest stands for all.
    if (event === "server:stats") $("frames").querySelector('[data-event="server:stats"]')?.remove();
    row.dataset.event = event ?? "ack";
    row.dataset.way = way;
    row.querySelector(".way").textContent = way === "in" ? "←" : "→";
    row.querySelector("b").textContent = event ?? "ack";
    const notes = [this.#channels.size > 1 && namespace, (id ?? ack) !== undefined && `#${id ?? ack}`];
    row.querySelector(".note").textContent = notes.filter(Boolean).join(" ");
    row.querySelector("time").textContent = timeOfDay(new Date());
    row.querySelector("code").textContent = JSON.stringify(data ?? null, withoutSecrets, 1);
    $("frames").prepend(row);
    if ($("frames").children.length > FRAMES_KEPT) $("frames").lastElementChild.remove();
  }

  #send() {
    const event = $("send-event").value.trim();
    const text = $("send-data").value.trim();
    if (!event) return this.#fault("The event has no name.", "send-event");
    let data;
    try {
      data = text ? JSON.parse(text) : undefined;
    } catch (error) {
      return this.#fault(`The data is not JSON: ${error.message}`, "send-data");
    }
    try {
      this.#channels.get($("send-namespace").value).send(event, data, { ack: $("send-ack").checked });
      this.#fault(null);
    } catch (error) {
      this.#fault(error.message);
    }
  }

  /** Tells it at the box, and marks the field that it is about. */
  #fault(words, at) {
    for (const id of ["send-event", "send-data"]) $(id).ariaInvalid = String(id === at);
    showText($("send-error"), words);
    if (at) $(at).focus();
  }
}
