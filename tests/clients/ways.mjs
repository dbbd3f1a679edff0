// The official clients under test, the newest 4.x and 4.1, and the transports with which each may
// connect.

import { createRequire } from "node:module";
import { io as newest } from "socket.io-client";
import { io as old } from "socket.io-client-4.1";

const require = createRequire(import.meta.url);
const version = (name) => require(`${name}/package.json`).version;

export const WAYS = { "websocket only": ["websocket"], "polling only": ["polling"], "polling, then upgrade": ["polling", "websocket"] };

/** `recovers`: the client supports connection state recovery, which came with 4.6. */
const LIBRARIES = [
  { client: `socket.io-client ${version("socket.io-client")}`, library: newest, recovers: true },
  { client: `socket.io-client ${version("socket.io-client-4.1")}`, library: old, recovers: false },
];

/** [{client, library, recovers, way, transports}]: each client with each choice of transports. */
export const OFFICIAL = LIBRARIES.flatMap((library) => Object.entries(WAYS).map(([way, transports]) => ({ ...library, way, transports })));

/** The current transport of the client. */
export const transport = (client) => client.socket.io.engine.transport.name;
