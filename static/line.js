// The line: one plain WebSocket at /ws, opened again when it breaks, with answers to what asked for one.

const RETRY = { shortest: 1000, longest: 10_000 };
/** A socket that is not signed in, or a question that is not answered, after so long: the line is dead, although nobody said so. */
const PATIENCE_MS = 10_000;

/** Close codes after which coming back would not help, and what to tell. */
const FINAL = {
  4400: "The server did not understand this page.",
  4401: "Your session has ended. Please sign in again.",
  4403: "This account may not open the order desk.",
  4404: "This server has no such namespace.",
};
export const SESSION_ENDED = FINAL[4401];

/** The server's refusal of an event (its code and words), or `offline` when there was no line, or it broke before the answer. */
export class LineError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }

  /** Whether asking the same again would only get the same. */
  get isFinal() {
    return !["offline", "unavailable", "rate_limited"].includes(this.code);
  }
}

export class Line {
  #socket = null;
  #timer;
  #patience;
  #failures = 0;
  #hint = 0;
  #ended = false;
  #wasLive = false;
  #lastId = 0;
  #asked = new Map();

  /** Signed in, and told its session. */
  isLive = false;

  /**
   * `onState(state, words)`, `onFrame(way, frame)`, `onReady()` after each sign-in, `onEnd(code, words)` when it is for good. Nothing
   * happens before `open`.
   */
  constructor(namespace, token, handlers) {
    this.url = new URL("/ws", location.href);
    this.url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.url.searchParams.set("namespace", namespace);
    this.token = token;
    this.on = handlers;
  }

  open() {
    this.on.onState("connecting", "Connecting");
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#patience = setTimeout(() => this.#giveUp(), PATIENCE_MS);
    socket.onopen = () => {
      // The token goes in the first frame and never in the URL, which ends up in logs.
      this.#write({ event: "auth", data: { token: this.token } });
    };
    socket.onmessage = ({ data }) => this.#read(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lost(code);
  }

  /** Sends an event; with `ack`, one whose answer is only shown among the frames. */
  send(event, data, { ack = false } = {}) {
    if (!this.isLive) throw new LineError("offline", "Not connected.");
    this.#write(ack ? { event, data, id: ++this.#lastId } : { event, data });
  }

  /** Sends an event and resolves to its answer. */
  ask(event, data) {
    return new Promise((resolve, reject) => {
      if (!this.isLive) throw new LineError("offline", "Not connected.");
      const id = ++this.#lastId;
      this.#asked.set(id, { resolve, reject, timer: setTimeout(() => this.#giveUp(), PATIENCE_MS) });
      this.#write({ event, data, id });
    });
  }

  #write(frame) {
    this.#socket.send(JSON.stringify(frame));
    this.on.onFrame("out", frame);
  }

  #read(frame) {
    const { event, data } = frame;
    if (event === "session") {
      clearTimeout(this.#patience);
      this.#failures = 0;
      this.isLive = this.#wasLive = true;
      this.on.onState("live", "Live");
      this.on.onFrame("in", frame);
      this.on.onReady();
      return;
    }
    if (event === "server:shutdown") this.#hint = data?.reconnectAfterMs ?? 0;
    this.on.onFrame("in", frame);
    if (frame.ack !== undefined) this.#answer(frame.ack, data);
  }

  #answer(id, data) {
    const question = this.#asked.get(id);
    if (!question) return;
    this.#asked.delete(id);
    clearTimeout(question.timer);
    if (data?.ok === false) question.reject(new LineError(data.error?.code ?? "invalid", data.error?.message ?? "The server refused."));
    else question.resolve(data);
  }

  #giveUp() {
    // A close handshake over a dead line could take minutes.
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#lost(1006);
  }

  #lost(code) {
    clearTimeout(this.#patience);
    this.isLive = false;
    this.#forgetQuestions();
    if (this.#ended) return;
    if (FINAL[code]) {
      this.#ended = true;
      this.on.onState("off", "Not connected");
      this.on.onEnd(code, FINAL[code]);
      return;
    }
    // Anywhere between the shortest wait and a bound that doubles: a thousand pages do not all come back at once.
    this.#failures += 1;
    const bound = Math.min(RETRY.longest, RETRY.shortest * 2 ** this.#failures);
    const wait = this.#hint || RETRY.shortest + Math.random() * (bound - RETRY.shortest);
    this.#hint = 0;
    this.#timer = setTimeout(() => this.open(), wait);
    this.on.onState("waiting", `${this.#wasLive ? "Connection lost" : "No connection"}. Trying again in ${Math.ceil(wait / 1000)} s`);
  }

  #forgetQuestions() {
    const left = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject, timer } of left) {
      clearTimeout(timer);
      reject(new LineError("offline", "The connection was lost before the answer came."));
    }
  }

  /** The network is back: do not sit out the wait. */
  hurry() {
    if (this.#ended || this.#socket.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.#timer);
    this.open();
  }

  close() {
    this.#ended = true;
    this.isLive = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    this.#socket?.close(1000);
    this.#forgetQuestions();
  }
}
