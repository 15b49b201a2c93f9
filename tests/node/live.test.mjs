// Chromium's own EventSource and WebSocket behind the gateway, for somebody who is signed in (`access = "browser"`).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { PASSWORD } from "./gateway.mjs";
import { launch } from "./pages.mjs";
import { GATEWAY, HUB } from "./person.mjs";

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

// In the page: opens both, and notes what comes and how they end.
const listen = () => {
  window.heard = { socket: [], events: [] };
  const socket = new WebSocket(`wss://${location.host}/app/socket`);
  socket.onmessage = ({ data }) => window.heard.socket.push(data);
  socket.onclose = ({ code, wasClean }) => (window.heard.closed = { code, wasClean });
  const events = new EventSource("/app/events");
  events.onmessage = ({ data }) => window.heard.events.push(data);
  events.onerror = () => (window.heard.broken = true);
  window.socket = socket;
};

async function waitFor(page, what, holds) {
  await page.waitForFunction(holds, undefined, { timeout: 30_000 }).catch((error) => {
    throw new Error(`${what}: ${error.message}`);
  });
}

test("a person goes through the login page to a page with a WebSocket and events, which end with the session", async () => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(`${GATEWAY}/app/page?a=b%20c&d`);
  await page.waitForURL(`${HUB}/auth/login?**`);
  await page.getByLabel("Login or e-mail address").fill("jane");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${GATEWAY}/app/page?a=b%20c&d`);
  assert.equal(await page.locator("#who").textContent(), "jane");

  await page.evaluate(listen);
  await waitFor(page, "the WebSocket speaks", () => window.heard.socket[0] === "jane");
  await page.evaluate(() => window.socket.send("hello"));
  await waitFor(page, "it answers", () => window.heard.socket[1] === "hello");
  await waitFor(page, "events come", () => window.heard.events.length > 3 && window.heard.events[0] === "jane");
  assert.ok(await page.evaluate(() => !window.heard.closed && !window.heard.broken), "both go on");

  // A page of another origin cannot open one with her cookie: Chromium says where it comes from.
  const other = await context.newPage();
  await other.goto("data:text/html,<title>elsewhere</title>");
  const hijacked = await other.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
      }),
    `${GATEWAY.replace("https", "wss")}/app/socket`,
  );
  assert.equal(hijacked, "refused");

  // Signed out in another tab.
  const tab = await context.newPage();
  await tab.goto(`${HUB}/api/rest/oauth2/logout`);
  await waitFor(page, "the WebSocket is closed", () => window.heard.closed);
  assert.equal(await page.evaluate(() => window.heard.closed.code), 1008);
  await waitFor(page, "the events are broken off", () => window.heard.broken);
  const status = await page.evaluate(() => fetch("/app/api").then(({ status }) => status));
  assert.equal(status, 401, "a script is told so");
  await page.goto(`${GATEWAY}/app/page`);
  await page.waitForURL(`${HUB}/auth/login?**`);
  await context.close();
});

test("a page's early hints have its style fetched before the page is there", async () => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(`${GATEWAY}/app/hinted?0`);
  await page.getByLabel("Login or e-mail address").fill("jane");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${GATEWAY}/app/hinted?0`);
  // A browser may leave a hint out; not this one, again and again.
  const first = () => page.locator("#first").textContent();
  for (let time = 1; (await first()) !== "style" && time < 5; time += 1) {
    await page.goto(`${GATEWAY}/app/hinted?${time}`);
  }
  assert.equal(await first(), "style");
  assert.equal(await page.locator("#first").evaluate((first) => getComputedStyle(first).color), "rgb(1, 2, 3)");
  await context.close();
});

test("without a session there are no events", async () => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const answer = await context.request.get(`${GATEWAY}/app/events`, { headers: { accept: "text/event-stream" } });
  assert.equal(answer.status(), 401);
  await context.close();
});
