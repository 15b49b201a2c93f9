// What administrators see of the gateway, in a real browser: dashboard, upstreams, why something was refused, the audit log,
// settings.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";

import { SECRET } from "./gateway.mjs";
import { SCREENS, launch, look, open, signIn } from "./pages.mjs";
import { GATEWAY, HUB, OAUTH } from "./person.mjs";

async function token(scope) {
  const answer = await fetch(`${OAUTH}/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`app:${SECRET}`)}` },
    body: new URLSearchParams({ grant_type: "client_credentials", scope }),
  });
  assert.equal(answer.status, 200);
  return (await answer.json()).access_token;
}

describe("what the gateway does", () => {
  let browser, refused, good;

  before(async () => {
    browser = await launch();
    good = await token("tracker");
    const elsewhere = await token("page");
    const ask = (path, bearer) =>
      fetch(`${GATEWAY}${path}`, { headers: bearer ? { Authorization: `Bearer ${bearer}` } : {} });
    // Something to show, over more than one sample.
    const traffic = async () => {
      for (let round = 0; round < 40; round += 1) {
        await Promise.all([ask("/tracker/api", good), ask("/tracker/api", good), ask("/tracker/api?n")]);
        await ask("/nowhere");
        await ask("/tracker/api", `${good}x`);
        refused = (await ask("/tracker/issues/7", elsewhere)).headers.get("x-request-id");
        await wait(250);
      }
    };
    await traffic();
    await drawn();
  });
  after(() => browser?.close());

  // Samples are taken every ten seconds; the traffic is in a curve a moment after the next.
  async function drawn() {
    const context = await open(browser, []);
    const page = await context.newPage();
    await signIn(page, "root");
    const plot = page.getByRole("img", { name: "Requests", exact: true });
    const shows = async () =>
      (await plot.locator("path.plot-line").count()) > 0 &&
      /^M/.test(await plot.locator("path.plot-line").first().getAttribute("d")) &&
      /^Highest value [1-9]/.test(await plot.locator("desc").textContent()) &&
      (await page.getByText("Service not in scope").count()) > 0;
    for (const end = Date.now() + 60_000; Date.now() < end; await wait(500)) {
      await page.goto(`${HUB}/admin`);
      await page.getByRole("heading", { name: "Dashboard" }).waitFor();
      if (await shows()) {
        break;
      }
    }
    await context.close();
  }

  for (const [kind, options] of SCREENS) {
    test(`is shown to administrators: ${kind}`, async () => {
      const complaints = [];
      const context = await open(browser, complaints, options);
      const page = await context.newPage();
      await signIn(page, "root");
      await page.goto(`${HUB}/admin`);
      await page.getByRole("heading", { name: "Dashboard" }).waitFor();
      const plot = page.getByRole("img", { name: "Requests", exact: true });
      await plot.waitFor();
      // Drawn, and described for those who do not see it.
      assert.match(await plot.locator("path.plot-line").first().getAttribute("d"), /^M/);
      assert.match(await plot.locator("desc").textContent(), /^Highest value [1-9]/);
      assert.ok((await page.getByText("Service not in scope").count()) > 0);
      await look(page, `${kind}-dashboard`);
      await page.getByRole("link", { name: "Last 24 hours" }).click();
      await page.locator("[aria-current=true]", { hasText: "Last 24 hours" }).waitFor();
      await look(page, `${kind}-dashboard-day`);

      await page.goto(`${HUB}/admin/upstreams`);
      await page.getByText("/tracker", { exact: true }).first().waitFor();
      await look(page, `${kind}-upstreams`);

      await page.goto(`${HUB}/admin/why`);
      await look(page, `${kind}-why`);
      await page.getByLabel("Request", { exact: true }).fill(refused);
      await page.getByRole("button", { name: "Explain" }).first().click();
      await page.getByText("Refused with 403").waitFor();
      assert.ok((await page.getByText("How to mend it").count()) > 0);
      await look(page, `${kind}-why-refused`);
      await page.locator("#token").fill(good);
      await page.locator("#address").fill("/tracker/api");
      await page.getByRole("button", { name: "Explain" }).last().click();
      await page.getByText("It may pass").waitFor();
      assert.ok(!(await page.content()).includes(good.split(".")[2]));
      await look(page, `${kind}-why-foreseen`);

      await page.goto(`${HUB}/admin/audit`);
      await page.getByText("User signed in").first().waitFor();
      await look(page, `${kind}-audit`);
      await page.goto(`${HUB}/admin/audit?type=created&about=user`);
      await page.getByText("User created").first().waitFor();
      await page.locator("tbody details summary").first().click();
      await look(page, `${kind}-audit-filtered`);

      await page.goto(`${HUB}/admin/settings`);
      await page.getByText("access_token_ttl").waitFor();
      await look(page, `${kind}-settings`);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test("the list of upstreams follows what is typed, and the audit log what is chosen", async () => {
    const complaints = [];
    const context = await open(browser, complaints, { viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await signIn(page, "root");
    await page.goto(`${HUB}/admin/upstreams`);
    await page.getByRole("searchbox").fill("nothing like it");
    await page.getByText("Nothing found.").waitFor();
    await page.getByRole("searchbox").fill("issue tracker");
    await page.getByText("/tracker", { exact: true }).first().waitFor();
    await page.goto(`${HUB}/admin/audit`);
    await page.getByLabel("What happened").selectOption("erased");
    await page.getByText("Nothing of this kind has happened.").waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Export CSV" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "hubgate-audit.csv");
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("works without script", async () => {
    const complaints = [];
    const context = await open(browser, complaints, { javaScriptEnabled: false });
    const page = await context.newPage();
    await signIn(page, "root");
    await page.goto(`${HUB}/admin/audit`);
    await page.getByLabel("What happened").selectOption("created");
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("User created").first().waitFor();
    await page.goto(`${HUB}/admin/why?request=${refused}`);
    await page.getByText("Refused with 403").waitFor();
    await context.close();
  });

  test("speaks German to a German browser", async () => {
    const complaints = [];
    const context = await open(browser, complaints, { locale: "de-DE", viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.goto(`${HUB}/auth/login`);
    await page.getByLabel("Anmeldename oder E-Mail-Adresse").fill("root");
    await page.getByLabel("Passwort").fill("correct horse battery");
    await page.getByRole("button", { name: "Anmelden" }).click();
    await page.waitForURL((url) => !url.pathname.startsWith("/hub/auth/login"));
    await page.goto(`${HUB}/admin`);
    await page.getByRole("heading", { name: "Übersicht" }).waitFor();
    await look(page, "german-dashboard");
    await page.goto(`${HUB}/admin/why?request=${refused}`);
    await page.getByText("Wer am Zug ist").waitFor();
    await look(page, "german-why");
    assert.deepEqual(complaints, []);
    await context.close();
  });
});
