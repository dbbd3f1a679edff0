// The bell, the chat and the projects of the test page in a real browser: each person sees what the others do
// without a reload, also without a WebSocket.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Browser, SCREENS } from "./browser.mjs";
import { Server, until } from "./harness.mjs";

let server;
let browser;
before(async () => {
  server = await Server.start();
  browser = await Browser.launch(server);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

async function create(who, path, body) {
  const answer = await server.call(who, "POST", path, body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body;
}
/** Starts a conversation of Alice and Bob for one test. */
const conversation = async (title) => create("alice", "/conversations", { title, memberIds: [await server.id("bob")] });
const say = (who, id, content) => create(who, `/conversations/${id}/messages`, { content });

/** Opens a signed-in page for each name. */
async function pages(screen, ...names) {
  const visitors = await Promise.all(names.map(() => browser.visit(screen)));
  for (const [at, visitor] of visitors.entries()) await visitor.signInAs(names[at]);
  return visitors;
}
/** Closes the pages after a check that they fit the screen and complained of nothing. */
async function checkAndClose(...visitors) {
  for (const visitor of visitors) {
    assert.equal(await visitor.sidewaysScroll(), 0, "the page is wider than the screen");
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  }
}

for (const screen of Object.keys(SCREENS)) {
  describe(`on a ${screen}`, () => {
    test("two people chat: each sees the other's messages, typing, presence and read receipts", async () => {
      const { id } = await conversation("Kitchen");
      const [alice, bob] = await pages(screen, "alice", "bob");
      await alice.openConversation(id);
      await until(async () => (await alice.here()).join() === "Alice (you)", "alice alone");
      await bob.openConversation(id);
      await until(async () => (await alice.here()).join() === "Alice (you),Bob", "bob's coming at alice's");
      await until(async () => (await bob.here()).join() === "Alice,Bob (you)", "alice's presence at bob's");

      await alice.on("message-input").pressSequentially("Oak");
      await bob.shows("typing", "Alice is typing…");
      await bob.shows("typing", "");
      await alice.write("Shall we take the oak one?");
      await bob.message("Shall we take the oak one?");
      await until(async () => (await alice.on("seen").allTextContents()).join("") === "Seen by Bob", "the receipt at alice's");
      await bob.write("Yes! And the brass handles with it.");
      await alice.message("Yes! And the brass handles with it.");
      await alice.write("I order both today.");
      await bob.message("I order both today.");
      await bob.on("message-input").pressSequentially("Gr");
      await alice.shows("typing", "Bob is typing…");
      await alice.picture("8-chat");
      await alice.pictureForReadme(screen === "phone" ? "phone" : "chat");

      // Markup in a message is shown as text.
      await bob.write("<b>Great</b>");
      await alice.message("<b>Great</b>");
      await alice.shows("typing", "");

      const words = ["Shall we take the oak one?", "Yes! And the brass handles with it.", "I order both today.", "<b>Great</b>"];
      const all = words.map((text, at) => [at + 1, text]);
      assert.deepEqual(await alice.messages(), all);
      assert.deepEqual(await bob.messages(), all);
      await bob.on("nav-projects").click();
      await bob.openConversation((await conversation("Elsewhere")).id);
      await until(async () => (await alice.here()).join() === "Alice (you)", "bob's leaving at alice's");
      await checkAndClose(alice, bob);
    });

    test("an order's step notifies all pages of its customer only; reading all on one clears the others", async () => {
      const [admin, alice, other, bob] = await pages(screen, "admin", "alice", "alice", "bob");
      for (const name of ["alice", "bob"]) await server.call(name, "PATCH", "/notifications/mark-all-read");
      for (const page of [alice, bob]) await page.shows("bell-badge", null);
      const { id } = await server.order("alice", "31.00");
      await alice.on("nav-orders").click();
      await admin.order(id, "pending");
      await admin.page.locator(`[data-order-id="${id}"]`).getByTestId("to-paid").click();
      for (const page of [alice, other]) {
        await page.on("toast").filter({ hasText: `Order ${id} is paid` }).waitFor();
        await page.shows("bell-badge", "1");
        assert.equal(await page.on("bell").getAttribute("aria-label"), "Notifications, 1 unread");
      }
      await alice.picture("9-toast");
      await admin.page.locator(`[data-order-id="${id}"]`).getByTestId("to-shipped").click();
      await alice.shows("bell-badge", "2");
      if (screen === "desktop") await alice.pictureForReadme("bell");

      await alice.on("bell").click();
      const rows = alice.on("notification").and(alice.page.locator('[data-read="false"]'));
      await until(async () => (await rows.count()) === 2, "two unread rows");
      assert.match(await rows.first().textContent(), new RegExp(`Order ${id} is shipped`));
      await alice.picture("10-bell");
      await rows.last().getByTestId("mark-read").click();
      await other.shows("bell-badge", "1");
      await alice.on("read-all").click();
      for (const page of [alice, other]) await page.shows("bell-badge", null);
      assert.equal(await rows.count(), 0);

      const count = await alice.on("notification").count();
      await alice.on("notification").first().getByTestId("delete-notification").click();
      await until(async () => (await alice.on("notification").count()) === count - 1, "the row to go");
      assert.equal(await bob.on("bell-badge").isVisible(), false);
      assert.equal(await bob.on("toast").count(), 0);
      await checkAndClose(admin, alice, other, bob);
    });

    test("messages of a conversation that is not open are counted until they are read", async () => {
      const { id } = await conversation("Lunch");
      const bob = await browser.visit(screen);
      await bob.signInAs("bob");
      const { body: all } = await server.call("bob", "GET", "/conversations");
      const badge = all.reduce((sum, { unreadCount }) => sum + unreadCount, 0);
      await bob.shows("chat-badge", badge ? String(badge) : null);
      await say("alice", id, "Soup?");
      await bob.shows("chat-badge", String(badge + 1));
      await say("alice", id, "Or pasta?");
      await bob.shows("chat-badge", String(badge + 2));
      await bob.on("nav-chat").click();
      const row = bob.page.locator(`[data-testid="conversation"][data-conversation-id="${id}"]`);
      assert.equal(await row.getByTestId("conversation-unread").textContent(), "2");
      assert.equal(await row.getByTestId("conversation-last").textContent(), "Or pasta?");
      await bob.picture("11-conversations");
      await bob.openConversation(id);
      await bob.message("Or pasta?");
      await bob.shows("chat-badge", badge ? String(badge) : null);
      await until(async () => (await server.call("bob", "GET", "/conversations")).body.find((one) => one.id === id).unreadCount === 0, "the server's count");
      await checkAndClose(bob);
    });

    test("an answer marks the messages before it as read, on every page of its sender", async () => {
      const { id } = await conversation("Answered");
      const [bob, other] = await pages(screen, "bob", "bob");
      const { body: all } = await server.call("bob", "GET", "/conversations");
      const badge = all.reduce((sum, { unreadCount }) => sum + unreadCount, 0);
      const before = badge ? String(badge) : null;
      await say("alice", id, "Tea?");
      for (const page of [bob, other]) await page.shows("chat-badge", String(badge + 1));
      await say("bob", id, "Yes, please.");
      for (const page of [bob, other]) await page.shows("chat-badge", before);
      await say("alice", id, "Coming.");
      for (const page of [bob, other]) await page.shows("chat-badge", String(badge + 1));
      await checkAndClose(bob, other);
    });

    test("a project's stages, status and people are live", async () => {
      const { id } = await create("alice", "/projects", { name: "Kitchen", description: "New counters." });
      await create("alice", `/projects/${id}/members`, { userId: await server.id("bob") });
      await create("alice", `/projects/${id}/stages`, { name: "Plan" });
      const [alice, bob] = await pages(screen, "alice", "bob");
      await alice.openProject(id);
      await bob.openProject(id);
      await until(async () => (await alice.here("project-presence")).join() === "Alice (you),Bob", "both in the project");
      await alice.on("stage-name").fill("Floor");
      await alice.on("add-stage").click();
      const stage = (name, isDone) => bob.page.locator(`[data-testid="stage"][data-done="${isDone}"]`).filter({ hasText: name });
      await stage("Floor", false).waitFor();
      await alice.on("stage").filter({ hasText: "Plan" }).getByTestId("complete-stage").click();
      await stage("Plan", true).waitFor();
      assert.match(await stage("Plan", true).textContent(), /Completed by Alice/);
      await bob.shows("progress", "1 of 2 stages completed");
      await bob.on("project-status").selectOption("on hold");
      await until(async () => (await alice.on("project-status").inputValue()) === "on hold", "the status at alice's");
      await alice.picture("12-project");
      await checkAndClose(alice, bob);
    });
  });
}

describe("the page", () => {
  test("shows a long history from its end, and earlier messages when asked", async () => {
    const { id } = await conversation("History");
    for (let number = 1; number <= 90; number += 1) await say(number % 2 ? "alice" : "bob", id, `Message ${number}`);
    const [alice] = await pages("desktop", "alice");
    await alice.openConversation(id);
    await alice.message("Message 90");
    const seqs = async () => (await alice.messages()).map(([seq]) => seq);
    assert.equal((await seqs()).at(-1), 90);
    assert.ok((await seqs()).length < 90);
    while (await alice.on("earlier").isVisible()) {
      const { length } = await seqs();
      await alice.on("earlier").click();
      await until(async () => (await seqs()).length > length, "earlier messages");
    }
    assert.deepEqual(await seqs(), Array.from({ length: 90 }, (_, at) => at + 1));

    // A reader further up keeps their place, and new messages stay unread.
    const unread = async () => (await server.call("alice", "GET", "/conversations")).body.find((one) => one.id === id).unreadCount;
    await until(async () => (await unread()) === 0, "all to be read");
    await alice.on("messages").locator("li").first().scrollIntoViewIfNeeded();
    // The scroll event comes before the next frame is painted.
    await alice.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await say("bob", id, "Message 91");
    await alice.on("to-end").waitFor();
    assert.equal(await unread(), 1);
    await alice.on("to-end").click();
    await until(async () => (await unread()) === 0, "the new one to be read");
    await checkAndClose(alice);
  });

  test("without a WebSocket polls and says so, still sends and receives messages, and is live again later", async () => {
    const { id } = await conversation("No line");
    let isBlocked = true;
    const block = (page) => page.routeWebSocket(/\/ws/, (socket) => (isBlocked ? socket.close() : socket.connectToServer()));
    const alice = await browser.visit("desktop", { prepare: block });
    await alice.on("login-alice").click();
    await alice.is("polling");
    assert.match(await alice.on("connection").textContent(), /^Polling/);
    await alice.openConversation(id);
    await say("bob", id, "Can you hear me?");
    await alice.message("Can you hear me?");
    await alice.write("By post, yes.");
    await alice.message("By post, yes.");
    const { body } = await server.call("bob", "GET", `/conversations/${id}/messages`);
    assert.deepEqual(body.map(({ content }) => content), ["By post, yes.", "Can you hear me?"]);

    await server.call("alice", "PATCH", "/notifications/mark-all-read");
    await alice.shows("bell-badge", null);
    const order = await server.order("alice", "4.00");
    await server.call("admin", "PATCH", `/orders/${order.id}/status`, { status: "paid" });
    await alice.shows("bell-badge", "1");
    await alice.on("toast").filter({ hasText: `Order ${order.id} is paid` }).waitFor();
    await alice.picture("13-polling");
    isBlocked = false;
    // Browsers fire this when the network is back; without it the next try may be ten seconds away.
    await alice.page.evaluate(() => dispatchEvent(new Event("online")));
    await alice.isLive();
    await say("bob", id, "Welcome back.");
    await alice.message("Welcome back.");
    assert.deepEqual((await alice.messages()).map(([seq]) => seq), [1, 2, 3]);
    await checkAndClose(alice);
  });

  test("keeps messages written while offline, sends them once, and shows the missed ones", async () => {
    const { id } = await conversation("Storm");
    const [alice, bob] = await pages("desktop", "alice", "bob");
    await alice.openConversation(id);
    await bob.openConversation(id);
    await alice.write("Before the storm.");
    await bob.message("Before the storm.");
    await server.kill();
    await alice.is("waiting");
    await alice.write("In the storm.");
    await alice.page.locator('[data-testid="message"][data-state="pending"]').waitFor();
    await server.start();
    await say("bob", id, "From my phone.");
    for (const page of [alice, bob]) {
      await page.isLive();
      await page.message("In the storm.");
      await page.message("From my phone.");
      assert.equal(await page.on("message").count(), 3);
    }
    assert.deepEqual(await alice.messages(), await bob.messages());
    assert.deepEqual((await alice.messages()).map(([seq]) => seq), [1, 2, 3]);
    await alice.close();
    await bob.close();
  });

  test("says why a message was refused, and keeps it until it is discarded", async () => {
    const { id } = await conversation("Closed");
    const [bob] = await pages("desktop", "bob");
    await bob.openConversation(id);
    await bob.write("Still here.");
    await bob.message("Still here.");
    const { status } = await server.call("alice", "DELETE", `/conversations/${id}/members/${await server.id("bob")}`);
    assert.equal(status, 204);
    await bob.write("And now?");
    const refused = bob.page.locator('[data-testid="message"][data-state="failed"]');
    await refused.waitFor();
    assert.match(await refused.textContent(), new RegExp(`Conversation with ID ${id} not found`));
    await refused.getByText("Discard").click();
    await until(async () => (await bob.on("message").count()) === 1, "the refused message to go");
    await checkAndClose(bob);
  });

  test("sends any event from the form, shows its ack, and shows faults at the form", async () => {
    const [alice] = await pages("desktop", "alice");
    await alice.openSender();
    const frame = (event, way) => alice.page.locator(`[data-testid="frame"][data-event="${event}"][data-direction="${way}"]`);
    await alice.on("send-frame").click();
    await alice.shows("send-error", "The event has no name.");
    await alice.on("send-event").fill("message");
    await alice.on("send-data").fill('{"content": "Hello"');
    await alice.on("send-frame").click();
    assert.match(await alice.on("send-error").textContent(), /^The data is not JSON: /);
    assert.equal(await frame("message", "out").count(), 0);
    await alice.on("send-data").fill('{"content": "Hello"}');
    await alice.shows("send-error", null);
    await alice.on("send-frame").click();
    await frame("message", "out").waitFor();
    await frame("message", "in").waitFor();
    await frame("ack", "in").waitFor();
    assert.match(await frame("message", "in").textContent(), /"content": "Hello"/);
    assert.match(await frame("ack", "in").textContent(), /"ok": true/);

    await alice.on("send-event").fill("no such event");
    await alice.on("send-ack").uncheck();
    await alice.on("send-frame").click();
    await frame("error", "in").waitFor();
    await alice.on("toast").filter({ hasText: "no such event" }).waitFor();
    await alice.picture("14-frames");
    await checkAndClose(alice);
  });

  test("works by keyboard: the views, the bell, the chat", async () => {
    const { id } = await conversation("Keys");
    await create("admin", "/notifications", { userId: await server.id("alice"), type: "promotion", title: "Half price", message: "Today only." });
    const [alice] = await pages("desktop", "alice");
    const press = (...keys) => keys.reduce((before, key) => before.then(() => alice.page.keyboard.press(key)), Promise.resolve());
    const focused = (id) => until(() => alice.page.evaluate((id) => document.activeElement.id === id, id), `the focus on ${id}`);
    await alice.on("bell").focus();
    await press("Enter");
    await focused("notifications-title");
    await alice.on("notification").filter({ hasText: "Half price" }).first().waitFor();
    await press("Tab", "Enter");
    await alice.shows("bell-badge", null);
    await press("Escape");
    await focused("bell");
    assert.equal(await alice.on("notifications").isVisible(), false);

    await alice.on("nav-chat").focus();
    await press("Enter");
    await focused("chat-title");
    assert.equal(await alice.on("nav-chat").getAttribute("aria-current"), "page");
    await alice.page.locator(`[data-conversation-id="${id}"] a`).focus();
    await press("Enter");
    await focused("thread-title");
    await alice.on("message-input").focus();
    await alice.page.keyboard.type("First line");
    await press("Shift+Enter");
    await alice.page.keyboard.type("second line");
    await press("Enter");
    await alice.message("First line");
    assert.deepEqual(await alice.messages(), [[1, "First line\nsecond line"]]);
    // The address names the open conversation, so a reload opens it again.
    await alice.page.reload();
    await alice.isLive();
    await alice.message("First line");
    await checkAndClose(alice);
  });

  test("shows a few toasts at once, which close by themselves or by their button", async () => {
    const [bob] = await pages("desktop", "bob");
    for (let number = 1; number <= 5; number += 1) {
      await create("admin", "/notifications", { userId: await server.id("bob"), type: "promotion", title: `Offer ${number}`, message: "Today only." });
    }
    await bob.on("toast").filter({ hasText: "Offer 5" }).waitFor();
    assert.equal(await bob.on("toast").count(), 3);
    await bob.on("toast").filter({ hasText: "Offer 5" }).getByTestId("close-toast").click();
    assert.equal(await bob.on("toast").filter({ hasText: "Offer 5" }).count(), 0);
    await bob.page.mouse.move(0, 0);
    await until(async () => (await bob.on("toast").count()) === 0, "the toasts to go", 15_000);
    await checkAndClose(bob);
  });
});
