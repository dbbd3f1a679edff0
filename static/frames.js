// The frames in the drawer: everything that the sockets carry, and a form to send any event.

import { $, cloneTemplate, showText, timeOfDay } from "./dom.js";

const FRAMES_KEPT = 200;

/** A token must not be seen, not even on its owner's screen. */
const withoutSecrets = (key, value) =>
  /^(access)?token$|^authentication$/i.test(key) ? "…" : value;

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
    for (const id of ["send-event", "send-data"]) {
      scope.listen($(id), "input", () => this.#showFault(null));
    }
  }

  /** Offers the channel in the form, which asks for a namespace only when there are several. */
  offer(channel) {
    this.#channels.set(channel.namespace, channel);
    $("send-namespace").add(new Option(channel.namespace));
    $("send-namespace-field").hidden = this.#channels.size < 2;
  }

  show(namespace, direction, { event, data, id, ack }) {
    const row = cloneTemplate("frame-row");
    // Statistics come every two seconds and would bury the rest, so only the latest is kept.
    if (event === "server:stats") {
      $("frames").querySelector('[data-event="server:stats"]')?.remove();
    }
    row.dataset.event = event ?? "ack";
    row.dataset.direction = direction;
    row.querySelector(".direction").textContent = direction === "in" ? "←" : "→";
    row.querySelector("b").textContent = event ?? "ack";
    const number = id ?? ack;
    const notes = [this.#channels.size > 1 && namespace, number !== undefined && `#${number}`];
    row.querySelector(".note").textContent = notes.filter(Boolean).join(" ");
    row.querySelector("time").textContent = timeOfDay(new Date());
    row.querySelector("code").textContent = JSON.stringify(data ?? null, withoutSecrets, 1);
    $("frames").prepend(row);
    if ($("frames").children.length > FRAMES_KEPT) $("frames").lastElementChild.remove();
  }

  #send() {
    const event = $("send-event").value.trim();
    const text = $("send-data").value.trim();
    if (!event) return this.#showFault("The event has no name.", "send-event");
    let data;
    try {
      data = text ? JSON.parse(text) : undefined;
    } catch (error) {
      return this.#showFault(`The data is not JSON: ${error.message}`, "send-data");
    }
    try {
      const channel = this.#channels.get($("send-namespace").value);
      channel.send(event, data, { ack: $("send-ack").checked });
      this.#showFault(null);
    } catch (error) {
      this.#showFault(error.message);
    }
  }

  /** Shows a fault at the form and marks the field that has it. */
  #showFault(words, field) {
    for (const id of ["send-event", "send-data"]) $(id).ariaInvalid = String(id === field);
    showText($("send-error"), words);
    if (field) $(field).focus();
  }
}
