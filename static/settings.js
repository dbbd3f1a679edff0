// The server's settings that the page needs, as the server wrote them into index.html.

const read = (name) => document.querySelector(`meta[name="hubcast-${name}"]`).content;

/** An ISO 4217 code. */
export const currency = read("currency");
/** The demo accounts exist, because the server was started with `--demo`. */
export const isDemo = read("demo") === "on";
/** Customers may pay their orders. */
export const payments = read("payments") === "on";
/** The path of Socket.IO, without a slash at its end. */
export const socketioPath = read("socketio-path");
