// For where no WebSocket gets through: a socket that carries the same frames by Engine.IO's long-polling, so that the line need not know.
// What is said on it is Socket.IO (https://socket.io/docs/v4/engine-io-protocol/, …/socket-io-protocol/), as far as this page needs it.

const SEPARATOR = "\x1e";
/** Close codes for what refuses a CONNECT. */
const REFUSALS = { unauthorized: 4401, forbidden: 4403, not_found: 4404, token_expired: 4401 };

export class PollSocket {
  onopen = null;
  onmessage = null;
  onclose = null;
  #prefix;
  #resume;
  #address = "/socket.io/?EIO=4&transport=polling";
  #patience;
  #pid;
  #lastFault;
  #waiting = [];
  #isPosting = false;
  #end = new AbortController();

  /** `resume` is {session, offset}, of one that is to go on, or empty. */
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
    this.#post(`42${this.#prefix}${id ?? ""}${JSON.stringify(data === undefined ? [event] : [event, data])}`);
  }

  /** With 1000 for good; without a code as a line that is lost, which a broken poll is to the server. */
  close(code) {
    this.onopen = this.onmessage = this.onclose = null;
    const end = () => this.#end.abort();
    if (code !== 1000 || !this.#patience || this.#end.signal.aborted) return end();
    fetch(this.#address, { method: "POST", body: `41${this.#prefix}`, keepalive: true }).then(end, end);
  }

  async #run() {
    try {
      const [open] = await this.#get();
      const { sid, pingInterval, pingTimeout } = JSON.parse(open.slice(1));
      this.#address += `&sid=${sid}`;
      this.#patience = pingInterval + pingTimeout;
      this.onopen?.();
      while (!this.#end.signal.aborted) for (const packet of await this.#get()) this.#take(packet);
    } catch {
      this.#lost(1006);
    }
  }

  async #get() {
    // A server that is there says so once an interval.
    const signal = this.#patience ? AbortSignal.any([this.#end.signal, AbortSignal.timeout(this.#patience)]) : this.#end.signal;
    const response = await fetch(this.#address, { signal, cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    return (await response.text()).split(SEPARATOR);
  }

  /** In the order of saying, several at once while a request is under way. */
  async #post(packet) {
    this.#waiting.push(packet);
    if (this.#isPosting) return;
    this.#isPosting = true;
    try {
      while (this.#waiting.length > 0) {
        const body = this.#waiting.splice(0).join(SEPARATOR);
        const response = await fetch(this.#address, { method: "POST", body, signal: this.#end.signal });
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
    if (type === "2") this.#hear(content);
    if (type === "3") this.#tell({ ack: Number(id), data: content[0] });
    if (type === "4") this.#refused(content);
  }

  #hear([event, data, offset]) {
    // By the plain protocol the session goes by the name that resumes it.
    if (event === "session" && this.#pid) data.session = this.#pid;
    if (event === "error") this.#lastFault = data?.event ? undefined : data?.code;
    this.#tell({ event, data, ...(typeof offset === "string" && { offset }) });
  }

  #tell(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  #refused({ message, data }) {
    const code = { Forbidden: 4403, "Invalid namespace": 4404 }[message] ?? REFUSALS[data?.code] ?? 1013;
    this.#lost(code, data?.reason === "expired" ? "token_expired" : data?.code);
  }

  #lost(code, reason = "") {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    this.onclose?.({ code, reason });
  }
}
