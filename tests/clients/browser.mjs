// Visitors of the test page: a headless Chromium with a browser context for each of them.
// Leaves screenshots in target/screenshots. With HUBCAST_SCREENSHOTS set, as scripts/screenshots does, also
// retakes those in docs/screenshots.

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

  /** Opens the page in a browser context of its own. `prepare(page)` runs before that. */
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
  /** Errors and warnings of the console, and uncaught exceptions. */
  complaints = [];
  /** The URLs of all WebSockets that the page has opened. */
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

  /** Waits until the order shows that status. Returns its row. */
  async order(id, status) {
    const row = this.page.locator(`[data-testid="order"][data-order-id="${id}"][data-status="${status}"]`);
    await row.waitFor();
    return row;
  }

  /** Places an order without products. Returns its id. */
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

  /** Places an order for the basket. Returns its id. */
  async orderBasket() {
    const answer = this.page.waitForResponse((response) => response.url().endsWith("/orders") && response.request().method() === "POST");
    await this.on("basket-order").click();
    return (await (await answer).json()).id;
  }

  /** Fills a field and presses Enter. */
  async change(field, value) {
    await field.fill(value);
    await field.press("Enter");
  }

  toast(text) {
    return this.on("toast").filter({ hasText: text }).first().waitFor();
  }

  /** Drops Chromium's complaint about an answer with that status, which the test expects. */
  forgive(status) {
    this.complaints = this.complaints.filter((complaint) => !complaint.includes(`the server responded with a status of ${status} `));
  }

  /** Opens a conversation in the chat view. */
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

  /** Waits until a stored message has that text. Returns its row. */
  async message(text) {
    const row = this.on("message").and(this.page.locator('[data-state="sent"]')).filter({ hasText: text });
    await row.waitFor();
    return row;
  }

  /** All messages of the open conversation as [seq, text], in the order of the page. */
  messages() {
    return this.on("message").evaluateAll((rows) => rows.map((row) => [Number(row.dataset.seq), row.querySelector(".content").textContent]));
  }

  /** Waits until an element shows exactly that text; for `null`, until it is not visible. */
  shows(id, text) {
    const look = text === null ? async () => !(await this.on(id).isVisible()) : async () => (await this.on(id).allTextContents()).join() === text;
    return until(look, `${id} to show ${text}`);
  }

  /** The names of the members that are shown as present, in alphabetical order. */
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

  /** Retakes a picture of docs/screenshots if asked to. Each run would change it, by its clock. */
  async pictureForReadme(name) {
    if (process.env.HUBCAST_SCREENSHOTS) await this.page.screenshot({ path: picture(README_PICTURES, name), animations: "disabled", caret: "hide" });
  }

  /** The number of pixels by which the page is wider than the screen. */
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
