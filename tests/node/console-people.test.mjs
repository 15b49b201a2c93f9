// Pages for users and groups, and the pages around letters, in a real browser.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { lastLink } from "./gateway.mjs";
import { SCREENS, follow, launch, look, open, signIn } from "./pages.mjs";
import { HUB } from "./person.mjs";

const NEW = "a password of one's own";

describe("people", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  for (const [kind, options] of SCREENS) {
    test(`an administrator looks after people: ${kind}`, async () => {
      const complaints = [];
      const context = await open(browser, complaints, options);
      const page = await context.newPage();
      await signIn(page, "root");

      await page.goto(`${HUB}/admin/groups/new`);
      await look(page, `${kind}-group-new`);
      await page.getByLabel("Name").fill(`Writers ${kind}`);
      await page.getByLabel("Description").fill("Who write what others read");
      await page.getByRole("button", { name: "Create group" }).click();
      await page.getByText("Created.").waitFor();
      await look(page, `${kind}-group`);

      await page.goto(`${HUB}/admin/users/new`);
      await look(page, `${kind}-user-new`);
      await page.getByLabel("Login").fill("root");
      await page.getByLabel("E-mail address").fill(`${kind}@mail.example`);
      await page.getByLabel("Show me a one-time password").check();
      await page.getByRole("button", { name: "Create user" }).click();
      await page.getByText("Another account has this already.").waitFor();
      assert.equal(await page.getByLabel("E-mail address").inputValue(), `${kind}@mail.example`);
      await look(page, `${kind}-user-new-taken`);
      await page.getByLabel("Login").fill(`eve-${kind}`);
      await page.getByLabel("Name").fill(`Eve ${kind}`);
      await page.getByLabel(`Writers ${kind}`).check();
      await page.getByRole("button", { name: "Create user" }).click();
      await page.getByText(`One-time password of eve-${kind}`).waitFor();
      await page.getByRole("button", { name: "Copy" }).waitFor();
      await look(page, `${kind}-user-made`);
      const secret = await page.locator("#made").inputValue();

      // Eve, at a browser of her own.
      const other = await open(browser, complaints, options);
      const hers = await other.newPage();
      await signIn(hers, `eve-${kind}`, secret);
      await hers.getByLabel("New password", { exact: true }).fill(NEW);
      await hers.getByLabel("New password, once more").fill(NEW);
      await hers.getByRole("button", { name: "Save and continue" }).click();
      await hers.getByRole("heading", { name: `Hello, Eve ${kind}` }).waitFor();

      // Found as one types.
      await page.goto(`${HUB}/admin/users`);
      await look(page, `${kind}-users`);
      await page.getByRole("searchbox").pressSequentially("jan");
      await page.getByRole("link", { name: "Jane Doe" }).waitFor();
      await page.getByRole("link", { name: `Eve ${kind}` }).waitFor({ state: "detached" });
      // A slow hand is asked for with each letter.
      await page.waitForURL(/\?q=jan$/);
      await page.getByRole("searchbox").fill("is: wrong");
      await page.getByText("The query is not understood").waitFor();
      await look(page, `${kind}-users-wrong`);
      await page.getByRole("searchbox").fill(`eve-${kind}`);
      await page.getByRole("link", { name: `Eve ${kind}` }).click();
      await page.getByRole("heading", { name: `Eve ${kind}` }).waitFor();
      await page.getByText("End all sessions").waitFor();
      await look(page, `${kind}-user`);
      await page.getByText("Merge, erase, remove").click();
      await page.getByLabel(`Type “eve-${kind}” to confirm`).last().fill("eve");
      await page.getByRole("button", { name: "Remove" }).last().click();
      await page.getByText("What was typed is not the same.").waitFor();
      await look(page, `${kind}-user-ends`);
      await page.locator("summary", { hasText: /^Ban$/ }).click();
      await page.getByLabel("Reason").fill("Left the company");
      await page.getByRole("button", { name: "Ban this user" }).click();
      await page.getByText("Left the company").waitFor();
      await look(page, `${kind}-user-banned`);
      await hers.goto(`${HUB}/account`);
      await hers.getByRole("heading", { name: "Sign in" }).waitFor();
      await page.getByRole("button", { name: "Let in again" }).click();
      await page.locator("summary", { hasText: /^Ban$/ }).waitFor();

      await page.goto(`${HUB}/admin/groups`);
      await look(page, `${kind}-groups`);
      await page.getByRole("link", { name: "developers" }).click();
      await page.getByText("/tracker/admin/**").waitFor();
      await look(page, `${kind}-group-rules`);

      // Forgotten.
      await hers.goto(`${HUB}/auth/login`);
      await follow(hers, hers.getByRole("link", { name: "Forgot your password?" }));
      await look(hers, `${kind}-restore`);
      await hers.getByLabel("Login or e-mail address").fill(`eve-${kind}`);
      await hers.getByRole("button", { name: "Send me a link" }).click();
      await hers.getByRole("heading", { name: "Look into your mail" }).waitFor();
      await look(hers, `${kind}-restore-asked`);
      await hers.goto(await lastLink(`eve-${kind}`));
      await look(hers, `${kind}-link`);
      await hers.getByLabel("New password", { exact: true }).fill(`${NEW} 2`);
      await hers.getByLabel("New password, once more").fill(`${NEW} 2`);
      await hers.getByRole("button", { name: "Save and continue" }).click();
      await hers.getByText("Your new password is saved.").waitFor();
      await look(hers, `${kind}-password-set`);
      await hers.goBack();
      await hers.reload();
      await look(hers, `${kind}-link-over`);
      await signIn(hers, `eve-${kind}`, `${NEW} 2`);
      await other.close();

      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test("without script the lists are searched all the same", async () => {
    const context = await open(browser, [], { javaScriptEnabled: false });
    const page = await context.newPage();
    await signIn(page, "root");
    await page.goto(`${HUB}/admin/users`);
    await page.getByRole("searchbox").fill("jan");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "Jane Doe" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Root" }).count(), 0);
    await context.close();
  });
});
