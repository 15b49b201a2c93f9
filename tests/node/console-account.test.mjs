// The pages of one's own account in a real browser. The device of the second step is written here, from RFC 6238 alone.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { PASSWORD, command } from "./gateway.mjs";
import { HUB } from "./person.mjs";
import { SCREENS, follow, launch, look, open, signIn } from "./pages.mjs";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

// What an authenticator shows for a secret in base32, some steps of 30 seconds from now.
function shows(secret, steps = 0) {
  let bits = "";
  for (const letter of secret.replaceAll(" ", "")) {
    bits += ALPHABET.indexOf(letter).toString(2).padStart(5, "0");
  }
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const tag = createHmac("sha1", key).update(counter).digest();
  const number = tag.readUInt32BE(tag[19] & 0xf) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

describe("one's own account", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  for (const [kind, options] of SCREENS) {
    test(`is looked after: ${kind}`, async () => {
      const login = `ann-${kind}`;
      command("user", "add", login, "--name", "Ann Example", "--email", `${login}@example.org`, "--password-file", "-");
      const complaints = [];
      const context = await open(browser, complaints, options);
      const page = await context.newPage();
      await signIn(page, login);

      // Profile: a mistake is said at its field, and what was typed is kept.
      await page.goto(`${HUB}/account`);
      await look(page, `${kind}-account-profile`);
      await page.getByLabel("Name").fill(" ");
      await page.getByLabel("E-mail address").fill(`${login}@example.net`);
      // Another address takes the password, which is never kept.
      await page.getByRole("button", { name: "Save" }).click();
      await page.locator("#currentPassword-mistake").waitFor();
      await page.getByLabel("Name").fill(" ");
      await page.getByLabel("Your password").fill(PASSWORD);
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("1 to 100 characters are needed here.").waitFor();
      assert.equal(await page.getByLabel("Your password").inputValue(), "");
      assert.equal(await page.getByLabel("E-mail address").inputValue(), `${login}@example.net`);
      await look(page, `${kind}-account-profile-mistake`);
      await page.getByLabel("Name").fill("Ann Other");
      await page.getByLabel("Your password").fill(PASSWORD);
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
      assert.equal(await page.getByLabel("Name").inputValue(), "Ann Other");

      // Tokens, shown once.
      await page.goto(`${HUB}/account/tokens`);
      await look(page, `${kind}-account-tokens-empty`);
      await page.getByText("New permanent token").click();
      await page.locator("#tokenName").fill("nightly build");
      await page.getByRole("button", { name: "Make token" }).click();
      await page.getByText("Choose at least one service.").waitFor();
      assert.equal(await page.locator("#tokenName").inputValue(), "nightly build");
      await look(page, `${kind}-account-tokens-mistake`);
      await page.getByLabel("Issue Tracker").check();
      await page.getByRole("button", { name: "Make token" }).click();
      await page.getByText("Your new token nightly build").waitFor();
      assert.match(await page.locator("#made").inputValue(), /^perm:/);
      await look(page, `${kind}-account-tokens-made`);
      await page.getByText("New application password").click();
      await page.locator("#appName").fill("mail program");
      await page.getByRole("button", { name: "Make password" }).click();
      await page.getByText("Your new application password mail program").waitFor();
      await page.goto(`${HUB}/account/tokens`);
      await look(page, `${kind}-account-tokens`);
      await page.getByRole("button", { name: "Revoke nightly build" }).click();
      await page.getByRole("status").filter({ hasText: "Revoked." }).waitFor();

      // Sessions.
      const elsewhere = await open(browser, complaints, { userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0" });
      await signIn(await elsewhere.newPage(), login);
      await page.goto(`${HUB}/account/sessions`);
      await page.getByText("Firefox on Linux").waitFor();
      await look(page, `${kind}-account-sessions`);
      await page.getByRole("button", { name: "End all other sessions" }).click();
      await page.getByRole("status").filter({ hasText: "Done." }).waitFor();
      assert.equal(await page.getByText("Firefox on Linux").count(), 0);
      await elsewhere.close();

      // What services may do.
      await page.goto(`${HUB}/account/authorized`);
      await look(page, `${kind}-account-authorized-empty`);

      // The second step: set up, needed, turned off.
      await page.goto(`${HUB}/account/security`);
      await look(page, `${kind}-account-security`);
      await follow(page, page.getByRole("link", { name: "Set up" }));
      await look(page, `${kind}-account-second-step`);
      const secret = await page.locator("#secret").textContent();
      await page.getByLabel("Code that the app shows").fill(shows(secret, 5));
      await page.getByLabel("Your password").fill(PASSWORD);
      await page.getByRole("button", { name: "Turn on" }).click();
      await page.getByText("This is not the code of this moment.").waitFor();
      assert.equal(await page.locator("#secret").textContent(), secret, "the picture that was scanned stays good");
      await look(page, `${kind}-account-second-step-mistake`);
      // That of now is good for half a minute more at least, and the next, used below, is good already.
      await page.getByLabel("Code that the app shows").fill(shows(secret));
      await page.getByLabel("Your password").fill(PASSWORD);
      await page.getByRole("button", { name: "Turn on" }).click();
      await page.getByRole("heading", { name: "Your recovery codes" }).waitFor();
      const codes = (await page.locator("#codes").textContent()).split("\n");
      assert.equal(codes.length, 10);
      await look(page, `${kind}-account-recovery-codes`);
      await follow(page, page.getByRole("link", { name: "I have kept them" }));
      await look(page, `${kind}-account-security-on`);
      const again = await open(browser, complaints, options);
      const door = await again.newPage();
      await signIn(door, login);
      await look(door, `${kind}-second-step`);
      await door.getByLabel("Code").fill("000000");
      await door.getByRole("button", { name: "Sign in" }).click();
      await door.getByRole("alert").filter({ hasText: "This code is not good" }).waitFor();
      await look(door, `${kind}-second-step-wrong`);
      await door.getByLabel("Code").fill(shows(secret, 1));
      await door.getByRole("button", { name: "Sign in" }).click();
      await door.getByRole("heading", { name: "Hello, Ann Other" }).waitFor();
      await again.close();
      await page.getByLabel("Your password", { exact: true }).fill(PASSWORD);
      await page.getByRole("button", { name: "Turn off" }).click();
      await page.getByRole("status").filter({ hasText: "Done." }).waitFor();
      await page.getByRole("link", { name: "Set up" }).waitFor();

      // The password.
      await page.getByLabel("Your password now").fill("wrong password");
      await page.getByLabel("New password", { exact: true }).fill("another horse battery");
      await page.getByLabel("New password, once more").fill("another horse battery");
      await page.getByRole("button", { name: "Change password" }).click();
      await page.getByText("This is not your password.").waitFor();
      await look(page, `${kind}-account-security-mistake`);
      await page.getByLabel("Your password now").fill(PASSWORD);
      await page.getByLabel("New password", { exact: true }).fill("another horse battery");
      await page.getByLabel("New password, once more").fill("another horse battery");
      await page.getByRole("button", { name: "Change password" }).click();
      await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test("shows what services may do, and takes it back", async () => {
    command("user", "add", "eve", "--name", "Eve", "--password-file", "-");
    const complaints = [];
    const context = await open(browser, complaints, { viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await signIn(page, "eve");
    const query = new URLSearchParams({
      client_id: "page",
      redirect_uri: `${process.env.PAGE_URL}/`,
      response_type: "code",
      scope: "tracker openid email",
      code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      code_challenge_method: "S256",
    });
    await page.goto(`${HUB}/api/rest/oauth2/auth?${query}`);
    await context.route(`${process.env.PAGE_URL}/**`, (route) => route.fulfill({ body: "the client" }));
    await page.getByRole("button", { name: "Allow" }).click();
    await page.getByText("the client").waitFor();
    await page.goto(`${HUB}/account/authorized`);
    await page.getByText("Use Issue Tracker as you").waitFor();
    await look(page, "light-account-authorized");
    await page.setViewportSize({ width: 360, height: 640 });
    await look(page, "phone-account-authorized");
    await page.getByRole("button", { name: "Revoke what Board may do" }).click();
    await page.getByRole("status").filter({ hasText: "Revoked." }).waitFor();
    assert.equal(await page.getByText("Use Issue Tracker as you").count(), 0);
    await context.close();
  });

  test("speaks German", async () => {
    const complaints = [];
    const context = await open(browser, complaints, { locale: "de-DE", viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    command("user", "add", "uwe", "--name", "Uwe", "--password-file", "-");
    await page.goto(`${HUB}/auth/login`);
    await page.getByLabel("Anmeldename oder E-Mail-Adresse").fill("uwe");
    await page.getByLabel("Passwort").fill(PASSWORD);
    await follow(page, page.getByRole("button", { name: "Anmelden" }));
    for (const name of ["", "/security", "/security/second-step", "/sessions", "/authorized", "/tokens"]) {
      await page.goto(`${HUB}/account${name}`);
      await look(page, `german-account${name.replaceAll("/", "-")}`);
    }
    await page.goto(`${HUB}/account`);
    await page.getByLabel("Sprache dieser Seiten").selectOption("en");
    await page.getByRole("button", { name: "Speichern" }).click();
    await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });
});
