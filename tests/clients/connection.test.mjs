// The connection of the test page in a real browser: its state in the debugger, breaks and recovery, and expiring sign-ins.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Browser, SCREENS } from "./browser.mjs";
import { PASSWORD, Server, sign, until } from "./harness.mjs";

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

async function checkAndClose(...visitors) {
  for (const visitor of visitors) {
    assert.equal(await visitor.sidewaysScroll(), 0, "the page is wider than the screen");
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  }
}
const LATENCY = /^\d+(\.\d)? ms$/;
const measured = (page) => until(async () => LATENCY.test(await page.on("round-trip").textContent()), "the round trip");

/** Blocks all WebSockets of that page. */
const block = (page) => page.routeWebSocket(/\/ws/, (socket) => socket.close());

/** Opens a page that is signed in with a token of its own, which expires after `seconds`. */
async function withToken(name, seconds, prepare = () => {}, role = "customer") {
  const token = sign({ sub: await server.id(name), role, exp: Math.floor(Date.now() / 1000) + seconds });
  const keep = (page) => page.addInitScript((token) => sessionStorage.setItem("token", token), token);
  const page = await browser.visit("desktop", { prepare: async (page) => [await keep(page), await prepare(page)] });
  await page.on("who").waitFor();
  return page;
}

for (const screen of Object.keys(SCREENS)) {
  describe(`on a ${screen}`, () => {
    test("a broken connection resumes its session, with all missed events", async () => {
      const { id } = await server.order("alice", "31.00");
      const [admin, alice] = [await browser.visit(screen), await browser.visit(screen)];
      await admin.signInAs("admin");
      await alice.signInAs("alice");
      for (const page of [admin, alice]) {
        await page.openDrawer();
        await page.shows("transport", "WebSocket");
        await page.shows("connection-state", "Live");
        await page.shows("last-break", "None yet");
        await measured(page);
        await page.on("break-connection").click();
        await page.is("waiting");
        assert.match(await page.on("connection").textContent(), /^Connection broken on purpose\. Trying again in 10 s$/);
        await page.shows("round-trip", "–");
      }
      await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
      await alice.on("nav-orders").click();
      await alice.order(id, "pending");
      await alice.picture("30-broken");
      for (const page of [admin, alice]) {
        await page.on("break-connection").click();
        await page.isLive();
        await page.order(id, "paid");
        await until(async () => (await page.on("last-break").textContent()).startsWith("Recovered"), "the recovery");
        await measured(page);
      }
      // Alice missed the order's change and a notification; the admin missed the change in both namespaces.
      await alice.shows("last-break", "Recovered, 2 missed events came after");
      await admin.shows("last-break", "Recovered, 2 missed events came after");
      await alice.toast(`Order ${id} is paid`);
      if (screen === "desktop") await admin.pictureForReadme("debugger");
      await alice.picture("31-recovered");
      await checkAndClose(admin, alice);
    });

    test("signing out ends the token; signing out everywhere ends those of other pages too, which say so", async () => {
      // An account of this test's own, because the other accounts' tokens are shared by all tests.
      const carol = { email: `carol-${screen}@demo.test`, password: PASSWORD };
      assert.equal((await server.call(null, "POST", "/auth/register", { ...carol, name: "Carol" })).status, 201);
      const [here, there, bob] = [await browser.visit(screen), await browser.visit(screen), await browser.visit(screen)];
      await here.signInWith(carol);
      await there.signInWith(carol);
      await bob.signInAs("bob");
      const token = await here.page.evaluate(() => sessionStorage.getItem("token"));
      assert.equal((await server.call(token, "GET", "/auth/me")).status, 200);
      await here.on("sign-out").click();
      await here.on("login-email").waitFor();
      await until(async () => (await server.call(token, "GET", "/auth/me")).status === 401, "the token's end");
      assert.equal(await there.on("connection").getAttribute("data-state"), "live");

      await here.signInWith(carol);
      await here.openDrawer();
      await here.on("sign-out-everywhere").click();
      for (const page of [here, there]) await page.on("login-email").waitFor();
      assert.equal(await here.on("login-error").isVisible(), false);
      assert.equal(await here.on("drawer").isVisible(), false);
      assert.equal(await there.on("login-error").textContent(), "You have been signed out. Please sign in again.");
      assert.equal(await bob.on("connection").getAttribute("data-state"), "live");
      await there.picture("32-signed-out");
      await there.signInWith(carol);
      await checkAndClose(here, there, bob);
    });
  });
}

describe("the page", () => {
  test("shows an admin the server's figures in words, and only the latest among the frames", async () => {
    const admin = await browser.visit("desktop");
    await admin.signInAs("admin");
    await admin.on("stats").waitFor();
    const figures = () => admin.on("stats").locator("div").allInnerTexts();
    const before = await figures();
    assert.match(before.join(" "), /Connections\s+\d/);
    // The desk's page has a socket in each namespace.
    assert.match(before.join(" "), /Connections\s+2 plain WebSockets\s+Signed in\s+0 customers, 1 desk\s/);
    const alice = await browser.visit("desktop");
    await alice.signInAs("alice");
    await until(async () => (await figures()).join(" ").includes("1 customer, 1 desk"), "the customer among the figures");
    assert.match((await figures()).join(" "), /3 plain WebSockets/);
    await alice.close();
    await until(async () => (await figures()).join() !== before.join(), "figures that go on");
    assert.equal(await admin.page.locator('[data-testid="frame"][data-event="server:stats"]').count(), 1);
    await admin.picture("35-stats");
    await checkAndClose(admin);
  });

  test("without a WebSocket is live by long-polling, which recovers from breaks too, until a WebSocket gets through", async () => {
    let isBlocked = true;
    const blockAtFirst = (page) => page.routeWebSocket(/\/ws/, (socket) => (isBlocked ? socket.close() : socket.connectToServer()));
    const { id } = await server.order("alice", "12.00");
    const [admin, alice] = [await browser.visit("desktop", { prepare: blockAtFirst }), await browser.visit("phone", { prepare: blockAtFirst })];
    for (const [page, name] of [[admin, "admin"], [alice, "alice"]]) {
      await page.on(`login-${name}`).click();
      await page.is("polling");
      await page.openDrawer();
      await page.shows("transport", "Long-polling");
      await page.shows("connection-state", "Polling, live");
      await measured(page);
    }
    await alice.on("nav-orders").click();
    await admin.order(id, "pending");
    await admin.page.locator(`[data-order-id="${id}"]`).getByTestId("to-paid").click();
    await alice.order(id, "paid");
    await alice.toast(`Order ${id} is paid`);
    await alice.picture("33-polling");

    await alice.on("break-connection").click();
    await alice.is("waiting");
    await server.call("admin", "PATCH", `/orders/${id}/ship`);
    await alice.on("break-connection").click();
    await alice.is("polling");
    await alice.order(id, "shipped");
    await alice.shows("last-break", "Recovered, 2 missed events came after");

    isBlocked = false;
    // Browsers fire this when the network is back; without it the next try may be half a minute away.
    for (const page of [admin, alice]) await page.page.evaluate(() => dispatchEvent(new Event("online")));
    for (const page of [admin, alice]) await page.isLive();
    await alice.shows("transport", "WebSocket");
    await alice.shows("last-break", "Recovered, nothing was missed");
    await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "delivered" });
    for (const page of [admin, alice]) await page.order(id, "delivered");
    await checkAndClose(admin, alice);
  });

  test("without WebSocket and long-polling reads by REST every few seconds, and says that it is not live", async () => {
    const blockAll = async (page) => {
      await block(page);
      await page.route("**/socket.io/**", (route) => route.fulfill({ status: 403 }));
    };
    const alice = await browser.visit("phone", { prepare: blockAll });
    await alice.on("login-alice").click();
    await alice.is("polling");
    await alice.shows("transport", "REST, every 3 s");
    await alice.shows("connection-state", "Polling every 3 s, not live");
    assert.equal(await alice.on("break-connection").isEnabled(), false);
    const { id } = await server.order("alice", "12.00");
    await alice.on("nav-orders").click();
    await alice.order(id, "pending");
    await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
    await alice.order(id, "paid");
    alice.forgive(403);
    await checkAndClose(alice);
  });

  test("warns a minute before its sign-in expires, and stays signed in for the password", async () => {
    const admin = await withToken("admin", 61, undefined, "admin");
    await admin.on("expiring").waitFor({ timeout: 15_000 });
    await admin.picture("34-expiring");
    await admin.on("expiring-password").fill(`not ${PASSWORD}`);
    await admin.on("expiring-stay").click();
    await until(async () => /Invalid email or password/.test(await admin.on("expiring").textContent()), "the refusal");
    admin.forgive(401);
    const before = await admin.page.evaluate(() => sessionStorage.getItem("token"));
    await admin.on("expiring-password").fill(PASSWORD);
    await admin.on("expiring-stay").click();
    await admin.toast("You are still signed in");
    await admin.shows("expiring", null);
    assert.notEqual(await admin.page.evaluate(() => sessionStorage.getItem("token")), before);
    await admin.openDrawer();
    await admin.on("measure").click();
    await measured(admin);
    await checkAndClose(admin);
  });

  test("goes back to the sign-in when its token has expired, and says why", async () => {
    const alice = await withToken("alice", 3);
    await alice.on("login-alice").waitFor({ timeout: 15_000 });
    assert.equal(await alice.on("login-error").textContent(), "Your sign-in has run out. Please sign in again.");
    await alice.signInAs("alice");
    await checkAndClose(alice);
  });

  test("is signed out over long-polling too, and says why", async () => {
    const alice = await withToken("alice", 8, block);
    await alice.is("polling");
    await alice.on("login-alice").waitFor({ timeout: 15_000 });
    assert.equal(await alice.on("login-error").textContent(), "Your sign-in has run out. Please sign in again.");
    await checkAndClose(alice);
  });
});
