// examples/websocket-client.html (seed 001), opened from the disk as its reader would.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Browser } from "./browser.mjs";
import { Server } from "./harness.mjs";

test("the example page connects, and its message comes back", async () => {
  const server = await Server.start({ CORS_ORIGINS: "*" });
  const browser = await Browser.launch({ url: `file://${fileURLToPath(new URL("../../examples/websocket-client.html", import.meta.url))}` });
  try {
    const { page, complaints } = await browser.visit("phone");
    await page.getByLabel("Server").fill(server.url);
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("Connected", { exact: true }).waitFor();
    await page.getByLabel("Message").fill("Hello from the disk");
    await page.getByRole("button", { name: "Send message" }).click();
    const frame = JSON.parse(await page.locator("li", { hasText: "Hello from the disk" }).textContent());
    assert.deepEqual({ event: frame.event, content: frame.data.content, from: frame.data.from }, { event: "message", content: "Hello from the disk", from: await server.id("alice") });
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
    await server.close();
  }
});
