// The test page in a real browser, on a desktop and on a phone: sign-in, orders, the debugger, and its settings.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Browser, SCREENS } from "./browser.mjs";
import { PASSWORD, Server, until } from "./harness.mjs";

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

for (const screen of Object.keys(SCREENS)) {
  describe(`on a ${screen}`, () => {
    test("an order placed on one page appears on the desk, and each step of the desk on the customer's page", async () => {
      const [admin, alice, bob] = await Promise.all([browser.visit(screen), browser.visit(screen), browser.visit(screen)]);
      await alice.picture("1-sign-in");
      await admin.signInAs("admin");
      await alice.signInAs("alice");
      await bob.signInAs("bob");
      assert.equal(await alice.on("who").textContent(), "Alice");

      const bobsBefore = (await server.call("bob", "GET", "/orders")).body.length;
      const id = await alice.place("25.5");
      const atDesk = await admin.order(id, "pending");
      assert.equal(await atDesk.getByTestId("order-amount").textContent(), "€25.50");
      await until(async () => (await atDesk.getByTestId("order-customer").textContent()) === "Alice", "the customer's name at the desk");
      await admin.picture("2-desk-new-order");

      const take = async (button) => admin.page.locator(`[data-order-id="${id}"]`).getByTestId(button).click();
      await take("to-paid");
      await alice.order(id, "paid");
      await take("to-shipped");
      const shipped = await alice.order(id, "shipped");
      assert.equal(await shipped.getByTestId("order-status").textContent(), "shipped");
      await alice.picture("3-customer-shipped");
      await take("to-delivered");
      await alice.order(id, "delivered");
      await admin.order(id, "delivered");
      assert.deepEqual(await admin.page.locator(`[data-order-id="${id}"] button:visible`).count(), 0);

      // Bob's own order would reach his page after Alice's, so nothing of hers is still on its way.
      const bobs = await bob.place("7");
      await admin.order(bobs, "pending");
      await admin.page.locator(`[data-order-id="${bobs}"]`).getByTestId("to-cancelled").click();
      await bob.order(bobs, "cancelled");
      assert.equal(await bob.on("order").count(), bobsBefore + 1);

      await admin.picture("4-desk-delivered");
      for (const person of [admin, alice, bob]) {
        assert.equal(await person.sidewaysScroll(), 0, "the page is wider than the screen");
        assert.deepEqual(person.complaints, []);
        assert.ok(person.sockets.length > 0 && person.sockets.every((url) => !url.includes("token") && !url.includes("eyJ")), "a token stands in a URL");
        await person.close();
      }
    });

    test("the debugger is closed until it is opened, and shows frames but never a token", async () => {
      const alice = await browser.visit(screen);
      await alice.signInAs("alice");
      assert.equal(await alice.on("drawer").isVisible(), false);
      assert.equal(await alice.on("open-drawer").getAttribute("aria-expanded"), "false");
      await alice.openDrawer();
      assert.equal(await alice.on("open-drawer").getAttribute("aria-expanded"), "true");
      assert.equal(await alice.page.evaluate(() => document.activeElement.id), "drawer-title");
      await alice.page.locator('[data-testid="frame"][data-event="session"]').waitFor();
      const text = await alice.on("frames").textContent();
      assert.ok(!text.includes("eyJ"), "a token is shown");
      await alice.picture("5-frames");
      assert.equal(await alice.sidewaysScroll(), 0);
      await alice.page.keyboard.press("Escape");
      assert.equal(await alice.on("drawer").isVisible(), false);
      assert.equal(await alice.page.evaluate(() => document.activeElement.id), "open-drawer");
      assert.deepEqual(alice.complaints, []);
      await alice.close();
    });

    test("toasts never cover the open debugger, and do not say their title twice", async () => {
      const alice = await browser.visit(screen);
      await alice.signInAs("alice");
      await alice.openDrawer();
      const orders = [await server.order("alice", "9.00"), await server.order("alice", "9.00"), await server.order("alice", "9.00")];
      for (const { id } of orders) await server.call("admin", "PATCH", `/orders/${id}/status`, { status: "paid" });
      const last = `Order ${orders.at(-1).id} is paid`;
      await alice.toast(last);
      assert.equal(await alice.on("toast").filter({ hasText: last }).locator("p").textContent(), "");
      await alice.on("toast").last().evaluate((toast) => Promise.all(toast.getAnimations().map(({ finished }) => finished)));
      const drawer = await alice.on("drawer").boundingBox();
      for (const toast of await alice.on("toast").all()) {
        const box = await toast.boundingBox();
        // On a phone only the newest toast is visible.
        if (box) assert.ok(box.x + box.width <= drawer.x || box.y + box.height <= drawer.y, "a toast covers the debugger");
      }
      await alice.picture("15-toast-and-debugger");
      assert.equal(await alice.sidewaysScroll(), 0);
      await alice.close();
    });
  });
}

describe("the page", () => {
  test("shows the server's own words when it refuses", async () => {
    const alice = await browser.visit("desktop");
    await alice.on("login-email").fill("alice@demo.test");
    await alice.on("login-password").fill(`not ${PASSWORD}`);
    await alice.on("login-submit").click();
    await alice.on("login-error").waitFor();
    assert.equal(await alice.on("login-error").textContent(), "Invalid email or password");

    await alice.on("login-email").fill("alice@demo.test");
    await alice.on("login-password").fill(PASSWORD);
    await alice.on("login-submit").click();
    await alice.isLive();
    await alice.on("nav-orders").click();
    await alice.on("order-by-total").click();
    await alice.on("order-total").fill("-1");
    await alice.on("order-submit").click();
    await alice.on("order-error").waitFor();
    assert.match(await alice.on("order-error").textContent(), /total must not be less than 0/);
    await alice.picture("6-refused");
    await alice.place("3.10");
    await until(async () => !(await alice.on("order-error").isVisible()), "the error to go");
    await alice.close();
  });

  test("keeps the sign-in over a reload, and forgets it on signing out", async () => {
    const alice = await browser.visit("desktop");
    await alice.signInAs("alice");
    await alice.page.reload();
    await alice.isLive();
    await alice.on("sign-out").click();
    await alice.on("login-alice").waitFor();
    await alice.page.reload();
    await alice.on("login-alice").waitFor();
    assert.deepEqual(alice.complaints, []);
    await alice.close();
  });

  test("works by keyboard alone", async () => {
    const admin = await browser.visit("desktop");
    await admin.on("login-admin").focus();
    await admin.page.keyboard.press("Enter");
    await admin.isLive();
    const { id } = await server.order("alice", "12.00");
    const row = await admin.order(id, "pending");
    await row.getByTestId("to-paid").focus();
    for (const status of ["paid", "shipped", "delivered"]) {
      await admin.page.keyboard.press("Enter");
      await admin.order(id, status);
    }
    assert.deepEqual(admin.complaints, []);
    await admin.close();
  });

  test("says that the connection is lost, reconnects by itself, and shows the missed order", async () => {
    const admin = await browser.visit("desktop");
    await admin.signInAs("admin");
    await server.kill();
    await admin.is("waiting");
    assert.match(await admin.on("connection").textContent(), /^Connection lost\. Trying again in \d+ s$/);
    await admin.picture("7-line-down");
    await server.start();
    const { id } = await server.order("alice", "8.00");
    await admin.isLive();
    await admin.order(id, "pending");
    await admin.close();
  });
});

describe("the page by its settings", () => {
  const production = { HUBCAST_ENV: "production", HUBCAST_DEMO: "false", LOG_FORMAT: "text" };
  const status = async (own, path) => (await fetch(own.url + path)).status;

  test("is off in production: every path is unknown, and the log names the setting", async () => {
    const own = await Server.start(production);
    try {
      for (const path of ["/", "/app.js", "/rows.html", "/style.css", "/favicon.svg"]) {
        const { status, body } = await own.call(null, "GET", path);
        assert.deepEqual([status, body], [404, { statusCode: 404, message: `Cannot GET ${path}`, error: "Not Found" }]);
      }
      assert.equal(await status(own, "/healthz"), 200);
      assert.equal(own.log.split("\n").filter((line) => line.includes("TEST_CLIENT=on")).length, 1, own.log);
    } finally {
      await own.close();
    }
  });

  test("is on in production with TEST_CLIENT=on, without demo accounts, with prices in CURRENCY", async () => {
    const own = await Server.start({ ...production, TEST_CLIENT: "on", CURRENCY: "usd", REGISTRATION: "open", CUSTOMER_PAYMENTS: "on" });
    const ownBrowser = await Browser.launch(own);
    try {
      const dana = { email: "dana@x.test", password: PASSWORD };
      const { accessToken } = await own.post(null, "/auth/register", { ...dana, name: "Dana" });
      const visitor = await ownBrowser.visit("desktop");
      await visitor.on("login-email").waitFor();
      assert.equal(await visitor.page.locator(".person").count(), 0);
      assert.doesNotMatch(await visitor.page.locator("#sign-in").textContent(), /demo|Alice|Bob/i);
      await visitor.picture("16-no-demo");
      await visitor.signInWith(dana);
      const { id } = await own.order(accessToken, "1234.5");
      await visitor.on("nav-orders").click();
      // No event says that a customer's own order was placed by REST; a reload reads it.
      await visitor.page.reload();
      const row = await visitor.order(id, "pending");
      assert.equal(await row.getByTestId("order-amount").textContent(), "$1,234.50");
      assert.equal(await row.getByTestId("pay").textContent(), "Pay $1,234.50");
      assert.deepEqual(visitor.complaints, []);
    } finally {
      await ownBrowser.close();
      await own.close();
    }
  });

  test("is off everywhere with TEST_CLIENT=off", async () => {
    const own = await Server.start({ TEST_CLIENT: "off" });
    try {
      assert.equal(await status(own, "/"), 404);
    } finally {
      await own.close();
    }
  });
});

test("a person who is invited accepts at the bell, refuses or blocks, also in another tab", async () => {
  const own = await Server.start({ MEMBERSHIP: "invite" });
  const another = await Browser.launch(own);
  try {
    const [first, second] = [await another.visit("desktop"), await another.visit("phone")];
    for (const tab of [first, second]) await tab.signInAs("bob");
    const bob = await own.id("bob");
    const invite = (title) => own.post("alice", "/conversations", { title, memberIds: [bob] });
    const { id } = await invite("Tea");
    await first.toast("Alice invites you to “Tea”");
    for (const tab of [first, second]) {
      await tab.on("bell").click();
      await tab.on("invitation").waitFor();
    }
    assert.equal(await second.sidewaysScroll(), 0, "the page is wider than the screen");
    await first.picture("invitation");
    await first.on("accept-invitation").click();
    for (const tab of [first, second]) await until(async () => (await tab.on("invitation").count()) === 0, "the invitation to close");
    assert.equal((await own.call("bob", "GET", `/conversations/${id}`)).status, 200);
    for (const title of ["Cake", "Milk"]) await invite(title);
    await until(async () => (await second.on("invitation").count()) === 2, "two invitations");
    await second.on("block-inviter").first().click();
    for (const tab of [first, second]) await until(async () => (await tab.on("invitation").count()) === 0, "both to close");
    assert.equal((await own.call("bob", "GET", "/blocks")).body.length, 1);
    assert.deepEqual([...first.complaints, ...second.complaints], []);
  } finally {
    await another.close();
    await own.close();
  }
});
