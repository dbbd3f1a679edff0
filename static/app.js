// The test page: signs in and writes by REST, gets everything else on the plain WebSocket at /ws or
// by long-polling. No library, no build step. This file signs in and out, shows the view that the
// address names, and creates the parts of a signed-in page.

import { api, endToken, onRefused, savedToken, saveToken } from "./api.js";
import { Bell } from "./bell.js";
import { Channel } from "./channel.js";
import { Chat } from "./chat.js";
import { ConnectionPanel } from "./connection-panel.js";
import { $, showText } from "./dom.js";
import { closeDrawer } from "./drawer.js";
import { Frames } from "./frames.js";
import { Invitations } from "./invitations.js";
import { Notify } from "./notify.js";
import { Orders } from "./orders.js";
import { Products } from "./products.js";
import { Projects } from "./projects.js";
import { Scope } from "./scope.js";
import { isDemo } from "./settings.js";
import { Shop } from "./shop.js";
import { SESSION_ENDED } from "./socket.js";
import { Stats } from "./stats.js";
import { Stock } from "./stock.js";
import { clearToasts, toast } from "./toasts.js";
import { TokenExpiry } from "./token-expiry.js";

const DEMO_PASSWORD = "demo-password";
/** The heading of each view, which gets the focus when the view is opened. */
const TITLES = {
  shop: "shop-title",
  orders: "orders-heading",
  stock: "stock-title",
  chat: "chat-title",
  projects: "projects-title",
  notify: "notify-title",
};
const SIGNED_IN_ONLY = ["desk", "account", "connection-place", "nav"];

// ---- The views. The address `#chat/5` opens conversation 5 in the view `chat`.

let views = null;

/** The view in the address, or null when it is none of this user's views. */
function route() {
  const [view, id] = location.hash.slice(1).split("/");
  if (!views || !Object.hasOwn(views, view)) return null;
  return { view, id: /^\d+$/.test(id) ? Number(id) : null };
}

function showView({ view, id }) {
  for (const name of Object.keys(TITLES)) {
    $(`${name}-view`).hidden = name !== view;
    $(`to-${name}`).ariaCurrent = name === view ? "page" : null;
    if (name !== view) views[name]?.hide?.();
  }
  views[view].show?.(id);
}

/** Scrolls to the top and moves the keyboard's focus there. */
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
  for (const id of [...SIGNED_IN_ONLY, "expiring"]) $(id).hidden = true;
  closeDrawer();
  $("sign-in").hidden = false;
  showText($("sign-in-error"), message);
}

async function signIn(email, password) {
  showText($("sign-in-error"), null);
  try {
    const body = { email, password };
    const { data } = await api("POST", "/auth/login", { body, isSignIn: true });
    saveToken(data.accessToken);
    // The view of the previous user in this tab is not the next one's.
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

/** Signs out at once, and ends the token on the server, or all of the user's tokens. */
async function endSession({ everywhere }) {
  const ending = endToken({ everywhere });
  signOut();
  const why = await ending;
  if (!why || $("sign-in").hidden) return;
  showText($("sign-in-error"), `You are signed out here, but your token could not be ended: ${why}`);
}

// ---- Signed in

const home = ({ role }) => (role === "admin" ? "orders" : "shop");

function enter(user) {
  const isAdmin = user.role === "admin";
  leave();
  document.title = isAdmin ? "Order desk · hubcast" : `${user.name} · hubcast`;
  $("sign-in").hidden = true;
  for (const id of SIGNED_IN_ONLY) $(id).hidden = false;
  $("who").textContent = user.name;
  document.body.dataset.role = user.role;

  const scope = new Scope(user);
  const frames = new Frames(scope);
  const panel = new ConnectionPanel(scope);
  const channels = [];
  const open = (namespace) => {
    const channel = new Channel(namespace, savedToken(), {
      onState: () => panel.show(),
      onFrame: (direction, frame) => {
        frames.show(namespace, direction, frame);
        if (direction === "in") panel.count(namespace, frame);
      },
      onReady: (info) => panel.ready(channel, info),
      onEnd: (code, words) =>
        code === 4401 ? signOut(words) : toast("Not connected", words, "fault"),
    });
    channels.push(channel);
    panel.add(channel);
    frames.offer(channel);
    return channel;
  };

  // The order desk has its own namespace; everything else is in the main one.
  const main = open("/");
  const desk = isAdmin ? open("/admin") : main;
  const products = new Products(scope);
  const orders = new Orders(scope);
  const own = isAdmin
    ? { stock: new Stock(scope, products), notify: new Notify(scope, orders) }
    : { shop: new Shop(scope, products, orders) };
  const [chat, projects] = [new Chat(scope, main), new Projects(scope, main)];
  views = { orders, ...own, chat, projects };
  const errors = { handlers: { error: showFault }, ready() {}, refresh: () => true };
  const invitations = new Invitations(scope, { conversation: chat, project: projects });
  main.add(new Bell(scope, main), invitations, products, chat, projects);
  main.add(new TokenExpiry(scope, channels), errors);
  desk.add(orders);
  if (isAdmin) desk.add(new Stats(scope), products);
  showView(route() ?? { view: home(user), id: null });
  for (const channel of channels) channel.open();

  scope.listen(window, "online", () => channels.forEach((channel) => channel.hurry()));
  leave = () => {
    scope.end();
    for (const channel of channels) channel.close();
    clearToasts();
    views = null;
    leave = () => {};
  };
}

function showFault({ code, event, message }) {
  // These end the connection, and the sign-in then shows the reason.
  if (["token_expired", "unauthorized"].includes(code) && !event) return;
  toast(event ? `The server refused “${event}”` : "The server complains", message, "fault");
}

// ---- Start

onRefused(() => signOut(SESSION_ENDED));
// Without the demo accounts, the page must not offer them.
for (const element of document.querySelectorAll(`[data-demo="${isDemo ? "off" : "on"}"]`)) {
  element.remove();
}
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

if (savedToken()) {
  // A 401 has shown the sign-in already. After another error the token may still be good.
  api("GET", "/auth/me").then(
    ({ data }) => enter(data),
    (error) => error.status === 401 || showSignIn(error.message),
  );
} else {
  showSignIn();
}
