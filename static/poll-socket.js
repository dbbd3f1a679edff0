// Carries the frames of the plain protocol over Engine.IO's long-polling, with the interface of a
// WebSocket. It speaks as much of Socket.IO as this page needs:
// https://socket.io/docs/v4/engine-io-protocol/ and https://socket.io/docs/v4/socket-io-protocol/

import { socketioPath } from "./settings.js";

const SEPARATOR = "\x1e";
/** The close code of the plain protocol for each reason to refuse a CONNECT. */
const REFUSALS = {
  unauthorized: 4401,
  forbidden: 4403,
  not_found: 4404,
  token_expired: 4401,
  rate_limited: 4429,
};

export class PollSocket {
  onopen = null;
  onmessage = null;
  onclose = null;
  #prefix;
  #resume;
  #address = `${socketioPath}/?EIO=4&transport=polling`;
  #patience;
  #pid;
  #lastFault;
  #queue = [];
  #isPosting = false;
  #end = new AbortController();

  /** `resume` is {session, offset} of a session to resume, or empty. */
  constructor(namespace, resume) {
    this.#prefix = namespace === "/" ? "" : `${namespace},`;
    this.#resume = resume;
    this.#run();
  }

  /** Takes a frame of the plain protocol. */
  send(text) {
    const { event, data, id } = JSON.parse(text);
    if (event === "auth") {
      const { session: pid, offset } = this.#resume;
      return this.#post(`40${this.#prefix}${JSON.stringify({ ...data, pid, offset })}`);
    }
    const content = JSON.stringify(data === undefined ? [event] : [event, data]);
    this.#post(`42${this.#prefix}${id ?? ""}${content}`);
  }

  /** Code 1000 ends the session; without a code it stays resumable, as after a lost network. */
  close(code) {
    this.onopen = this.onmessage = this.onclose = null;
    const end = () => this.#end.abort();
    if (code !== 1000 || !this.#patience || this.#end.signal.aborted) return end();
    const disconnect = { method: "POST", body: `41${this.#prefix}`, keepalive: true };
    fetch(this.#address, disconnect).then(end, end);
  }

  async #run() {
    try {
      const [open] = await this.#get();
      const { sid, pingInterval, pingTimeout } = JSON.parse(open.slice(1));
      this.#address += `&sid=${sid}`;
      this.#patience = pingInterval + pingTimeout;
      this.onopen?.();
      while (!this.#end.signal.aborted) {
        for (const packet of await this.#get()) this.#take(packet);
      }
    } catch {
      this.#lost(1006);
    }
  }

  async #get() {
    // The server pings once an interval, so a longer silence means that it is gone.
    const signal = this.#patience
      ? AbortSignal.any([this.#end.signal, AbortSignal.timeout(this.#patience)])
      : this.#end.signal;
    const response = await fetch(this.#address, { signal, cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    return (await response.text()).split(SEPARATOR);
  }

  /** Sends packets in order, one request at a time; a request takes all that are queued. */
  async #post(packet) {
    this.#queue.push(packet);
    if (this.#isPosting) return;
    this.#isPosting = true;
    try {
      while (this.#queue.length > 0) {
        const body = this.#queue.splice(0).join(SEPARATOR);
        const request = { method: "POST", body, signal: this.#end.signal };
        const response = await fetch(this.#address, request);
        if (!response.ok) throw new Error(response.statusText);
      }
    } catch {
      this.#lost(1006);
    } finally {
      this.#isPosting = false;
    }
  }

  #take(packet) {
    if (this.#end.signal.aborted) return;
    if (packet === "2") return this.#post("3");
    if (packet === "1") return this.#lost(1001);
    const [, type, id, rest] = /^4(\d)(?:\/[^,]*,?)?(\d*)(.*)$/s.exec(packet) ?? [];
    const content = rest ? JSON.parse(rest) : undefined;
    if (type === "0") this.#pid = content.pid;
    if (type === "1") this.#lost(REFUSALS[this.#lastFault] ?? 1000, this.#lastFault);
    if (type === "2") this.#event(content);
    if (type === "3") this.#deliver({ ack: Number(id), data: content[0] });
    if (type === "4") this.#refused(content);
  }

  #event([event, data, offset]) {
    // On the plain protocol the session's name is what resumes it; on Socket.IO that is the pid.
    if (event === "session" && this.#pid) data.session = this.#pid;
    if (event === "error") this.#lastFault = data?.event ? undefined : data?.code;
    this.#deliver({ event, data, ...(typeof offset === "string" && { offset }) });
  }

  #deliver(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  #refused({ message, data }) {
    const byMessage = { Forbidden: 4403, "Invalid namespace": 4404 }[message];
    const reason = data?.reason === "expired" ? "token_expired" : data?.code;
    this.#lost(byMessage ?? REFUSALS[data?.code] ?? 1013, reason);
  }

  #lost(code, reason = "") {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    this.onclose?.({ code, reason });
  }
}
