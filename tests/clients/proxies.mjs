// The proxies of docs/PROXIES.md, each with the configuration that stands there, as private processes in the foreground: with a directory
// of their own, on free ports.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until, within } from "./harness.mjs";

const DOCUMENT = readFileSync(new URL("../../docs/PROXIES.md", import.meta.url), "utf8");
const MODULES = "/usr/lib/apache2/modules";

/** The block of this language; JavaScript's are told apart by the file name in the first line. */
function block(language, file = "") {
  const found = [...DOCUMENT.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter(([, of, text]) => of === language && text.includes(file));
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${language} ${file} in docs/PROXIES.md`);
  return found[0][2];
}

/** Replaces each of these, which have to be there. */
function replace(text, pairs) {
  for (const [from, to] of pairs) {
    if (!text.includes(from)) throw new Error(`no ${from} in docs/PROXIES.md`);
    text = text.replaceAll(from, to);
  }
  return text;
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * `prepare({at, port, hub, file, certificates})` writes the configuration, and returns the command line; `at` is the directory, `hub` the
 * host and port of hubcast. `reload(proxy)` makes the proxy read it again. `isCut`: a reload ends open WebSockets.
 */
export const PROXIES = {
  nginx: {
    program: "nginx",
    isSecure: true,
    isCut: true,
    prepare({ at, port, hub, file, certificates }) {
      const site = replace(block("nginx"), [["443", port], ["/etc/ssl/hub.crt", certificates.certificate], ["/etc/ssl/hub.key", certificates.key], ["127.0.0.1:3000", hub]]);
      const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${at}/${kind};`).join(" ");
      const root = process.getuid() === 0 ? "user root; " : "";
      file("nginx.conf", `${root}worker_processes 1; worker_shutdown_timeout 1s; pid ${at}/pid; error_log stderr; events {} http { access_log off; ${kinds}\n${site}}\n`);
      return ["nginx", "-p", at, "-c", `${at}/nginx.conf`, "-e", "stderr", "-g", "daemon off;"];
    },
    reload: ({ process }) => process.kill("SIGHUP"),
  },
  HAProxy: {
    program: "haproxy",
    isSecure: true,
    isCut: true,
    prepare({ at, port, hub, file, certificates }) {
      file("hub.pem", readFileSync(certificates.certificate, "utf8") + readFileSync(certificates.key, "utf8"));
      const site = replace(block("haproxy"), [[":443", `127.0.0.1:${port}`], ["/etc/ssl", at], ["127.0.0.1:3000", hub]]);
      file("haproxy.cfg", `global\n    hard-stop-after 1s\n\n${site}`);
      return ["haproxy", "-W", "-db", "-f", `${at}/haproxy.cfg`];
    },
    // The master process, as `systemctl reload` does.
    reload: ({ process }) => process.kill("SIGUSR2"),
  },
  Apache: {
    program: "apache2",
    isSecure: true,
    isCut: false,
    prepare({ at, port, hub, file, certificates }) {
      const site = replace(block("apache"), [
        ["Listen 443", `Listen 127.0.0.1:${port}`], ["/etc/ssl/hub.crt", certificates.certificate], ["/etc/ssl/hub.key", certificates.key], ["127.0.0.1:3000", hub],
      ]);
      const modules = ["mpm_event", "authz_core", "ssl", "headers", "proxy", "proxy_http"].map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`);
      const account = process.getuid() === 0 ? "User #65534\nGroup #65534\n" : "";
      file("apache.conf", `ServerRoot ${at}\nServerName localhost\nPidFile ${at}/pid\nDefaultRuntimeDir ${at}\nErrorLog ${at}/log\n${account}${modules.join("\n")}\n${site}`);
      return ["apache2", "-f", `${at}/apache.conf`, "-DFOREGROUND"];
    },
    reload: ({ process }) => process.kill("SIGUSR1"),
  },
  Caddy: {
    program: "caddy",
    isSecure: true,
    isCut: true,
    prepare({ at, port, hub, file, certificates }) {
      const site = replace(block("caddyfile"), [["hub.example.com {", `https://127.0.0.1:${port} {\n    tls ${certificates.certificate} ${certificates.key}`], ["127.0.0.1:3000", hub]]);
      file("Caddyfile", `{\n    admin unix/${at}/admin\n    auto_https off\n}\n${site}`);
      return ["caddy", "run", "--adapter", "caddyfile", "--config", `${at}/Caddyfile`];
    },
    reload: ({ at }) => run("caddy", "reload", "--force", "--adapter", "caddyfile", "--config", `${at}/Caddyfile`, "--address", `unix/${at}/admin`),
  },
  Vite: {
    prepare({ port, hub, file }) {
      file("vite.config.mjs", replace(block("js", "// vite.config.mjs"), [["127.0.0.1:3000", hub]]));
      file("index.html", "<script type=module src=/main.js></script>");
      file("main.js", "");
      return program("vite", `const server = await createServer({ root: ".", configFile: "./vite.config.mjs", logLevel: "warn", optimizeDeps: { noDiscovery: true }, server: { port: ${port}, host: "127.0.0.1", strictPort: true } });
        await server.listen();`, file, "import { createServer } from");
    },
  },
  "webpack-dev-server": {
    prepare({ port, hub, file }) {
      file("webpack.config.mjs", replace(block("js", "// webpack.config.mjs"), [["127.0.0.1:3000", hub]]));
      file("main.js", "");
      return program("webpack-dev-server", `import webpack from ${JSON.stringify(module("webpack"))};
        import config from "./webpack.config.mjs";
        const compiler = webpack({ mode: "development", entry: "./main.js", infrastructureLogging: { level: "warn" }, stats: "errors-only", ...config });
        await new Server({ ...config.devServer, port: ${port}, host: "127.0.0.1" }, compiler).start();`, file, "import Server from");
    },
  },
};

const module = (name) => import.meta.resolve(name);

/** A command line for Node, with a program that imports a package of the suites. */
function program(name, text, file, imports) {
  file("run.mjs", `${imports} ${JSON.stringify(module(name))};\n${text}`);
  return [process.execPath, "run.mjs"];
}

function run(...command) {
  const { status, stderr } = spawnSync(command[0], command.slice(1), { encoding: "utf8", timeout: 30_000 });
  if (status !== 0) throw new Error(`${command.join(" ")}: ${status}\n${stderr}`);
}

/** Why a proxy cannot be tested here, or false. */
export const lacks = ({ program }) => {
  const paths = `${process.env.PATH}:/usr/sbin`.split(":");
  if (!program || spawnSync(program, ["-v"], { env: { PATH: paths.join(":") } }).error?.code !== "ENOENT") return false;
  return `${program} is not installed; scripts/test installs it`;
};

/** A proxy in front of a hubcast server, until `close`. */
export class Running {
  at = mkdtempSync(join(tmpdir(), "hubcast-proxy-"));
  #said = "";

  /** `change` takes a configuration file's text, and returns what is written instead. */
  static async start(proxy, server, certificates, change = (text) => text) {
    const running = new Running();
    running.port = await freePort();
    running.url = `${proxy.isSecure ? "https" : "http"}://127.0.0.1:${running.port}`;
    const { at, port } = running;
    const file = (name, text) => writeFileSync(join(at, name), change(text));
    const command = proxy.prepare({ at, port, hub: `127.0.0.1:${server.port}`, file, certificates });
    const env = { PATH: `${process.env.PATH}:/usr/sbin`, HOME: at, TMPDIR: at };
    running.process = spawn(command[0], command.slice(1), { cwd: at, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    running.exited = new Promise((resolve) => running.process.once("exit", resolve).once("error", resolve));
    for (const stream of [running.process.stdout, running.process.stderr]) stream.setEncoding("utf8").on("data", (text) => (running.#said += text));
    running.killOnExit = () => running.kill();
    process.once("exit", running.killOnExit);
    const listens = async () => {
      if (running.process.exitCode !== null) throw new Error(`it ended: ${running.said}`);
      return new Promise((resolve) => {
        const socket = net.connect(port, "127.0.0.1", () => resolve(socket.destroy())).on("error", () => resolve(null));
      });
    };
    try {
      await until(listens, `the proxy to listen; it said: ${running.said}`, 60_000);
    } catch (error) {
      await running.close();
      throw error;
    }
    return running;
  }

  /** Its messages so far. Apache cannot write to a pipe. */
  get said() {
    const log = join(this.at, "log");
    return this.#said + (existsSync(log) ? readFileSync(log, "utf8") : "");
  }

  kill() {
    // The workers too.
    try {
      process.kill(-this.process.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }

  async close() {
    this.kill();
    await within(this.exited, "the proxy to end", 60_000);
    process.removeListener("exit", this.killOnExit);
    rmSync(this.at, { recursive: true, force: true });
  }
}
