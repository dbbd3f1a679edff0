// The page at / in a real browser, on a wide screen and on a phone's: two people, two pages, and no reload.

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
    test("an order placed on one page appears on the other, and each step of the desk shows at the customer's", async () => {
      const [admin, alice, bob] = await Promise.all([browser.visit(screen), browser.visit(screen), browser.visit(screen)]);
      await alice.picture("1-sign-in");
      await admin.signInAs("admin");
      await alice.signInAs("alice");
      await bob.signInAs("bob");
      assert.equal(await alice.on("who").textContent(), "Alice");

      const bobsBefore = (await server.call("bob", "GET", "/orders")).body.length;
      const id = await alice.place("25.5");
      const atDesk = await admin.order(id, "pending");
      assert.equal(await atDesk.getByTestId("order-amount").textContent(), "25.50");
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

      // Bob's own order reaches his page after alice's would have.
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

    test("the frames panel shows what came, and never a token", async () => {
      const alice = await browser.visit(screen);
      await alice.signInAs("alice");
      await alice.openFrames();
      await alice.page.locator('[data-testid="frame"][data-event="session"]').waitFor();
      const text = await alice.on("frames").textContent();
      assert.ok(!text.includes("eyJ"), "a token is shown");
      await alice.picture("5-frames");
      assert.equal(await alice.sidewaysScroll(), 0);
      assert.deepEqual(alice.complaints, []);
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

  test("can be worked by keyboard alone", async () => {
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

  test("says that the line is down, comes back by itself, and shows what it missed", async () => {
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
