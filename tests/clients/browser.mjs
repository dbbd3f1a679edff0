// People in front of the page at /: a headless Chromium, and for each visitor a browser context of their own.
// Leaves screenshots in target/screenshots. With HUBCAST_SCREENSHOTS set, also retakes those of README in docs/screenshots: scripts/screenshots does that.

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { until } from "./harness.mjs";

const PICTURES = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
const README_PICTURES = fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));

export const SCREENS = {
  desktop: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  phone: { viewport: { width: 375, height: 740 }, colorScheme: "dark", hasTouch: true, isMobile: true },
};

export class Browser {
  #chromium;
  #server;

  static async launch(server) {
    const browser = new Browser();
    browser.#server = server;
    browser.#chromium = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    return browser;
  }

  /** A person's own browser, on the page. `prepare(page)` runs before the page is opened. */
  async visit(screen, { prepare } = {}) {
    const context = await this.#chromium.newContext(SCREENS[screen]);
    context.setDefaultTimeout(10_000);
    const page = await context.newPage();
    const visitor = new Visitor(screen, page);
    await prepare?.(page);
    await page.goto(this.#server.url);
    return visitor;
  }

  close() {
    return this.#chromium.close();
  }
}

export class Visitor {
  /** The console's errors and warnings, and what was thrown. */
  complaints = [];
  /** The URL of each WebSocket that the page has opened. */
  sockets = [];

  constructor(screen, page) {
    this.screen = screen;
    this.page = page;
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && this.complaints.push(message.text()));
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("websocket", (socket) => this.sockets.push(socket.url()));
  }

  on(id) {
    return this.page.getByTestId(id);
  }

  async signInAs(name) {
    await this.on(`login-${name}`).click();
    await this.isLive();
  }

  async signInWith({ email, password }) {
    await this.on("login-email").fill(email);
    await this.on("login-password").fill(password);
    await this.on("login-submit").click();
    await this.isLive();
  }

  /** Waits until the bar shows that state of the connection. */
  is(state) {
    return this.on("connection").and(this.page.locator(`[data-state="${state}"]`)).waitFor();
  }

  isLive() {
    return this.is("live");
  }

  /** The row of an order, once it shows that status. */
  async order(id, status) {
    const row = this.page.locator(`[data-testid="order"][data-order-id="${id}"][data-status="${status}"]`);
    await row.waitFor();
    return row;
  }

  /** An order without products. */
  async place(total) {
    const rows = this.on("order");
    await this.on("nav-orders").click();
    const before = await rows.count();
    if (!(await this.on("order-total").isVisible())) await this.on("order-by-total").click();
    await this.on("order-total").fill(total);
    await this.on("order-submit").click();
    await until(async () => (await rows.count()) > before, "the new order's row");
    return Number(await rows.first().getAttribute("data-order-id"));
  }

  /** The card of a product in the shop, or its row in the stock. */
  product(id) {
    return this.page.locator(`:is(#products, #stock) > [data-product-id="${id}"]`);
  }

  async toBasket(id, quantity) {
    await this.product(id).getByTestId("quantity").fill(String(quantity));
    await this.product(id).getByTestId("add-to-basket").click();
  }

  /** Orders what is in the basket, and gives the order's id. */
  async orderBasket() {
    const answer = this.page.waitForResponse((response) => response.url().endsWith("/orders") && response.request().method() === "POST");
    await this.on("basket-order").click();
    return (await (await answer).json()).id;
  }

  /** Writes into a field and leaves it, as one does to have it taken. */
  async change(field, value) {
    await field.fill(value);
    await field.press("Enter");
  }

  toast(text) {
    return this.on("toast").filter({ hasText: text }).first().waitFor();
  }

  /** Takes back the complaint that Chromium makes of an answer which the test wanted. */
  forgive(status) {
    this.complaints = this.complaints.filter((complaint) => !complaint.includes(`the server responded with a status of ${status} `));
  }

  /** Goes to the view of chat and opens that conversation there. */
  async openConversation(id) {
    await this.on("nav-chat").click();
    await this.page.locator(`[data-testid="conversation"][data-conversation-id="${id}"] a`).click();
    await this.on("thread").waitFor();
  }

  async openProject(id) {
    await this.on("nav-projects").click();
    await this.page.locator(`[data-testid="project"][data-project-id="${id}"] a`).click();
    await this.on("open-project").waitFor();
  }

  async write(text) {
    await this.on("message-input").fill(text);
    await this.on("message-send").click();
  }

  /** The message with that text among the others, once it has arrived there. */
  async message(text) {
    const row = this.on("message").and(this.page.locator('[data-state="sent"]')).filter({ hasText: text });
    await row.waitFor();
    return row;
  }

  /** Every message in the open conversation, as [seq, text], in the order of the page. */
  messages() {
    return this.on("message").evaluateAll((rows) => rows.map((row) => [Number(row.dataset.seq), row.querySelector(".content").textContent]));
  }

  /** Waits until an element shows exactly that text; `null`: until it is not to be seen. */
  shows(id, text) {
    const look = text === null ? async () => !(await this.on(id).isVisible()) : async () => (await this.on(id).allTextContents()).join() === text;
    return until(look, `${id} to show ${text}`);
  }

  /** The names of those who are shown as being in the room, in alphabetical order. */
  here(id = "presence") {
    return this.on(id).locator('[data-here="true"] .name').allTextContents().then((names) => names.toSorted());
  }

  /** Opens the drawer with the debugger, which is closed at first. */
  async openDrawer() {
    if (!(await this.on("drawer").isVisible())) await this.on("open-drawer").click();
    await this.on("drawer").waitFor();
  }

  async closeDrawer() {
    await this.on("close-drawer").click();
    await this.on("drawer").waitFor({ state: "hidden" });
  }

  /** Opens the form that sends any event. */
  async openSender() {
    await this.openDrawer();
    await this.on("open-send").click();
  }

  picture(name) {
    return this.page.screenshot({ path: picture(PICTURES, `${this.screen}-${name}`) });
  }

  /** One of the pictures in README, taken only when asked for: it would differ by the time of day each time. */
  async pictureForReadme(name) {
    if (process.env.HUBCAST_SCREENSHOTS) await this.page.screenshot({ path: picture(README_PICTURES, name), animations: "disabled", caret: "hide" });
  }

  /** By how many pixels the page is wider than the screen. */
  sidewaysScroll() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  }

  close() {
    return this.page.context().close();
  }
}

function picture(folder, name) {
  const path = join(folder, `${name}.png`);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}
