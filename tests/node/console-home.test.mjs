// Home and the frame around the pages of people who are signed in, in a real browser.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { GATEWAY, HUB } from "./person.mjs";
import { SCREENS, launch, look, open, signIn } from "./pages.mjs";

describe("home", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  for (const [kind, options] of SCREENS) {
    test(`shows the services: ${kind}`, async () => {
      const complaints = [];
      const context = await open(browser, complaints, options);
      const page = await context.newPage();
      await signIn(page, "jane");
      await page.getByRole("heading", { name: "Hello, Jane Doe" }).waitFor();
      assert.equal(await page.getByRole("link", { name: "Dashboard" }).count(), 0);
      await look(page, `${kind}-home`);
      await page.goto(`${HUB}/auth/resume?form=gone`);
      await look(page, `${kind}-resume-lost`);
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("heading", { name: "You are signed out" }).waitFor();
      await look(page, `${kind}-signed-out`);
      await signIn(page, "root");
      await look(page, `${kind}-home-root`);
      // The session ends while a form is filled in: nothing of it is lost.
      await page.goto(`${HUB}/admin/services/new`);
      await page.locator("#name").fill(`Late & <${kind}>`);
      await context.clearCookies();
      await page.locator("main form button[type=submit]").first().click();
      await page.getByText("what you typed is kept").waitFor();
      await signIn(page, "root", undefined, null);
      await page.getByRole("heading", { name: "Go on with what you were doing?" }).waitFor();
      await look(page, `${kind}-resume`);
      await page.getByRole("button", { name: "Save it now" }).click();
      await page.getByRole("heading", { name: `Late & <${kind}> is registered` }).waitFor();
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test("speaks German to a German browser", async () => {
    const complaints = [];
    const context = await open(browser, complaints, { locale: "de-DE", viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.goto(`${GATEWAY}/hub/auth/login`);
    await look(page, "german-login");
    await page.getByLabel("Anmeldename oder E-Mail-Adresse").fill("jane");
    await page.getByLabel("Passwort").fill("wrong");
    await page.getByRole("button", { name: "Anmelden" }).click();
    await page.getByRole("alert").filter({ hasText: "ist falsch" }).waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });
});
