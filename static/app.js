// The test client: signs in and writes by REST, hears of the rest on the plain WebSocket at /ws. No library, no build step.
// Here: signing in and out, which view is shown, and what a stay is made of. The parts are in the files beside this one.

import { api, onRefused, savedToken, saveToken } from "./api.js";
import { Bell } from "./bell.js";
import { Chat } from "./chat.js";
import { $, say } from "./dom.js";
import { Frames } from "./frames.js";
import { SESSION_ENDED } from "./line.js";
import { Link } from "./link.js";
import { Orders } from "./orders.js";
import { Projects } from "./projects.js";
import { Stay } from "./stay.js";
import { clearToasts, toast } from "./toasts.js";

const DEMO_PASSWORD = "demo-password";
const VIEWS = ["orders", "chat", "projects"];
const TITLES = { orders: "desk-title", chat: "chat-title", projects: "projects-title" };
/** The state of several links is that of the worst. */
const WORST_FIRST = ["off", "waiting", "connecting", "polling", "live"];

// ---- Which view is shown: `#chat/5` is the conversation 5 in the view of chat

let views = null;

/** The view that the address names; null when it names none of ours (as the skip link does). */
function route() {
  const [view, id] = location.hash.slice(1).split("/");
  return VIEWS.includes(view) ? { view, id: /^\d+$/.test(id) ? Number(id) : null } : null;
}

function showView({ view, id }) {
  for (const name of VIEWS) {
    $(`${name}-view`).hidden = name !== view;
    $(`to-${name}`).ariaCurrent = name === view ? "page" : null;
    if (name !== view) views[name].hide?.();
  }
  views[view].show?.(id);
}

addEventListener("hashchange", () => {
  const wanted = route();
  if (!views || !wanted) return;
  showView(wanted);
  // Whoever came by keyboard goes on from here.
  const inside = { chat: "thread-title", projects: "project-name" }[wanted.view];
  $(wanted.id && inside ? inside : TITLES[wanted.view]).focus();
});

// ---- Signed out

let leave = () => {};

function showSignIn(message) {
  document.title = "hubcast";
  for (const id of ["desk", "account", "connection", "nav"]) $(id).hidden = true;
  $("sign-in").hidden = false;
  say($("sign-in-error"), message);
}

async function signIn(email, password) {
  say($("sign-in-error"), null);
  try {
    const { data } = await api("POST", "/auth/login", { body: { email, password } });
    saveToken(data.accessToken);
    // Where the one before was in this tab is not this one's business.
    history.replaceState(null, "", location.pathname);
    enter(data.user);
    $("desk-title").focus();
  } catch (error) {
    say($("sign-in-error"), error.message);
  }
}

function signOut(message) {
  saveToken(null);
  leave();
  showSignIn(message);
  $("sign-in-title").focus();
}

// ---- Signed in

function enter(user) {
  const asAdmin = user.role === "admin";
  leave();
  document.title = asAdmin ? "Order desk · hubcast" : `${user.name} · hubcast`;
  $("sign-in").hidden = true;
  for (const id of ["desk", "account", "connection", "nav"]) $(id).hidden = false;
  $("who").textContent = user.name;
  $("desk").dataset.role = user.role;

  const stay = new Stay(user);
  const frames = new Frames(stay);
  const links = [];
  const showConnection = () => {
    const [worst] = links.toSorted((one, other) => WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state));
    if ($("connection").textContent === worst.words && $("connection").dataset.state === worst.state) return;
    $("connection").dataset.state = worst.state;
    $("connection").textContent = worst.words;
  };
  const link = (namespace) => {
    const made = new Link(namespace, savedToken(), {
      onState: showConnection,
      onFrame: (way, frame) => frames.show(namespace, way, frame),
      onEnd: (code, words) => (code === 4401 ? signOut(words) : toast("Not connected", words, "fault")),
    });
    links.push(made);
    frames.offer(made);
    return made;
  };

  // The order desk has a namespace of its own; bell, chat and projects are everyone's.
  const main = link("/");
  const desk = asAdmin ? link("/admin") : main;
  views = { orders: new Orders(stay), chat: new Chat(stay, main), projects: new Projects(stay, main) };
  main.add(new Bell(stay, main), views.chat, views.projects, { hear: { error: tellFault }, ready() {}, refresh: () => true });
  desk.add(views.orders);
  showView(route() ?? { view: "orders", id: null });
  for (const one of links) one.open();

  stay.listen(window, "online", () => links.forEach((one) => one.hurry()));
  leave = () => {
    stay.end();
    for (const one of links) one.close();
    clearToasts();
    views = null;
    leave = () => {};
  };
}

function tellFault({ event, message }) {
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
$("sign-out").addEventListener("click", () => signOut());
// The frames stand open beside the list where there is room, and closed below it where there is not.
$("frames-panel").open = matchMedia("(min-width: 64rem)").matches;

if (savedToken()) {
  // A 401 has shown the sign-in already; after anything else the token may still be good, so keep it.
  api("GET", "/auth/me").then(({ data }) => enter(data), (error) => error.status === 401 || showSignIn(error.message));
} else {
  showSignIn();
}
