// A PostgreSQL instance of one test, which it may stop, and databases on any instance.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

const USER = "postgres";

/** The directory with initdb and postgres, or null: $HUBCAST_PG_BIN, pg_config's, Debian's newest, the path. */
export function programs() {
  const versions = "/usr/lib/postgresql";
  const debian = existsSync(versions) ? readdirSync(versions).sort((a, b) => Number(b) - Number(a)) : [];
  const initdb = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, "initdb")).find(existsSync);
  const places = [
    process.env.HUBCAST_PG_BIN,
    spawnSync("pg_config", ["--bindir"], { encoding: "utf8" }).stdout?.trim(),
    ...debian.map((version) => join(versions, version, "bin")),
    initdb && dirname(realpathSync(initdb)),
  ];
  return places.find((place) => place && ["initdb", "postgres"].every((name) => existsSync(join(place, name)))) ?? null;
}

/** Runs one statement on the database of this URL. */
export const query = (url, statement) => rows(url, statement).then(() => {});

/** Runs one query on the database of this URL, and returns its rows, as text. */
export function rows(url, statement) {
  const place = programs();
  const psql = place && existsSync(join(place, "psql")) ? join(place, "psql") : "psql";
  return new Promise((resolve, reject) => {
    const child = spawn(psql, ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", `--command=${statement}`, url], { stdio: ["ignore", "pipe", "pipe"] });
    let [found, said] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (chunk) => (found += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk) => (said += chunk));
    child.once("error", reject).once("close", (code) => (code === 0 ? resolve(found.split("\n").filter(Boolean)) : reject(new Error(`${statement}: ${said || code}`))));
  });
}

/** The URL of another database on the same server. */
function at(url, database) {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

/** Creates an empty database on the server of `url`, and returns its URL. */
export async function createDatabase(url) {
  const name = `hubcast_test_${randomBytes(8).toString("hex")}`;
  // template0, because nobody is connected to it: with template1, two creations at once would
  // collide.
  await query(at(url, "postgres"), `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
  return at(url, name);
}

/** Drops a database, even with open connections. */
export const dropDatabase = (url) => query(at(url, "postgres"), `DROP DATABASE IF EXISTS ${new URL(url).pathname.slice(1)} WITH (FORCE)`);

/** A private instance, with its own data and port. PostgreSQL refuses to run as root, so root runs it as its own user. */
export class Postgres {
  #process = null;

  /** Its data is in a new directory of `place`. */
  static async start(place = tmpdir()) {
    const postgres = new Postgres();
    try {
      await postgres.#init(place);
      await postgres.start();
    } catch (error) {
      await postgres.remove();
      throw error;
    }
    return postgres;
  }

  async #init(place) {
    this.programs = programs();
    if (process.getuid() === 0) {
      const [uid, gid] = ["-u", "-g"].map((what) => Number(execFileSync("id", [what, USER], { encoding: "utf8" })));
      this.owner = { uid, gid };
    }
    this.directory = mkdtempSync(join(this.owner && !isOpen(place) ? "/tmp" : place, "hubcast-pg-"));
    if (this.owner) chownSync(this.directory, this.owner.uid, this.owner.gid);
    this.data = join(this.directory, "data");
    const options = ["-D", this.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"];
    const { status, stderr } = spawnSync(join(this.programs, "initdb"), options, { ...this.#way(), encoding: "utf8" });
    if (status !== 0) throw new Error(`initdb failed: ${stderr}`);
    this.port = await freePort();
    this.url = `postgres://${USER}@127.0.0.1:${this.port}/postgres`;
    this.killOnExit = () => this.#process?.kill("SIGQUIT");
    process.once("exit", this.killOnExit);
  }

  #way() {
    return { cwd: this.directory, env: { PATH: process.env.PATH, LC_ALL: "C" }, ...this.owner };
  }

  /** Starts it, and resolves when it accepts queries. */
  async start() {
    // Not by pg_ctl, because a child of this process ends with it in any case.
    const settings = ["listen_addresses=127.0.0.1", `unix_socket_directories=${this.directory}`, `port=${this.port}`, "fsync=off", "max_connections=200"];
    const child = spawn(join(this.programs, "postgres"), ["-D", this.data, ...settings.flatMap((setting) => ["-c", setting])], {
      ...this.#way(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process = child;
    this.exited = new Promise((resolve) => child.once("exit", resolve));
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (chunk) => (log = (log + chunk).slice(-5_000)));
    const end = Date.now() + 30_000;
    for (;;) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`PostgreSQL does not start:\n${log}`);
      if (await query(this.url, "SELECT 1").then(() => true, () => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Stops it as `pg_ctl stop -m` does: "fast" aborts running queries, "immediate" is a crash. */
  async stop(mode = "fast") {
    this.#process?.kill({ fast: "SIGINT", immediate: "SIGQUIT" }[mode]);
    await this.exited;
    this.#process = null;
  }

  /** Copies the data of the stopped instance, as a snapshot of its volume does. */
  copy() {
    execFileSync("cp", ["-a", this.data, `${this.data}-copy`]);
  }

  /** Puts the copy in the place of the stopped instance's data. */
  putBack() {
    rmSync(this.data, { recursive: true });
    renameSync(`${this.data}-copy`, this.data);
  }

  createDatabase() {
    return createDatabase(this.url);
  }

  /** Stops it and deletes its data. */
  async remove() {
    if (this.#process) await this.stop("immediate");
    if (this.killOnExit) process.removeListener("exit", this.killOnExit);
    if (this.directory) rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Returns true if other users can read the directory. */
function isOpen(directory) {
  const isPassable = (statSync(directory).mode & 0o001) !== 0;
  return isPassable && (dirname(directory) === directory || isOpen(dirname(directory)));
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
