// REST: one call and its faults. Knows the token and nothing of the page.

/** The session is kept per tab, so that two tabs can be two users. */
export const savedToken = () => sessionStorage.getItem("token");
export const saveToken = (token) => (token ? sessionStorage.setItem("token", token) : sessionStorage.removeItem("token"));

/** `status` is 0 when no answer came; `message` is the server's own text. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Whether asking the same again would only get the same. */
  get isFinal() {
    return this.status >= 400 && this.status < 500 && ![401, 408, 425, 429].includes(this.status);
  }
}

let refused = () => {};
/** `work` runs when the server no longer takes the token. */
export const onRefused = (work) => (refused = work);

/** Resolves to the answer and the address of the next page, if the list has one. */
export async function api(method, path, { body, headers = {}, signal, isSignIn = false } = {}) {
  // A sign-in is asked for by its password alone: to be refused there does not end the scope that goes on.
  const token = isSignIn ? null : savedToken();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response, data;
  try {
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
    data = response.status === 204 ? null : await response.json();
  } catch {
    // No answer at all, or something in front of the server that does not speak JSON.
    throw response ? new ApiError(response.status, `${response.status} ${response.statusText}`) : new ApiError(0, "The server cannot be reached.");
  }
  if (!response.ok) {
    if (response.status === 401 && token) refused();
    // `message` is one text, or a list with every fault.
    throw new ApiError(response.status, [data?.message ?? response.statusText].flat().join(". "));
  }
  return { data, next: /<([^>]+)>\s*;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] };
}

/** Ends the token that is saved, or all of its user's. Resolves to why that failed, or to nothing; the page need not wait, nor scope. */
export async function endToken({ everywhere }) {
  const headers = { Authorization: `Bearer ${savedToken()}`, "Content-Type": "application/json" };
  try {
    const response = await fetch("/auth/logout", { method: "POST", headers, body: JSON.stringify({ everywhere }), keepalive: true });
    // A token that is no longer taken has ended already.
    return response.ok || response.status === 401 ? null : `${response.status} ${response.statusText}`;
  } catch {
    return "The server cannot be reached.";
  }
}

/** Not `crypto.randomUUID`: that exists only on https and localhost. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
