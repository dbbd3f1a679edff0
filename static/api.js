// REST calls and their errors. Knows the token and nothing of the page.

/** The token is kept per tab, so that two tabs can be two users. */
export const savedToken = () => sessionStorage.getItem("token");
export const saveToken = (token) =>
  token ? sessionStorage.setItem("token", token) : sessionStorage.removeItem("token");

/** `status` is 0 when no answer came; `message` is the server's own text. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Repeating the same call would fail again. */
  get isFinal() {
    return this.status >= 400 && this.status < 500 && ![401, 408, 425, 429].includes(this.status);
  }
}

let onUnauthorized = () => {};
/** `work` runs when the server no longer accepts the token. */
export const onRefused = (work) => (onUnauthorized = work);

/** Resolves to {data, next}; `next` is the address of the list's next page, if there is one. */
export async function api(method, path, options = {}) {
  const { body, headers = {}, signal, isSignIn = false } = options;
  // A sign-in sends the password alone: a wrong one must not end the session that is open.
  const token = isSignIn ? null : savedToken();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response, data;
  try {
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
    data = response.status === 204 ? null : await response.json();
  } catch {
    // No answer, or one from a proxy that does not send JSON.
    if (!response) throw new ApiError(0, "The server cannot be reached.");
    throw new ApiError(response.status, `${response.status} ${response.statusText}`);
  }
  if (!response.ok) {
    if (response.status === 401 && token) onUnauthorized();
    // `message` is one text, or a list of all faults.
    const message = [data?.message ?? response.statusText].flat().join(". ");
    throw new ApiError(response.status, message);
  }
  const next = /<([^>]+)>\s*;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
  return { data, next };
}

/**
 * Ends the saved token, or all tokens of its user. Resolves to the reason when that fails, else to
 * null. The request outlives the page, so nobody has to wait for it.
 */
export async function endToken({ everywhere }) {
  const headers = { Authorization: `Bearer ${savedToken()}`, "Content-Type": "application/json" };
  const body = JSON.stringify({ everywhere });
  try {
    const request = { method: "POST", headers, body, keepalive: true };
    const response = await fetch("/auth/logout", request);
    // A 401 means that the token has ended already.
    if (response.ok || response.status === 401) return null;
    return `${response.status} ${response.statusText}`;
  } catch {
    return "The server cannot be reached.";
  }
}

/** A random key. `crypto.randomUUID` exists only on https and localhost. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
