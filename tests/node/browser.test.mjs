// A real browser at our pages: Debian's Chromium, or what CHROMIUM names.
//
// With SCREENSHOTS set to a folder, every page is left there as people see it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";

import { PASSWORD, command } from "./gateway.mjs";
import { serve } from "./page/server.mjs";
import { focusOn, follow, launch } from "./pages.mjs";
import { GATEWAY, HUB, OAUTH } from "./person.mjs";

const PAGE = process.env.PAGE_URL;
const ELSEWHERE = PAGE.replace("localhost", "127.0.0.1");
// What Chromium shows in a frame instead of a page that may not be framed.
const REFUSED = "chrome-error://chromewebdata/";
const ALERT = "Login or password is wrong.";

const authorize = (client, redirect, more) =>
  `${OAUTH}/auth?${new URLSearchParams({ client_id: client, redirect_uri: redirect, response_type: "code", state: "s&1", ...more })}`;
const POSTED = authorize("posted", `${PAGE}/posted`, { response_mode: "form_post" });
const ASKING = authorize("page", `${PAGE}/`, { response_type: "token", scope: "tracker openid", approval_prompt: "force" });

describe("a browser", () => {
  let browser, site, context, complaints;

  before(async () => {
    browser = await launch();
    site = await serve({ gateway: GATEWAY, url: PAGE, certificate: process.env.NODE_EXTRA_CA_CERTS });
  });
  after(async () => {
    await browser?.close();
    site?.close();
  });

  // Somebody's browser: cookies of its own.
  async function open(options = {}) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
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
  beforeEach(async () => {
    complaints = [];
    context = await open();
  });
  afterEach(async () => {
    await context.close();
  });

  async function signIn(page, password = PASSWORD) {
    await page.getByLabel("Login or e-mail address").fill("jane");
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  }
  const allow = (page) => page.getByRole("button", { name: "Allow" }).click();
  // Whoever has allowed it in another test is not asked again.
  async function allowUnlessAllowed(page) {
    await page.waitForURL((url) => url.origin === PAGE || url.pathname === "/hub/auth/consent");
    if (!page.url().startsWith(PAGE)) {
      await allow(page);
    }
  }
  const shown = (page, id, text) => page.locator(`#${id}`).filter({ hasText: text }).waitFor();

  async function signedIn() {
    const page = await context.newPage();
    await page.goto(`${HUB}/auth/login`);
    await signIn(page);
    await page.getByRole("heading", { name: /^Hello, / }).waitFor();
    return page;
  }

  test("ring-ui signs somebody in, calls the backend, renews in a frame, and signs out", async () => {
    const page = await context.newPage();
    await page.goto(`${PAGE}/`);
    // Nobody is signed in: its frame is told so, and it goes to our login page.
    await page.waitForURL(`${HUB}/auth/login?**`);
    await page.getByText("to continue to Board").waitFor();
    await signIn(page, "wrong");
    await page.getByRole("alert").filter({ hasText: ALERT }).waitFor();
    await signIn(page);
    await page.getByRole("heading", { name: "Allow Board to act for you?" }).waitFor();
    await allow(page);
    await page.waitForURL(`${PAGE}/`);
    await shown(page, "user", "Jane Doe");
    await shown(page, "backend", "jane");
    assert.equal(await page.evaluate(() => location.hash), "");
    const token = await page.evaluate(() => window.auth.requestToken());

    // Renewed without a page of ours: a frame that nobody sees.
    const frames = [];
    page.on("framenavigated", (frame) => frames.push({ url: frame.url(), main: frame === page.mainFrame() }));
    const renewed = await page.evaluate(() => window.auth.forceTokenUpdate());
    assert.notEqual(renewed, token);
    assert.ok(!frames.some(({ main }) => main), JSON.stringify(frames));
    await page.evaluate(() => window.show());
    await shown(page, "backend", "jane");

    // The token is lost: the same on opening the page anew.
    await page.evaluate(() => localStorage.clear());
    frames.length = 0;
    await page.reload();
    await shown(page, "user", "Jane Doe");
    assert.ok(!frames.some(({ url, main }) => main && url.startsWith(GATEWAY)), JSON.stringify(frames));

    // Signing out is `request_credentials=required`: our login page, and none of the tokens opens anything.
    await page.evaluate(() => void window.auth.logout());
    await page.waitForURL(`${HUB}/auth/login?**`);
    assert.deepEqual(await context.cookies(GATEWAY), []);
    for (const each of [token, renewed]) {
      const answer = await fetch(`${GATEWAY}/tracker/api`, { headers: { Authorization: `Bearer ${each}` } });
      assert.equal(answer.status, 401);
    }
    assert.deepEqual(complaints, []);
  });

  test("ring-ui signs out by the logout endpoint", async () => {
    const page = await signedIn();
    await page.goto(ASKING);
    await allow(page);
    await page.waitForURL((url) => url.origin === PAGE);
    await page.goto(`${PAGE}/?logout`);
    await shown(page, "user", "Jane Doe");
    const left = page.waitForRequest((request) => request.url().startsWith(`${OAUTH}/logout?`));
    await page.evaluate(() => void window.auth.logout());
    await left;
    // Home again, where nobody is signed in any more, and so to the login page.
    await page.waitForURL(`${HUB}/auth/login?**`);
    assert.deepEqual(await context.cookies(GATEWAY), []);
  });

  test("ring-ui notices that somebody else has signed in", async () => {
    const page = await signedIn();
    await page.goto(`${PAGE}/`);
    await allowUnlessAllowed(page);
    await shown(page, "user", "Jane Doe");
    const other = await context.newPage();
    await other.goto(HUB);
    await follow(other, other.getByRole("button", { name: "Sign out" }));
    await other.goto(`${PAGE}/`);
    await other.waitForURL(`${HUB}/auth/login?**`);
    await other.getByLabel("Login or e-mail address").fill("root");
    await other.getByLabel("Password").fill(PASSWORD);
    await other.getByRole("button", { name: "Sign in" }).click();
    await allowUnlessAllowed(other);
    await shown(other, "user", "Root");
    await shown(other, "backend", "root");
    await shown(page, "user", "Root");
    await shown(page, "backend", "root");
  });

  test("ring-ui asks anew for a scope that its token lacks", async () => {
    const page = await signedIn();
    await page.addInitScript(() => {
      window.askedScope = ["page", "openid"];
    });
    await page.goto(`${PAGE}/`);
    await allowUnlessAllowed(page);
    await shown(page, "user", "Jane Doe");
    await shown(page, "backend", "403");
    // The same application, which now asks for more than the token that it has kept is good for.
    const other = await context.newPage();
    await other.goto(`${PAGE}/`);
    await allowUnlessAllowed(other);
    await shown(other, "backend", "jane");
  });

  test("ring-ui lets nobody in who is banned", async () => {
    command("user", "add", "mallory", "--name", "Mallory", "--password-file", "-");
    const page = await context.newPage();
    const enter = async () => {
      await page.waitForURL(`${HUB}/auth/login?**`);
      await page.getByLabel("Login or e-mail address").fill("mallory");
      await page.getByLabel("Password").fill(PASSWORD);
      await page.getByRole("button", { name: "Sign in" }).click();
    };
    await page.goto(`${PAGE}/`);
    await enter();
    await allow(page);
    await shown(page, "user", "Mallory");
    const token = await page.evaluate(() => window.auth.requestToken());
    command("user", "ban", "mallory");
    // The command returns when it is written; the gateway reads it a moment later.
    const refused = (user) =>
      fetch(`${GATEWAY}/tracker/api`, { headers: { Authorization: `Bearer ${user}` } }).then(({ status }) => status === 401);
    for (const end = Date.now() + 30_000; !(await refused(token)); await wait(50)) {
      assert.ok(Date.now() < end, "who is banned is not refused");
    }
    await page.goto(`${PAGE}/`);
    await enter();
    await page.getByRole("alert").filter({ hasText: ALERT }).waitFor();
  });

  test("a person may say no", async () => {
    const page = await signedIn();
    await page.goto(ASKING);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.waitForURL((url) => url.origin === PAGE);
    await shown(page, "error", "the person did not allow it");
  });

  test("the keyboard is enough", async () => {
    const page = await context.newPage();
    await page.goto(ASKING);
    const focused = () => page.evaluate(() => document.activeElement.name || document.activeElement.textContent);
    await focusOn(page, "username");
    await page.keyboard.type("jane");
    await page.keyboard.press("Tab");
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await page.waitForLoadState();
    await focusOn(page, "username");
    await page.keyboard.type("jane");
    await page.keyboard.press("Tab");
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Show");
    await page.keyboard.press("Space");
    assert.equal(await page.getByLabel("Password").getAttribute("type"), "text");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Show");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "rememberMe");
    await page.keyboard.press("Space");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Sign in");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${HUB}/auth/consent?**`);
    // Remembered: a cookie that outlives the browser.
    const [cookie] = await context.cookies(GATEWAY);
    assert.ok(cookie.expires > Date.now() / 1000 + 86_400 && cookie.httpOnly && cookie.secure);
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Your account");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "decision");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.origin === PAGE);
    assert.deepEqual(complaints, []);
  });

  test("form_post goes on by itself", async () => {
    const page = await signedIn();
    site.posted.length = 0;
    await page.goto(POSTED);
    await page.getByRole("heading", { name: "Arrived" }).waitFor();
    const [{ method, code, state, iss }] = site.posted;
    assert.deepEqual([method, code.slice(0, 4), state, iss], ["POST", "hgc_", "s&1", HUB]);
    assert.deepEqual(complaints, []);
  });

  test("without script everything works, and form_post has a button", async () => {
    await context.close();
    context = await open({ javaScriptEnabled: false });
    const page = await context.newPage();
    site.posted.length = 0;
    await page.goto(POSTED);
    await signIn(page, "wrong");
    await page.getByRole("alert").filter({ hasText: ALERT }).waitFor();
    await signIn(page);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("heading", { name: "Arrived" }).waitFor();
    assert.equal(site.posted.length, 1);
    assert.deepEqual(complaints, []);
  });

  describe("frames", () => {
    const inFrame = async (page, host, url) => {
      await page.goto(`${host}/frame?${new URLSearchParams({ of: url })}`);
      await page.waitForLoadState("networkidle");
      return page.frames()[1];
    };
    // What the frame shows is told to us a moment after it is there.
    const refusedIn = async (page, what) => {
      const shown = () => page.frames()[1]?.url();
      for (const end = Date.now() + 30_000; shown() !== REFUSED && Date.now() < end; ) {
        await wait(50);
      }
      assert.equal(shown(), REFUSED, what);
    };

    test("the login page shows itself to the service that asks, and tells it", async () => {
      const page = await context.newPage();
      const frame = await inFrame(page, PAGE, ASKING);
      await frame.getByRole("button", { name: "Sign in" }).waitFor();
      await page.waitForFunction(() => window.told.length >= 2);
      const [opened, dimensions] = await page.evaluate(() => window.told);
      assert.deepEqual(opened, { data: "HUB_AUTH_PAGE_OPENED", origin: GATEWAY });
      assert.equal(dimensions.data.message, "HUB_AUTH_PAGE_LOGIN_DIMENSIONS");
      assert.ok(dimensions.data.height > 100 && dimensions.data.width > 100);
      // Of the same site, the sign-in is kept; but consent is given on a page of its own.
      await signIn(frame);
      await page.waitForFunction(() => window.told.some(({ data }) => data === "HUB_AUTH_PAGE_LOGIN_STARTED"));
      await refusedIn(page);
    });

    test("nobody else frames it, and is told nothing", async () => {
      const page = await context.newPage();
      await inFrame(page, ELSEWHERE, ASKING);
      await refusedIn(page, ASKING);
      assert.deepEqual(await page.evaluate(() => window.told), []);
    });

    test("nobody frames the consent page, the home page or a problem", async () => {
      const page = await signedIn();
      for (const url of [ASKING, HUB, `${OAUTH}/auth?client_id=nobody`]) {
        await inFrame(page, PAGE, url);
        await refusedIn(page, url);
      }
    });
  });

  test("another site's page signs nobody in", async () => {
    const page = await context.newPage();
    await page.goto(`${ELSEWHERE}/posted`);
    await page.evaluate(
      ([action, password]) => {
        const form = document.createElement("form");
        Object.assign(form, { method: "post", action });
        for (const [name, value] of Object.entries({ username: "jane", password })) {
          form.append(Object.assign(document.createElement("input"), { name, value }));
        }
        document.body.append(form);
        form.submit();
      },
      [`${OAUTH}/interactive/login`, PASSWORD],
    );
    await page.waitForURL(`${OAUTH}/interactive/login`);
    await page.getByRole("heading", { name: "What happened" }).waitFor();
    assert.deepEqual(await context.cookies(GATEWAY), []);
  });

  test("a one-time password is exchanged for another", async () => {
    const [, login, password] = readFileSync(process.env.GATEWAY_OUTPUT, "utf8").match(/login +(\S+)\n +password +(\S+)/);
    const page = await context.newPage();
    await page.goto(`${HUB}/auth/login`);
    const enter = async (password) => {
      await page.getByLabel("Login or e-mail address").fill(login);
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Sign in" }).click();
    };
    await enter(password);
    const choose = async (one, other) => {
      await page.getByLabel("New password", { exact: true }).fill(one);
      await page.getByLabel("New password, once more").fill(other);
      await page.getByRole("button", { name: "Save and continue" }).click();
    };
    await choose("another good password", "not the same as that");
    await page.getByRole("alert").filter({ hasText: "not the same" }).waitFor();
    await look(page, "password");
    await choose("another good password", "another good password");
    await page.getByRole("heading", { name: /^Hello, / }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await page.goto(`${HUB}/auth/login`);
    await enter(password);
    await page.getByRole("alert").filter({ hasText: ALERT }).waitFor();
    assert.deepEqual(complaints, []);
  });

  // Leaves a picture, when asked to, and finds nothing that has to be scrolled sideways for.
  async function look(page, name) {
    await page.waitForLoadState();
    if (process.env.SCREENSHOTS) {
      await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
  }

  for (const [kind, options] of [
    ["light", { viewport: { width: 1280, height: 800 } }],
    ["dark", { viewport: { width: 1280, height: 800 }, colorScheme: "dark" }],
    ["phone", { viewport: { width: 320, height: 568 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }],
  ]) {
    test(`every page fits its screen: ${kind}`, async () => {
      await context.close();
      context = await open(options);
      const page = await context.newPage();
      const asking = new URL(ASKING);
      asking.searchParams.set("message", "Planned work tonight at 22:00.");
      asking.searchParams.set("scope", "tracker openid email groups offline_access");
      await page.goto(asking.href);
      await look(page, `${kind}-login`);
      await signIn(page, "wrong");
      await page.getByRole("alert").waitFor();
      await look(page, `${kind}-login-wrong`);
      await signIn(page);
      await page.getByRole("button", { name: "Allow" }).waitFor();
      await look(page, `${kind}-consent`);
      await page.goto(HUB);
      await look(page, `${kind}-home`);
      await page.goto(authorize("page", `https://evil.example/${"very-long-".repeat(20)}`, {}));
      await look(page, `${kind}-problem`);
      await page.goto(`${HUB}/errors/invalid_grant`);
      await look(page, `${kind}-error-code`);
      await page.goto(`${GATEWAY}/nowhere`);
      await look(page, `${kind}-refusal`);
      await page.route(`${HUB}/auth/assets/**`, (route) => route.abort());
      await page.goto(POSTED);
      await look(page, `${kind}-form-post`);
      await page.goto(`${OAUTH}/logout`);
      await page.getByRole("heading", { name: "You are signed out" }).waitFor();
      await look(page, `${kind}-signed-out`);
    });
  }
});
