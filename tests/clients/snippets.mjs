// The files of docs/clients.md: taken out of the document, and run as its readers would. Front ends run in jsdom's window, on the browsers'
// builds of socket.io-client, React and Vue, with the page of index.html.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { JSDOM, VirtualConsole } from "jsdom";
import { compileScript, parse } from "vue/compiler-sfc";
import WebSocket from "ws";
import { until, within } from "./harness.mjs";

const DOCUMENT = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
const ADDRESS = "127.0.0.1:3000";
const MODULES = fileURLToPath(new URL("node_modules", import.meta.url));

/** `[{text, name}]` of each block; one whose first line is no name has none. */
export const blocks = [...DOCUMENT.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, text]) => {
  return { text, name: /^(?:\/\/|#|<!--) ([\w/]+\.\w+)(?: -->)?\n/.exec(text)?.[1] };
});

/** A component of Vue, as its bundler plugins make it: the template within the setup function. */
const vue = {
  name: "vue",
  setup({ onLoad }) {
    onLoad({ filter: /\.vue$/ }, ({ path }) => {
      const { descriptor, errors } = parse(readFileSync(path, "utf8"), { filename: path });
      if (errors.length > 0) throw errors[0];
      return { contents: compileScript(descriptor, { id: path, inlineTemplate: true }).content, loader: "js" };
    });
  },
};

/** socket.io-client itself, whose sockets can be looked at in `window.sockets`. */
const library = {
  name: "socket.io-client",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^socket\.io-client$/ }, () => ({ path: "seen", namespace: "seen" }));
    onResolve({ filter: /^real$/, namespace: "seen" }, () => ({ path: join(MODULES, "socket.io-client/build/esm/index.js") }));
    onLoad({ filter: /./, namespace: "seen" }, () => ({
      contents: `import { io as open } from "real"; window.sockets = []; export const io = (...args) => { const socket = open(...args); window.sockets.push(socket); return socket; };`,
    }));
  },
};

/** The files, in a directory of their own until `close`, pointed at the server (or proxy) at `url`. */
export class Files {
  #directory = mkdtempSync(join(tmpdir(), "hubcast-snippets-"));

  constructor(url) {
    this.url = url;
    for (const { text, name } of blocks.filter(({ name }) => name)) {
      mkdirSync(dirname(this.path(name)), { recursive: true });
      writeFileSync(this.path(name), text.replaceAll(ADDRESS, new URL(url).host));
    }
  }

  path(name) {
    return join(this.#directory, name);
  }

  /** A program on these files for `open`. */
  async bundle(program) {
    const { outputFiles } = await build({
      stdin: { contents: program, resolveDir: this.#directory, loader: "jsx" },
      bundle: true, write: false, format: "iife", globalName: "snippets", jsx: "automatic", platform: "browser", logLevel: "silent",
      nodePaths: [MODULES], plugins: [vue, library],
      define: { __VUE_OPTIONS_API__: "false", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
    });
    return outputFiles[0].text;
  }

  open(code) {
    return new Page(this.url, readFileSync(this.path("index.html"), "utf8"), code);
  }

  close() {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A window with a bundle's exports in `snippets`. */
export class Page {
  /** What was complained of: in the console, or by an error that nobody caught. */
  complaints = [];

  constructor(url, html, code) {
    const virtualConsole = new VirtualConsole();
    for (const way of ["error", "warn", "jsdomError"]) virtualConsole.on(way, (...what) => this.complaints.push(what.map(String).join(" ")));
    this.dom = new JSDOM(`<body>${html}<main></main></body>`, { url, runScripts: "outside-only", pretendToBeVisual: true, virtualConsole });
    this.window = this.dom.window;
    // jsdom has no fetch, and its WebSocket loses what is sent just before it is closed, which a browser's does not: a good-bye, for example.
    this.window.fetch = fetch;
    this.window.WebSocket = class extends WebSocket {
      constructor(address) {
        super(address, { origin: new URL(url).origin });
      }
    };
    this.window.eval(`${code};window.snippets = snippets;`);
    this.snippets = this.window.snippets;
    this.root = this.window.document.body;
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  text(selector) {
    return this.find(selector)?.textContent.trim() ?? null;
  }

  texts(selector) {
    return [...this.root.querySelectorAll(selector)].map((node) => node.textContent.trim());
  }

  /** Waits until something of what is shown is so. */
  shows(selector, check, what = selector) {
    return until(() => check(this.text(selector)), `${what}; shown: ${this.root.textContent}; complaints: ${this.complaints.join("\n")}`);
  }

  /** Types into a field, as a user would: frameworks hear of the event, not of the value. */
  type(selector, text) {
    const input = this.find(selector);
    Object.getOwnPropertyDescriptor(this.window.HTMLInputElement.prototype, "value").set.call(input, text);
    input.dispatchEvent(new this.window.Event("input", { bubbles: true }));
  }

  click(selector) {
    this.find(selector).click();
  }

  /** Holds a call of REST on its way "there", or its answer on its way "back", until `letGo`; `held` resolves when it is held. */
  hold(path, way) {
    let letGo;
    const gate = new Promise((resolve) => (letGo = resolve));
    const held = new Promise((resolve) => {
      this.window.fetch = async (url, options) => {
        if (!url.includes(path)) return fetch(url, options);
        const answer = way === "back" && (await fetch(url, options));
        resolve();
        await gate;
        return answer || fetch(url, options);
      };
    });
    return { held: within(held, path), letGo };
  }

  /** How many of the sockets that were opened are still in use, and how many handlers, of any event, all of them have. */
  left() {
    const { sockets } = this.window;
    const handlers = sockets.flatMap((socket) => Object.values(socket._callbacks ?? {}).flat());
    return { connected: sockets.filter(({ active }) => active).length, handlers: handlers.length };
  }

  close() {
    for (const socket of this.window.sockets ?? []) socket.disconnect();
    this.window.close();
  }
}
