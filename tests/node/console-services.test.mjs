// Pages of services, and of tokens and sessions, in a real browser.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { SECRET, PASSWORD } from "./gateway.mjs";
import { HUB, OAUTH } from "./person.mjs";
import { SCREENS, focusOn, follow, launch, look, open, signIn } from "./pages.mjs";

const SERVICES = `${HUB}/admin/services`;
const TOKENS = `${HUB}/admin/tokens`;

async function tokens() {
  const answer = await fetch(`${OAUTH}/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`app:${SECRET}`)}` },
    body: new URLSearchParams({
      grant_type: "password",
      username: "jane",
      password: PASSWORD,
      scope: "tracker 0-0-0-0-0",
      access_type: "offline",
    }),
  });
  assert.equal(answer.status, 200);
  return answer.json();
}

describe("pages of services", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  for (const [kind, options] of SCREENS) {
    test(`register, find, change and remove: ${kind}`, async () => {
      const complaints = [];
      const context = await open(browser, complaints, options);
      const page = await context.newPage();
      await signIn(page, "root");
      await page.goto(SERVICES);
      await look(page, `${kind}-services`);
      await follow(page, page.getByRole("main").getByRole("link", { name: "Register a service" }));
      await look(page, `${kind}-service-new`);
      const name = `Wiki <${kind}>`;
      await page.getByLabel("Name").fill(name);
      await page.getByLabel("Home URL").fill("https://wiki.example/");
      await page.getByLabel("Redirect URIs").fill("javascript:alert(1)");
      await page.getByRole("button", { name: "Register a service" }).click();
      await page.getByText("must never receive a token").waitFor();
      assert.equal(await page.getByLabel("Name").inputValue(), name);
      await look(page, `${kind}-service-new-mistake`);
      await page.getByLabel("Redirect URIs").fill("https://wiki.example/cb");
      await page.getByRole("button", { name: "Register a service" }).click();
      await page.getByRole("heading", { name: `${name} is registered` }).waitFor();
      const secret = await page.locator("#made").inputValue();
      assert.match(secret, /^[\w-]{43}$/);
      await page.locator(".secret").getByRole("button", { name: "Copy" }).waitFor();
      await look(page, `${kind}-service-made`);

      await page.getByRole("link", { name: "Open its page" }).click();
      await page.getByRole("heading", { name, exact: true }).waitFor();
      const id = await page.locator("#id").textContent();
      // Somebody asks for an address that is not registered.
      const odd = new URLSearchParams({
        client_id: id,
        redirect_uri: "https://wiki.example/other",
        response_type: "code",
        scope: id,
      });
      await (await context.newPage()).goto(`${OAUTH}/auth?${odd}`);
      await page.reload();
      await page.getByRole("heading", { name: "Untrusted addresses" }).waitFor();
      await look(page, `${kind}-service`);
      await page.getByRole("button", { name: "Accept" }).click();
      await page.getByText("Saved.").waitFor();
      assert.match(await page.getByLabel("Redirect URIs").inputValue(), /wiki\.example\/other/);
      await page.getByLabel("Maker").fill("Wiki & Daughters");
      await follow(page, page.getByRole("button", { name: "Save" }));
      await page.getByText("Saved.").waitFor();
      assert.equal(await page.getByLabel("Maker").inputValue(), "Wiki & Daughters");
      await page.getByRole("button", { name: "Generate a secret" }).click();
      await page.getByText(/The one before is accepted until/).waitFor();
      assert.notEqual(await page.locator("#made").inputValue(), secret);
      await look(page, `${kind}-service-secret`);
      await page.getByRole("button", { name: "End it now" }).click();
      await page.getByText("Done.", { exact: true }).waitFor();
      await page.getByLabel(/^Type/).fill("something else");
      await page.getByRole("button", { name: "Remove this service" }).click();
      await page.getByText("What was typed is not the same.").waitFor();
      await page.getByLabel(/^Type/).fill(name);
      await follow(page, page.getByRole("button", { name: "Remove this service" }));
      await page.getByText("Removed.").waitFor();

      // As one types, without a button.
      await page.getByRole("searchbox").pressSequentially("trac");
      await page.getByRole("link", { name: "The App" }).waitFor({ state: "detached" });
      await page.getByRole("link", { name: "Issue Tracker" }).click();
      await page.getByText("gateway.toml declares this service.").waitFor();
      await look(page, `${kind}-service-declared`);
      await page.goto(`${SERVICES}/0-0-0-0-0`);
      await look(page, `${kind}-service-own`);
      assert.deepEqual(complaints, []);
      await context.close();
    });

    test(`find and end tokens and sessions: ${kind}`, async () => {
      const complaints = [];
      const context = await open(browser, complaints, options);
      const page = await context.newPage();
      const held = await tokens();
      await signIn(page, "root");
      await page.goto(TOKENS);
      await look(page, `${kind}-access-sessions`);
      await follow(page, page.getByRole("link", { name: "Refresh tokens" }));
      await page.getByLabel(/^Person/).fill("nobody");
      await page.getByText("There is no such person.").waitFor();
      await page.getByLabel(/^Person/).fill("jane");
      await page.getByRole("button", { name: /^Revoke/ }).first().waitFor();
      await look(page, `${kind}-access-grants`);
      await page.getByRole("button", { name: /^Revoke/ }).first().click();
      await page.getByText("Revoked.").waitFor();
      assert.equal(await page.getByLabel(/^Person/).inputValue(), "jane");

      const found = await tokens();
      await page.getByLabel("Token", { exact: true }).fill(found.access_token);
      await page.getByRole("button", { name: "End it", exact: true }).click();
      await page.getByText("everything that came of the same sign-in.").waitFor();
      assert.equal((await page.content()).includes(found.access_token), false);
      await look(page, `${kind}-access-ended`);
      await page.getByLabel("Token", { exact: true }).fill("nothing of ours");
      await page.getByRole("button", { name: "End it", exact: true }).click();
      await page.getByText("This is no token of this gateway.").waitFor();
      await look(page, `${kind}-access-unknown`);
      assert.ok(held.access_token);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test("works with the keyboard alone, and without script", async () => {
    const complaints = [];
    const context = await open(browser, complaints, { javaScriptEnabled: false });
    const page = await context.newPage();
    await signIn(page, "root");
    await page.goto(`${SERVICES}/new`);
    await focusOn(page, "name");
    await page.keyboard.type("By hand");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "By hand is registered" }).waitFor();
    await page.goto(`${SERVICES}?q=hand`);
    await page.getByRole("link", { name: "By hand" }).click();
    await page.getByLabel(/^Type/).fill("By hand");
    await page.keyboard.press("Enter");
    await page.getByText("Removed.").waitFor();
    await context.close();
  });

  test("speaks German", async () => {
    const complaints = [];
    const context = await open(browser, complaints, { locale: "de-DE", viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.goto(`${HUB}/auth/login`);
    await page.getByLabel("Anmeldename oder E-Mail-Adresse").fill("root");
    await page.getByLabel("Passwort").fill(PASSWORD);
    await follow(page, page.getByRole("button", { name: "Anmelden" }));
    await page.goto(`${SERVICES}/app`);
    await page.getByRole("heading", { name: "Wer ihn benutzt" }).waitFor();
    await look(page, "german-service");
    await page.goto(TOKENS);
    await look(page, "german-access");
    assert.deepEqual(complaints, []);
    await context.close();
  });
});
