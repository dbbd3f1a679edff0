// The test client: signs in and writes by REST, hears of the rest on the plain WebSocket at /ws. No library, no build step.

const DEMO_PASSWORD = "demo-password";
const PAGE_SIZE = 50;
const FRAMES_KEPT = 200;
const RETRY = { shortest: 1000, longest: 10_000 };

/** An order only ever moves to a higher rank, so of two reports about it the higher one is the later one. */
const RANK = { pending: 0, paid: 1, shipped: 2, delivered: 3, cancelled: 4 };

/** Where the desk may move an order next, by its status. */
const STEPS = { pending: ["paid", "cancelled"], paid: ["shipped", "cancelled"], shipped: ["delivered"], delivered: [], cancelled: [] };

/** Close codes after which coming back would not help, and what to tell. */
const FINAL = {
  4400: "The server did not understand this page.",
  4401: "Your session has ended. Please sign in again.",
  4403: "This account may not open the order desk.",
  4404: "This server has no such namespace.",
};

// ---- Page elements

const $ = (id) => document.getElementById(id);
const cloneTemplate = (id) => $(id).content.firstElementChild.cloneNode(true);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

/** Shows `text` in an element that is hidden while it has nothing to say. */
function say(element, text) {
  element.textContent = text ?? "";
  element.hidden = !text;
}

/** Tells it to people who listen to the page instead of looking at it. */
const announce = (text) => ($("announce").textContent = text);

/** The session is kept per tab, so that two tabs can be two users. */
const savedToken = () => sessionStorage.getItem("token");

// ---- REST

/** `status` is 0 when no answer came; `message` is the server's own text. */
class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Resolves to the answer and the address of the next page, if the list has one. */
async function api(method, path, { body, headers = {}, signal } = {}) {
  const token = savedToken();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response, data;
  try {
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
    data = await response.json();
  } catch {
    // No answer at all, or something in front of the server that does not speak JSON.
    throw response ? new ApiError(response.status, `${response.status} ${response.statusText}`) : new ApiError(0, "The server cannot be reached.");
  }
  if (!response.ok) {
    if (response.status === 401 && token) signOut(FINAL[4401]);
    // `message` is one text, or a list with every fault.
    throw new ApiError(response.status, [data.message ?? response.statusText].flat().join(". "));
  }
  return { data, next: /<([^>]+)>\s*;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] };
}

/** Not `crypto.randomUUID`: that exists only on https and localhost. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- The line: one WebSocket, opened again when it breaks

class Line {
  #socket;
  #timer;
  #failures = 0;
  #hint = 0;
  #ended = false;

  /** `onState(state, words)`, `onFrame(way, event, data)`, `onReady()` after each sign-in, `onEnd(code, words)` when it is for good. */
  constructor(namespace, token, handlers) {
    this.url = new URL("/ws", location.href);
    this.url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.url.searchParams.set("namespace", namespace);
    this.token = token;
    this.on = handlers;
    this.#open();
  }

  #open() {
    this.on.onState("connecting", "Connecting");
    this.#socket = new WebSocket(this.url);
    this.#socket.onopen = () => {
      // The token goes in the first frame and never in the URL, which ends up in logs.
      this.#socket.send(JSON.stringify({ event: "auth", data: { token: this.token } }));
      this.on.onFrame("out", "auth", { token: "…" });
    };
    this.#socket.onmessage = ({ data }) => this.#read(JSON.parse(data));
    this.#socket.onclose = ({ code }) => this.#lost(code);
  }

  #read({ event, data }) {
    if (event === "session") {
      this.#failures = 0;
      this.on.onState("live", "Live");
      this.on.onReady();
    } else if (event === "server:shutdown") {
      this.#hint = data?.reconnectAfterMs ?? 0;
    }
    if (event) this.on.onFrame("in", event, data);
  }

  #lost(code) {
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
    this.on.onState("waiting", `Connection lost. Trying again in ${Math.ceil(wait / 1000)} s`);
    this.#timer = setTimeout(() => this.#open(), wait);
  }

  /** The network is back: do not sit out the wait. */
  hurry() {
    if (this.#ended || this.#socket.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket.close(1000);
  }
}

// ---- Orders: all that this page has heard of, by id, and the row of each

class Orders {
  #known = new Map();
  #rows = new Map();
  #names = new Map();

  /** `step(id, to)` moves an order on; without it the list only shows (a customer's). */
  constructor(step) {
    this.step = step;
    $("orders").replaceChildren();
  }

  has(id) {
    return this.#known.has(id);
  }

  knowsName(customerId) {
    return customerId === null || this.#names.has(customerId);
  }

  /** Takes a report from REST or from a frame; of what is known already, an older one only fills gaps. */
  put(report, { fresh = false } = {}) {
    if (report.customer) this.#names.set(report.customer.id, report.customer.name);
    const known = this.#known.get(report.id);
    const isOlder = known && RANK[known.status] > RANK[report.status];
    const order = isOlder ? { ...report, ...known } : { ...known, ...report };
    this.#known.set(order.id, order);
    this.#show(order, fresh && known?.status !== order.status);
  }

  #show(order, changed) {
    const row = this.#rows.get(order.id) ?? this.#addRow(order.id);
    if (row.dataset.status !== order.status) row.ariaBusy = "false";
    row.dataset.status = order.status;
    row.querySelector(".number").textContent = `Order ${order.id}`;
    row.querySelector(".customer").textContent = this.step ? this.#nameOf(order.customerId) : "";
    row.querySelector(".total").textContent = order.total;
    row.querySelector(".status").textContent = order.status;
    row.querySelector("time").textContent = order.createdAt ? calendar.format(new Date(order.createdAt)) : "";
    if (this.step) this.#showSteps(row, order.status);
    if (changed) {
      row.classList.remove("changed");
      void row.offsetWidth; // Lets the animation start again.
      row.classList.add("changed");
    }
  }

  /** Newest first. */
  #addRow(id) {
    const row = cloneTemplate("order-row");
    row.dataset.orderId = id;
    for (const button of row.querySelectorAll("button")) {
      button.setAttribute("aria-label", `${button.textContent}: order ${id}`);
      button.addEventListener("click", () => this.#take(row, id, button.dataset.to));
    }
    if (!this.step) row.querySelector(".actions").remove();
    this.#rows.set(id, row);
    const below = [...$("orders").children].find((other) => Number(other.dataset.orderId) < id);
    $("orders").insertBefore(row, below ?? null);
    return row;
  }

  #nameOf(customerId) {
    return customerId === null ? "No customer" : (this.#names.get(customerId) ?? `Customer ${customerId}`);
  }

  #showSteps(row, status) {
    const focused = document.activeElement;
    const buttons = [...row.querySelectorAll("button")];
    for (const button of buttons) button.hidden = !STEPS[status].includes(button.dataset.to);
    // Whoever works the desk by keyboard stays in the row.
    if (row.contains(focused) && focused.hidden) (buttons.find(({ hidden }) => !hidden) ?? $("desk-title")).focus();
  }

  async #take(row, id, to) {
    if (row.ariaBusy === "true") return;
    const { status } = row.dataset;
    row.ariaBusy = "true";
    await this.step(id, to);
    // After a step that worked the frame, which may be faster than the answer, has freed the row.
    if (row.dataset.status === status) row.ariaBusy = "false";
  }
}

// ---- The frames panel

function showFrame(way, event, data) {
  const row = cloneTemplate("frame-row");
  row.dataset.event = event;
  row.dataset.way = way;
  row.querySelector(".way").textContent = way === "in" ? "←" : "→";
  row.querySelector("b").textContent = event;
  row.querySelector("time").textContent = clock.format(new Date());
  row.querySelector("code").textContent = JSON.stringify(data ?? null, null, 1);
  $("frames").prepend(row);
  if ($("frames").children.length > FRAMES_KEPT) $("frames").lastElementChild.remove();
}

// ---- Signed out

let leaveDesk = () => {};

function showSignIn(message) {
  document.title = "hubcast";
  for (const id of ["desk", "account", "connection"]) $(id).hidden = true;
  $("sign-in").hidden = false;
  say($("sign-in-error"), message);
}

async function signIn(email, password) {
  say($("sign-in-error"), null);
  try {
    const { data } = await api("POST", "/auth/login", { body: { email, password } });
    sessionStorage.setItem("token", data.accessToken);
    showDesk(data.user);
    $("desk-title").focus();
  } catch (error) {
    say($("sign-in-error"), error.message);
  }
}

function signOut(message) {
  sessionStorage.removeItem("token");
  leaveDesk();
  showSignIn(message);
  $("sign-in-title").focus();
}

// ---- Signed in

function showDesk(user) {
  const asAdmin = user.role === "admin";
  leaveDesk();
  document.title = asAdmin ? "Order desk · hubcast" : `${user.name} · hubcast`;
  $("sign-in").hidden = true;
  for (const id of ["desk", "account", "connection"]) $(id).hidden = false;
  $("who").textContent = user.name;
  $("desk-title").textContent = asAdmin ? "Order desk" : `Hello, ${user.name}`;
  $("desk").dataset.role = user.role;
  for (const id of ["total-error", "orders-error"]) say($(id), null);
  $("frames").replaceChildren();

  // Whatever belongs to this stay at the desk ends with it: calls under way, listeners, the line.
  const stay = new AbortController();
  const call = (method, path, options) => api(method, path, { ...options, signal: stay.signal });
  const showingFailure = async (place, work) => {
    try {
      await work();
      say(place, null);
    } catch (error) {
      if (!stay.signal.aborted) say(place, error.message);
    }
  };

  const move = (id, status) =>
    status === "shipped" ? call("PATCH", `/orders/${id}/ship`) : call("PATCH", `/orders/${id}/status`, { body: { status } });
  const step = (id, to) => showingFailure($("orders-error"), async () => orders.put((await move(id, to)).data, { fresh: true }));
  const orders = new Orders(asAdmin && step);

  let older;
  const readPage = (path, { isNewest }) =>
    showingFailure($("orders-error"), async () => {
      const { data, next } = await call("GET", path);
      const leavesNoGap = data.some(({ id }) => orders.has(id));
      for (const order of data) orders.put(order);
      // Reading the newest page again takes "older" back to its end only when orders are missing below it.
      if (!isNewest || !leavesNoGap) older = next;
      $("older").hidden = !older;
    });
  const readOne = (id) => showingFailure($("orders-error"), async () => orders.put((await call("GET", `/orders/${id}`)).data));

  const hear = {
    new_order({ orderId: id, customerId, total, createdAt }) {
      orders.put({ id, customerId, total, createdAt, status: "pending" }, { fresh: true });
      announce(`New order ${id}, ${total}`);
      if (!orders.knowsName(customerId)) readOne(id);
    },
    orderUpdate({ orderId: id, status, customerId, total, updatedAt }) {
      const isNew = !orders.has(id);
      orders.put({ id, customerId, total, status, updatedAt }, { fresh: true });
      announce(`Order ${id} is ${status}`);
      if (isNew) readOne(id);
    },
    error: ({ message }) => say($("orders-error"), message),
  };

  const line = new Line(asAdmin ? "/admin" : "/", savedToken(), {
    onState(state, text) {
      $("connection").dataset.state = state;
      $("connection").textContent = text;
    },
    onFrame(way, event, data) {
      showFrame(way, event, data);
      if (way === "in" && Object.hasOwn(hear, event)) hear[event](data);
    },
    // What was sent while the line was down is not seen here: read what is true now.
    onReady: () => readPage(`/orders?limit=${PAGE_SIZE}`, { isNewest: true }),
    onEnd: (code, text) => (code === 4401 ? signOut(text) : say($("orders-error"), text)),
  });

  // The key stays until an answer comes: pressing again after a lost answer does not order twice.
  let key = randomKey();
  const placeOrder = async () => {
    const { data } = await call("POST", "/orders", { body: { total: $("total").value.trim() }, headers: { "Idempotency-Key": key } });
    orders.put(data, { fresh: true });
    announce(`Order ${data.id} placed`);
    $("order-form").reset();
    key = randomKey();
  };

  const listen = (target, event, handler) => target.addEventListener(event, handler, { signal: stay.signal });
  listen(window, "online", () => line.hurry());
  listen($("older"), "click", () => readPage(older, { isNewest: false }));
  listen($("total"), "input", () => (key = randomKey()));
  listen($("order-form"), "submit", async (event) => {
    event.preventDefault();
    if ($("order-form").ariaBusy === "true") return;
    $("order-form").ariaBusy = "true";
    await showingFailure($("total-error"), placeOrder);
    $("order-form").ariaBusy = "false";
    $("total").focus();
  });

  leaveDesk = () => {
    stay.abort();
    line.close();
    $("older").hidden = true;
  };
}

// ---- Start

for (const person of document.querySelectorAll(".person")) {
  person.addEventListener("click", () => signIn(person.dataset.email, DEMO_PASSWORD));
}
$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn($("email").value.trim(), $("password").value);
  $("password").value = "";
});
$("sign-out").addEventListener("click", () => signOut());
// The frames stand open beside the list where there is room, and closed below it where there is not.
$("frames-panel").open = matchMedia("(min-width: 64rem)").matches;

if (savedToken()) {
  // A 401 has shown the sign-in already; after anything else the token may still be good, so keep it.
  api("GET", "/auth/me").then(({ data }) => showDesk(data), (error) => error.status === 401 || showSignIn(error.message));
} else {
  showSignIn();
}
