// The test client: signs in and writes by REST, hears of the rest on the plain WebSocket at /ws (or by long-polling). No library, no build step.
// Here: signing in and out, which view is shown, and what a scope is made of. The parts are in the files beside this one.

import { api, endToken, onRefused, savedToken, saveToken } from "./api.js";
import { Bell } from "./bell.js";
import { Chat } from "./chat.js";
import { ConnectionPanel } from "./connection-panel.js";
import { $, showText } from "./dom.js";
import { Frames } from "./frames.js";
import { SESSION_ENDED } from "./socket.js";
import { Channel } from "./channel.js";
import { Notify } from "./notify.js";
import { Orders } from "./orders.js";
import { Products } from "./products.js";
import { Projects } from "./projects.js";
import { TokenExpiry } from "./token-expiry.js";
import { Shop } from "./shop.js";
import { Stats } from "./stats.js";
import { Scope } from "./scope.js";
import { Stock } from "./stock.js";
import { clearToasts, toast } from "./toasts.js";

const DEMO_PASSWORD = "demo-password";
/** Each view, and what is focused when it is come to. */
const TITLES = { shop: "shop-title", orders: "orders-heading", stock: "stock-title", chat: "chat-title", projects: "projects-title", notify: "notify-title" };

// ---- Which view is shown: `#chat/5` is the conversation 5 in the view of chat

let views = null;

/** The view that the address names; null when it names none of this user's (as the skip channel does). */
function route() {
  const [view, id] = location.hash.slice(1).split("/");
  return views && Object.hasOwn(views, view) ? { view, id: /^\d+$/.test(id) ? Number(id) : null } : null;
}

function showView({ view, id }) {
  for (const name of Object.keys(TITLES)) {
    $(`${name}-view`).hidden = name !== view;
    $(`to-${name}`).ariaCurrent = name === view ? "page" : null;
    if (name !== view) views[name]?.hide?.();
  }
  views[view].show?.(id);
}

/** From the top, and whoever came by keyboard goes on from here. */
function begin(title) {
  scrollTo(0, 0);
  $(title).focus({ preventScroll: true });
}

addEventListener("hashchange", () => {
  const wanted = route();
  if (!wanted) return;
  showView(wanted);
  const inside = { chat: "thread-title", projects: "project-name" }[wanted.view];
  begin(wanted.id && inside ? inside : TITLES[wanted.view]);
});

// ---- Signed out

let leave = () => {};

function showSignIn(message) {
  document.title = "hubcast";
  for (const id of ["desk", "account", "connection-place", "nav", "expiring"]) $(id).hidden = true;
  $("sign-in").hidden = false;
  showText($("sign-in-error"), message);
}

async function signIn(email, password) {
  showText($("sign-in-error"), null);
  try {
    const { data } = await api("POST", "/auth/login", { body: { email, password }, isSignIn: true });
    saveToken(data.accessToken);
    // Where the one before was in this tab is not this one's business.
    history.replaceState(null, "", location.pathname);
    enter(data.user);
    begin(TITLES[home(data.user)]);
  } catch (error) {
    showText($("sign-in-error"), error.message);
  }
}

function signOut(message) {
  saveToken(null);
  leave();
  showSignIn(message);
  begin("sign-in-title");
}

/** As asked: the server is told, and ends the token, here or everywhere. */
async function endSession({ everywhere }) {
  const told = endToken({ everywhere });
  signOut();
  const why = await told;
  if (why && !$("sign-in").hidden) showText($("sign-in-error"), `You are signed out here, but the server was not told: ${why}`);
}

// ---- Signed in

const home = ({ role }) => (role === "admin" ? "orders" : "shop");

function enter(user) {
  const asAdmin = user.role === "admin";
  leave();
  document.title = asAdmin ? "Order desk · hubcast" : `${user.name} · hubcast`;
  $("sign-in").hidden = true;
  for (const id of ["desk", "account", "connection-place", "nav"]) $(id).hidden = false;
  $("who").textContent = user.name;
  document.body.dataset.role = user.role;

  const scope = new Scope(user);
  const frames = new Frames(scope);
  const connection = new ConnectionPanel(scope);
  const channels = [];
  const channel = (namespace) => {
    const made = new Channel(namespace, savedToken(), {
      onState: () => connection.show(),
      onFrame: (way, frame) => {
        frames.show(namespace, way, frame);
        if (way === "in") connection.count(namespace, frame);
      },
      onReady: (info) => connection.ready(made, info),
      onEnd: (code, words) => (code === 4401 ? signOut(words) : toast("Not connected", words, "fault")),
    });
    channels.push(made);
    connection.add(made);
    frames.offer(made);
    return made;
  };

  // The order desk has a namespace of its own; the rest is everyone's.
  const main = channel("/");
  const desk = asAdmin ? channel("/admin") : main;
  const products = new Products(scope);
  const orders = new Orders(scope);
  const own = asAdmin ? { stock: new Stock(scope, products), notify: new Notify(scope, orders) } : { shop: new Shop(scope, products, orders) };
  views = { orders, ...own, chat: new Chat(scope, main), projects: new Projects(scope, main) };
  main.add(new Bell(scope, main), products, views.chat, views.projects, new TokenExpiry(scope, channels), { handlers: { error: tellFault }, ready() {}, refresh: () => true });
  desk.add(orders);
  if (asAdmin) desk.add(new Stats(scope), products);
  showView(route() ?? { view: home(user), id: null });
  for (const one of channels) one.open();

  scope.listen(window, "online", () => channels.forEach((one) => one.hurry()));
  leave = () => {
    scope.end();
    for (const one of channels) one.close();
    clearToasts();
    views = null;
    leave = () => {};
  };
}

function tellFault({ code, event, message }) {
  // The line ends with it, and the sign-in says why.
  if (["token_expired", "unauthorized"].includes(code) && !event) return;
  toast(event ? `The server refused “${event}”` : "The server complains", message, "fault");
}

// ---- Start

onRefused(() => signOut(SESSION_ENDED));
for (const person of document.querySelectorAll(".person")) {
  person.addEventListener("click", () => signIn(person.dataset.email, DEMO_PASSWORD));
}
$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn($("email").value.trim(), $("password").value);
  $("password").value = "";
});
$("sign-out").addEventListener("click", () => endSession({ everywhere: false }));
$("sign-out-everywhere").addEventListener("click", () => endSession({ everywhere: true }));
// The frames stand open beside the list where there is room, and closed below it where there is not.
$("frames-panel").open = matchMedia("(min-width: 64rem)").matches;

if (savedToken()) {
  // A 401 has shown the sign-in already; after anything else the token may still be good, so keep it.
  api("GET", "/auth/me").then(({ data }) => enter(data), (error) => error.status === 401 || showSignIn(error.message));
} else {
  showSignIn();
}
