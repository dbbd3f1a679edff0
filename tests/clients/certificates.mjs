// Certificates made by openssl, and a server that uses one. Clients trust its CA, and check that
// the certificate is for the address that they called.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server } from "./harness.mjs";

/** The files of a CA's certificate, and of a certificate and key that it issued for 127.0.0.1. `remove()` deletes them. */
export function makeCertificates() {
  const directory = mkdtempSync(join(tmpdir(), "hubcast-tls-"));
  const file = (name) => join(directory, name);
  const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
  const request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"];
  writeFileSync(file("extensions"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n");
  openssl(...request, "-x509", "-days", "2", "-subj", "/CN=hubcast tests", "-keyout", file("ca.key"), "-out", file("ca.crt"));
  openssl(...request, "-subj", "/CN=hubcast", "-keyout", file("server.key"), "-out", file("server.csr"));
  openssl(
    ...["x509", "-req", "-days", "2", "-set_serial", "1", "-in", file("server.csr"), "-CA", file("ca.crt"), "-CAkey", file("ca.key")],
    ...["-extfile", file("extensions"), "-out", file("server.crt")],
  );
  const remove = () => rmSync(directory, { recursive: true });
  const [certificatePem, keyPem] = [readFileSync(file("server.crt")), readFileSync(file("server.key"))];
  return { ca: readFileSync(file("ca.crt")), certificatePem, keyPem, caFile: file("ca.crt"), certificate: file("server.crt"), key: file("server.key"), remove };
}

/** A server with TLS. The settings have to name the files; `trust` gives its clients the CA. */
export class TlsServer extends Server {
  #ca;
  #agent;

  trust(ca) {
    this.#ca = ca;
    this.#agent = new https.Agent({ ca, keepAlive: true });
    return this;
  }

  static async with(certificates, env = {}) {
    const server = await TlsServer.start({ TLS_CERT_FILE: certificates.certificate, TLS_KEY_FILE: certificates.key, ...env });
    return server.trust(certificates.ca);
  }

  open(namespace, options = {}) {
    return super.open(namespace, { ca: this.#ca, ...options });
  }

  /** As `Server.call`, because Node's `fetch` cannot be given a CA. */
  async call(who, method, path, body, headers = {}) {
    const token = who && (await this.token(who));
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = https.request(this.url + path, {
        method,
        agent: this.#agent,
        headers: { ...(token && { Authorization: `Bearer ${token}` }), ...(sent && { "Content-Type": "application/json" }), ...headers },
      });
      request.once("error", reject).once("response", async (response) => {
        try {
          const text = Buffer.concat(await response.toArray()).toString();
          resolve({ status: response.statusCode, headers: new Headers(response.headers), body: text && JSON.parse(text) });
        } catch (error) {
          reject(error);
        }
      });
      request.end(sent);
    });
  }

  async close() {
    this.#agent?.destroy();
    await super.close();
  }
}
