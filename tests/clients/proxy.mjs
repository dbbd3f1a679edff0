// A TCP proxy in front of a server, for connections that break: it resets them, refuses new ones,
// freezes them, or cuts one at a chosen frame. It can also delay an upgrade.

import net from "node:net";

const TEXT = 1;
const UPGRADE = /^upgrade: websocket\r$/im;

export class Proxy {
  #lines = new Set();
  #refuses = false;
  #cuts = [];
  #allowance = null;
  #gate = null;

  constructor(server) {
    this.server = server;
    this.listener = net.createServer((client) => this.#take(client));
  }

  /** A proxy on its own port. Each connection goes to the current port of `server`. */
  static async start(server) {
    const proxy = new Proxy(server);
    await new Promise((resolve, reject) => proxy.listener.once("error", reject).listen(0, "127.0.0.1", 4096, resolve));
    proxy.url = `http://127.0.0.1:${proxy.listener.address().port}`;
    return proxy;
  }

  /** Resets connections on both sides: all, or those that `choose` accepts. Returns their number. */
  cut(choose = () => true) {
    const chosen = [...this.#lines].filter(choose);
    for (const line of chosen) line.reset();
    return chosen.length;
  }

  /** Ends all WebSockets as Caddy 2.6 does when it reloads: with the same close frame for both ends, so the server's has no mask. */
  reload() {
    const goingAway = Buffer.from([0x88, 2, 0x03, 0xe9]);
    for (const { client, server } of this.#lines) for (const end of [client, server]) end.end(goingAway);
  }

  /** From now on, new connections are reset at once. */
  refuse() {
    this.#refuses = true;
  }

  accept() {
    this.#refuses = false;
  }

  /** Refuses all connections during `work`, and accepts them again afterwards. */
  async outage(work) {
    this.refuse();
    this.cut();
    await work?.();
    this.accept();
  }

  /**
   * From now on, open connections swallow the bytes of either side, and tell neither that the other has gone; new ones are not
   * affected. Resolves when the server has closed its ends.
   */
  freeze() {
    const frozen = [...this.#lines];
    for (const line of frozen) line.isFrozen = true;
    return Promise.all(frozen.map((line) => line.left));
  }

  /** Resets the connection "before", "within" or "after" the next text frame of the server that `matches`. Resolves then. */
  cutAt(matches, where = "after") {
    return new Promise((done) => this.#cuts.push({ matches, where, done }));
  }

  /** Resets the next connection after this many bytes of the server. Resolves then. */
  allow(bytes) {
    return new Promise((done) => (this.#allowance = { bytes, done }));
  }

  /** From now on, WebSocket requests wait before they reach the server, until the returned function is called. */
  holdUpgrades() {
    let open;
    this.#gate = new Promise((resolve) => (open = resolve));
    return open;
  }

  close() {
    this.cut();
    this.listener.close();
  }

  #take(client) {
    if (this.#refuses) {
      reset(client.on("error", () => {}));
      return;
    }
    const line = new Line(client, this.server.port, this.#allowance, this.#gate, (text) => this.#look(text));
    this.#allowance = null;
    this.#lines.add(line);
    line.left.then(() => this.#lines.delete(line));
  }

  /** The cut that is due at this frame, if any. Each cut happens once. */
  #look(text) {
    const at = this.#cuts.findIndex(({ matches }) => matches(text));
    return at < 0 ? null : this.#cuts.splice(at, 1)[0];
  }
}

/** One connection through the proxy. */
class Line {
  isFrozen = false;
  #isOver = false;

  constructor(client, port, allowance, gate, look) {
    this.client = client;
    this.allowance = allowance ?? { bytes: Infinity };
    this.gate = gate;
    this.look = look;
    this.frames = new Frames();
    this.server = net.connect({ port, host: "127.0.0.1", noDelay: true });
    client.setNoDelay(true);
    client.on("data", (bytes) => this.isFrozen || this.#isOver || this.#up(bytes));
    this.server.on("data", (bytes) => this.isFrozen || this.#down(bytes));
    for (const [from, to] of [[client, this.server], [this.server, client]]) {
      from.on("error", () => this.isFrozen || reset(to));
      from.on("end", () => this.isFrozen || to.end());
      from.on("close", () => this.isFrozen || to.destroySoon());
    }
    this.left = new Promise((resolve) => this.server.once("close", resolve));
  }

  reset() {
    this.#isOver = true;
    reset(this.client);
    reset(this.server);
  }

  async #up(bytes) {
    // A client sends nothing more while its request waits.
    if (this.gate && UPGRADE.test(bytes.toString("latin1"))) await this.gate;
    if (!this.#isOver) this.server.write(bytes);
  }

  #down(bytes) {
    for (const { piece, text } of this.frames.read(bytes)) {
      if (this.#isOver) return;
      const cut = text === null ? null : this.look(text);
      let end = piece.length;
      if (cut) end = { before: 0, within: piece.length >> 1, after: piece.length }[cut.where];
      const isSpent = end >= this.allowance.bytes;
      end = Math.min(end, this.allowance.bytes);
      this.allowance.bytes -= end;
      if (!cut && !isSpent) {
        this.client.write(piece);
        continue;
      }
      // Later bytes must not pass.
      this.#isOver = true;
      this.client.write(piece.subarray(0, end), () => {
        this.reset();
        cut?.done();
        if (isSpent) this.allowance.done();
      });
    }
  }
}

/** Ends a socket by RST. A half-closed socket is destroyed instead, because Node would never release it. */
const reset = (socket) => (socket.writableEnded ? socket.destroy() : socket.resetAndDestroy());

/** Splits a server's bytes into an HTTP head and, after a 101, WebSocket frames (RFC 6455 section 5.2). */
class Frames {
  #rest = Buffer.alloc(0);
  #isWebSocket = null;

  /** Complete pieces, each with its text if it is a text frame. */
  *read(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const length = this.#length();
      if (length === 0 || length > this.#rest.length) return;
      const piece = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      if (this.#isWebSocket === null) {
        this.#isWebSocket = piece.toString("latin1").startsWith("HTTP/1.1 101");
        yield { piece, text: null };
      } else {
        yield { piece, text: this.#isWebSocket && (piece[0] & 15) === TEXT ? piece.subarray(head(piece)).toString() : null };
      }
    }
  }

  /** The length of the next piece; 0, or more than is available, if it is incomplete. */
  #length() {
    if (this.#isWebSocket === null) {
      const end = this.#rest.indexOf("\r\n\r\n");
      return end < 0 ? 0 : end + 4;
    }
    if (!this.#isWebSocket) return this.#rest.length;
    if (this.#rest.length < 2 || this.#rest.length < head(this.#rest)) return 0;
    const short = this.#rest[1] & 127;
    const payload = short < 126 ? short : short === 126 ? this.#rest.readUInt16BE(2) : Number(this.#rest.readBigUInt64BE(2));
    return head(this.#rest) + payload;
  }
}

/** The length of a frame's head; a server's frames have no mask. */
const head = (frame) => ({ 126: 4, 127: 10 })[frame[1] & 127] ?? 2;
