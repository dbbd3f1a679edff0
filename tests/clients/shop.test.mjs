// The shop, the desk and the stock of the test page in a real browser: each person sees what the others do without a reload.

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

/** Adds a product for one test, so that no other test changes its stock. */
const product = (name, price, stock, more) => server.post("admin", "/products", { name, price, stock, lowStockThreshold: 2, ...more });

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
const reads = (place, text) => until(async () => (await place.allTextContents()).join() === text, `${text} to be read there`);
const says = (field, value) => until(async () => (await field.inputValue()) === value, `${value} in the field`);

for (const screen of Object.keys(SCREENS)) {
  describe(`on a ${screen}`, () => {
    test("an order goes from the basket to its delivery, and each side sees the other's step at once", async () => {
      const board = await product("Oak tray", "49.90", 12, { description: "Oiled, with two handles" });
      const handle = await product("Brass kettle", "7.50", 3, { lowStockThreshold: 5, description: "It whistles" });
      const [admin, alice] = await pages(screen, "admin", "alice");
      const [inBasket, others] = [board, handle].map(({ id }) => alice.product(id).getByTestId("in-basket"));
      await alice.toBasket(board.id, 2);
      await reads(inBasket, "2 in your basket");
      assert.equal(await others.isVisible(), false);
      await alice.toBasket(handle.id, 1);
      await reads(others, "1 in your basket");
      await alice.shows("basket-total", "€107.30");
      await alice.shows("basket-count", "3 pieces");
      await alice.on("basket-open").click();
      assert.equal(await alice.on("basket-line").count(), 2);
      await alice.picture("20-basket");
      if (screen === "desktop") await alice.pictureForReadme("shop");
      const id = await alice.orderBasket();
      const own = await alice.order(id, "pending");
      for (const one of [inBasket, others]) await reads(one, "");
      assert.equal(await own.getByTestId("order-items").textContent(), "2 × Oak tray, 1 × Brass kettle");
      const atDesk = await admin.order(id, "pending");
      await reads(atDesk.getByTestId("order-items"), "2 × Oak tray, 1 × Brass kettle");
      await reads(atDesk.getByTestId("order-customer"), "Alice");
      assert.equal(await atDesk.getByTestId("order-amount").textContent(), "€107.30");
      await admin.on("stats").waitFor();
      await admin.picture("21-desk");
      if (screen === "desktop") await admin.pictureForReadme("desk");

      await reads(own.getByTestId("pay"), "Pay €107.30");
      await own.getByTestId("pay").click();
      await alice.order(id, "paid");
      await alice.toast(`Order ${id} is paid`);
      await admin.order(id, "paid");
      for (const [button, status] of [["to-shipped", "shipped"], ["to-delivered", "delivered"]]) {
        await admin.page.locator(`[data-order-id="${id}"]`).getByTestId(button).click();
        await alice.order(id, status);
        await alice.toast(`Order ${id} is ${status}`);
      }
      await admin.order(id, "delivered");
      await alice.picture("22-delivered");
      assert.equal(await alice.page.locator(`[data-order-id="${id}"] button:visible`).count(), 0);
      await checkAndClose(admin, alice);
    });

    test("stock and prices are live everywhere; an order that comes too late shows what is left", async () => {
      const { id } = await product("Linen cushion", "18.00", 5);
      const [admin, alice, bob] = await pages(screen, "admin", "alice", "bob");
      await admin.on("nav-stock").click();
      const [row, hers, his] = [admin, alice, bob].map((page) => page.product(id));
      await says(row.getByTestId("edit-stock"), "5");
      await reads(hers.getByTestId("product-stock"), "5 in stock");
      await alice.toBasket(id, 3);
      await bob.toBasket(id, 3);
      const order = await alice.orderBasket();
      await alice.order(order, "pending");
      await says(row.getByTestId("edit-stock"), "2");
      await reads(row.getByTestId("stock-level"), "Low");

      await bob.on("basket-order").click();
      await bob.on("basket-error").waitFor();
      assert.equal(await bob.on("basket-error").textContent(), "Somebody was faster. There is not enough left of Linen cushion. Please take fewer, or leave it out.");
      await bob.shows("basket-short", "Only 2 left");
      await reads(his.getByTestId("product-stock"), "Only 2 left");
      await bob.picture("23-too-late");
      bob.forgive(409);
      await bob.change(bob.on("basket-quantity"), "2");
      await bob.shows("basket-total", "€36.00");
      await bob.order(await bob.orderBasket(), "pending");
      await alice.on("nav-shop").click();
      await reads(hers.getByTestId("product-stock"), "Out of stock");
      await reads(row.getByTestId("stock-level"), "Out of stock");

      await admin.change(row.getByTestId("edit-stock"), "40");
      await reads(hers.getByTestId("product-stock"), "40 in stock");
      await admin.change(row.getByTestId("edit-price"), "15.50");
      await reads(hers.getByTestId("product-price"), "€15.50");
      await reads(row.getByTestId("stock-level"), "");
      await admin.picture("24-stock");
      if (screen === "desktop") await admin.pictureForReadme("stock");

      // The items of a cancelled order go back into the stock.
      await admin.on("nav-orders").click();
      await admin.page.locator(`[data-order-id="${order}"]`).getByTestId("to-cancelled").click();
      await reads(hers.getByTestId("product-stock"), "43 in stock");
      await checkAndClose(admin, alice, bob);
    });

    test("only customers on the waitlist are notified when a product is back", async () => {
      const { id } = await product("Walnut stool", "120.00", 0);
      const [admin, alice, bob] = await pages(screen, "admin", "alice", "bob");
      const [hers, his] = [alice, bob].map((page) => page.product(id));
      await reads(hers.getByTestId("wait"), "Tell me when it is back");
      assert.equal(await hers.getByTestId("add-to-basket").isVisible(), false);
      for (const one of [hers, his]) {
        await one.getByTestId("wait").click();
        await reads(one.getByTestId("wait"), "You will be told. Forget it");
      }
      await his.getByTestId("wait").click();
      await reads(his.getByTestId("wait"), "Tell me when it is back");
      await alice.picture("25-waiting");
      await server.call("alice", "PATCH", "/notifications/mark-all-read");
      await alice.shows("bell-badge", null);
      await admin.on("nav-stock").click();
      await admin.change(admin.product(id).getByTestId("edit-stock"), "8");
      await alice.toast("Walnut stool");
      await alice.shows("bell-badge", "1");
      await hers.getByTestId("add-to-basket").waitFor();
      await his.getByTestId("add-to-basket").waitFor();
      assert.equal(await bob.on("toast").filter({ hasText: "Walnut stool" }).count(), 0);
      await checkAndClose(admin, alice, bob);
    });

    test("a review with its stars appears for others, and notifies the admin", async () => {
      const { id } = await product("Wool blanket", "64.00", 9);
      const [admin, alice, bob] = await pages(screen, "admin", "alice", "bob");
      const reviews = alice.product(id).getByTestId("reviews");
      await reviews.locator("summary").click();
      await reviews.getByTestId("review-comment").fill("Warm, and it does not itch.");
      await reviews.getByTestId("review-send").click();
      await reads(reviews.getByTestId("review-fault"), "How many stars?");
      await reviews.getByTestId("star-4").check({ force: true });
      await reviews.getByTestId("review-send").click();
      await reviews.getByTestId("review").waitFor();
      await alice.picture("26-review");
      await admin.toast("review");
      const read = bob.product(id).getByTestId("reviews");
      await read.locator("summary").click();
      await read.getByTestId("review").waitFor();
      assert.match(await read.getByTestId("review").textContent(), /^\s*★★★★☆4 of 5 stars Alice .*Warm, and it does not itch\.\s*$/s);
      await checkAndClose(admin, alice, bob);
    });

    test("the stock adds a product, shows why one is refused, and deletes after a confirmation", async () => {
      const [admin, alice] = await pages(screen, "admin", "alice");
      await admin.on("nav-stock").click();
      await admin.on("open-add-product").click();
      await admin.on("product-name").fill("Copper kettle");
      await admin.on("product-price-field").fill("much");
      await admin.on("add-product").click();
      await admin.on("product-error").waitFor();
      assert.match(await admin.on("product-error").textContent(), /price/);
      admin.forgive(400);
      await admin.on("product-price-field").fill("39.95");
      await admin.on("product-stock-field").fill("7");
      await admin.on("product-low-field").fill("1");
      await admin.on("product-description").fill("For two cups.");
      await admin.on("add-product").click();
      const row = admin.on("stock-row").filter({ hasText: "Copper kettle" });
      await row.waitFor();
      const card = alice.on("product").filter({ hasText: "Copper kettle" });
      await reads(card.getByTestId("product-stock"), "7 in stock");
      await reads(card.getByTestId("product-price"), "€39.95");

      await admin.change(row.getByTestId("edit-stock"), "-1");
      await row.getByTestId("stock-fault").waitFor();
      admin.forgive(400);
      await admin.picture("27-refused");
      await row.getByTestId("edit-stock").press("Escape");
      await says(row.getByTestId("edit-stock"), "7");
      await row.getByTestId("delete-product").click();
      await reads(row.getByTestId("delete-product"), "Really delete?");
      await row.getByTestId("delete-product").click();
      for (const one of [row, card]) await until(async () => (await one.count()) === 0, "it to go");
      await checkAndClose(admin, alice);
    });

    test("an admin's notification reaches exactly its receivers", async () => {
      const [admin, alice, bob] = await pages(screen, "admin", "alice", "bob");
      await admin.on("nav-notify").click();
      await admin.on("notify-who").selectOption("users");
      await admin.on("notify-users").fill("Alice");
      await admin.on("notify-subject").fill("Half price today");
      await admin.on("notify-message").fill("On all that is made of oak.");
      await admin.on("notify-send").click();
      await reads(admin.on("notify-error"), "To whom? The ids are numbers, with commas between them.");
      await admin.on("notify-users").fill(String(await server.id("alice")));
      await admin.on("notify-send").click();
      await reads(admin.on("notify-done"), "Sent to 1 user.");
      await alice.toast("Half price today");
      await admin.picture("28-notify");
      await admin.on("notify-who").selectOption("customer");
      await admin.on("notify-subject").fill("Closed on Monday");
      await admin.on("notify-message").fill("Back on Tuesday.");
      await admin.on("notify-send").click();
      for (const page of [alice, bob]) await page.toast("Closed on Monday");
      assert.equal(await bob.on("toast").filter({ hasText: "Half price" }).count(), 0);
      await checkAndClose(admin, alice, bob);
    });
  });
}

describe("the shop", () => {
  test("asks for the amount due when a part was paid elsewhere", async () => {
    const { id } = await server.order("alice", "10.00");
    await server.post("alice", `/orders/${id}/payments`, { amount: "4.00" });
    const [alice] = await pages("desktop", "alice");
    await alice.on("nav-orders").click();
    const pay = (await alice.order(id, "pending")).getByTestId("pay");
    await reads(pay, "Pay €10.00");
    await pay.click();
    await reads(pay, "Pay €6.00");
    assert.equal(await alice.on("orders-error").textContent(), `Order with ID ${id} has only 6.00 due`);
    alice.forgive(409);
    await pay.click();
    await alice.order(id, "paid");
    assert.equal(await alice.on("orders-error").isVisible(), false);
    await checkAndClose(alice);
  });

  test("works by keyboard: from the product to the basket and out of it, without losing the focus", async () => {
    const { id } = await product("Tea towel", "6.00", 5);
    const [alice] = await pages("desktop", "alice");
    const { keyboard } = alice.page;
    await alice.product(id).getByTestId("quantity").focus();
    await keyboard.press("ArrowUp");
    await keyboard.press("Enter");
    await alice.shows("basket-count", "2 pieces");
    await alice.on("basket-open").focus();
    await keyboard.press("Enter");
    await alice.on("basket-quantity").focus();
    await keyboard.press("ArrowDown");
    await keyboard.press("Enter");
    await alice.shows("basket-count", "1 piece");
    await keyboard.press("Tab");
    await keyboard.press("Enter");
    await alice.shows("basket", null);
    assert.equal(await alice.page.evaluate(() => document.activeElement.id), "shop-title");
    await checkAndClose(alice);
  });
});
