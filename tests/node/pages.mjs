// What tests of pages share: a browser whose complaints are collected, signing in, and a look at a page: that it fits its
// screen, that axe-core finds no fault, and a picture of it when SCREENSHOTS names a folder.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { chromium } from "playwright-core";

import { PASSWORD } from "./gateway.mjs";
import { HUB } from "./person.mjs";

const FLAGS =
  "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const SCREENS = [
  ["light", { viewport: { width: 1280, height: 800 } }],
  ["dark", { viewport: { width: 1280, height: 800 }, colorScheme: "dark" }],
  ["phone", { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }],
];

export async function launch() {
  const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
    (name) => name && existsSync(name),
  );
  assert.ok(executablePath, "there is no Chromium");
  // The first start of all reads it from the disk.
  return chromium.launch({ executablePath, args: FLAGS.split(" "), chromiumSandbox: false, timeout: 120_000 });
}

// Somebody's browser: cookies of its own. What Chromium complains about goes to `complaints`.
export async function open(browser, complaints, options = {}) {
  // Without movement there is no colour on its way to another.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(30_000);
  context.on("console", (message) => {
    // A page of an error has a status of its own, which Chromium reports too.
    if (message.type() === "error" && !/^Failed to load resource: the server responded/.test(message.text())) {
      complaints.push(message.text());
    }
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  return context;
}

// Presses what leads to another page, and waits until that one is there whole, its script included.
export async function follow(page, locator) {
  await page.waitForLoadState();
  await Promise.all([page.waitForEvent("load"), locator.click()]);
}

// Waits until the field of this name is where the keyboard writes: a page may be loaded a moment before that.
export async function focusOn(page, name) {
  await page.locator(`[name="${name}"]:focus`).waitFor();
}

// `root` administers the gateway, `jane` does not.
export async function signIn(page, login, password = PASSWORD, at = `${HUB}/auth/login`) {
  if (at) {
    await page.goto(at);
  }
  await page.getByLabel("Login or e-mail address").fill(login);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/hub/auth/login"));
}

// `name` begins with the screen's: "light-services".
export async function look(page, name) {
  await page.waitForLoadState();
  if (process.env.SCREENSHOTS) {
    await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
  // By way of the debugger, which the page's policy does not concern.
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  const faults = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  assert.deepEqual(faults, [], name);
}
