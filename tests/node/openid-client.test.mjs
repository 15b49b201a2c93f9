// openid-client, certified by the OpenID Foundation as a relying party: it refuses answers that others let pass.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import * as client from "openid-client";

import { PASSWORD, SECRET } from "./gateway.mjs";
import { CALLBACK, GATEWAY, HUB, OAUTH, Person, call } from "./person.mjs";

const find = (id, ...authentication) => client.discovery(new URL(HUB), id, ...authentication);

// One sign-in with everything that the library can check.
async function signIn(config, { person = new Person(), redirect_uri = CALLBACK, ...more } = {}) {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: "openid profile email tracker",
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: "S256",
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...more,
  });
  const answer = await person.go(url);
  return { answer, checks, redeem: () => client.authorizationCodeGrant(config, answer, checks) };
}

describe("openid-client", () => {
  let app;
  before(async () => {
    app = await find("app", SECRET);
    // Otherwise it trusts TLS for tokens that come straight from us; it shall look at each signature.
    client.enableNonRepudiationChecks(app);
  });

  test("finds what the server says of itself, by OpenID Connect and by RFC 8414", async () => {
    for (const algorithm of ["oidc", "oauth2"]) {
      const config = await client.discovery(new URL(HUB), "app", SECRET, undefined, { algorithm });
      const metadata = config.serverMetadata();
      assert.equal(metadata.issuer, HUB);
      assert.ok(metadata.supportsPKCE());
      assert.equal(metadata.authorization_response_iss_parameter_supported, true);
    }
  });

  for (const [name, authentication] of [
    ["basic", client.ClientSecretBasic(SECRET)],
    ["post", client.ClientSecretPost(SECRET)],
  ]) {
    test(`code with PKCE, state, nonce and iss; the secret by ${name}`, async () => {
      const config = await find("app", undefined, authentication);
      client.enableNonRepudiationChecks(config);
      const { answer, redeem } = await signIn(config);
      assert.equal(answer.searchParams.get("iss"), HUB);
      const tokens = await redeem();
      assert.equal(tokens.token_type, "bearer");
      assert.equal(tokens.expires_in, 3600);
      assert.equal(tokens.refresh_token, undefined);
      const claims = tokens.claims();
      assert.deepEqual([claims.iss, claims.aud, claims.name], [HUB, ["app"], "Jane Doe"]);
      const received = await call(tokens.access_token);
      assert.equal(received["x-forwarded-preferred-username"], "jane");
      assert.equal(received["x-forwarded-user"], claims.sub);
    });
  }

  test("code of a public client on a port of its own", async () => {
    const config = await find("phone", undefined, client.None());
    const { redeem } = await signIn(config, { redirect_uri: "http://127.0.0.1:50124/cb" });
    assert.equal((await call((await redeem()).access_token))["x-forwarded-client"], "phone");
  });

  test("max_age and prompt=login are kept, and told by auth_time", async () => {
    const person = new Person();
    await (await signIn(app, { person })).redeem();
    const before = Math.floor(Date.now() / 1000);
    const { answer, checks } = await signIn(app, { person, prompt: "login", max_age: "5" });
    const tokens = await client.authorizationCodeGrant(app, answer, { ...checks, maxAge: 5 });
    assert.ok(tokens.claims().auth_time >= before);
  });

  test("refresh gives new tokens, and an id_token for the same person", async () => {
    const { redeem } = await signIn(app, { scope: "openid offline_access tracker", prompt: "consent" });
    const first = await redeem();
    const second = await client.refreshTokenGrant(app, first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.notEqual(second.access_token, first.access_token);
    assert.equal(second.claims().sub, first.claims().sub);
    assert.equal(second.claims().auth_time, first.claims().auth_time);
    assert.equal((await call(second.access_token))["x-forwarded-user"], first.claims().sub);
    // A lost answer can be fetched again: the same one.
    const again = await client.refreshTokenGrant(app, first.refresh_token);
    assert.deepEqual([again.refresh_token, again.access_token], [second.refresh_token, second.access_token]);
    const narrowed = await client.refreshTokenGrant(app, second.refresh_token, { scope: "openid tracker" });
    assert.equal(narrowed.scope, "openid tracker");
    await assert.rejects(client.refreshTokenGrant(app, narrowed.refresh_token, { scope: "openid email tracker" }), {
      name: "ResponseBodyError",
      status: 400,
      error: "invalid_scope",
    });
  });

  test("client credentials", async () => {
    const tokens = await client.clientCredentialsGrant(app, { scope: "tracker" });
    assert.equal(tokens.refresh_token, undefined);
    const received = await call(tokens.access_token);
    assert.deepEqual([received["x-forwarded-client"], received["x-forwarded-user"]], ["app", undefined]);
  });

  test("password", async () => {
    const form = { username: "jane", password: PASSWORD, scope: "tracker", access_type: "offline" };
    const tokens = await client.genericGrantRequest(app, "password", form);
    assert.ok(tokens.refresh_token);
    assert.equal((await call(tokens.access_token))["x-forwarded-preferred-username"], "jane");
    await assert.rejects(client.genericGrantRequest(app, "password", { ...form, password: "wrong" }), {
      name: "ResponseBodyError",
      status: 400,
      error: "invalid_grant",
    });
  });

  test("implicit: an id_token in the fragment", async () => {
    const config = await find("app", SECRET);
    client.useIdTokenResponseType(config);
    const [nonce, expectedState] = [client.randomNonce(), client.randomState()];
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: CALLBACK,
      scope: "openid email",
      nonce,
      state: expectedState,
    });
    const answer = await new Person().go(url);
    const claims = await client.implicitAuthentication(config, answer, nonce, { expectedState });
    assert.equal(claims.email, "jane@example.org");
  });

  test("hybrid: a code and an id_token that vouches for it", async () => {
    const config = await find("app", SECRET);
    client.useCodeIdTokenResponseType(config);
    const { redeem } = await signIn(config);
    assert.equal((await redeem()).claims().name, "Jane Doe");
  });

  test("userinfo is about the same person", async () => {
    const { redeem } = await signIn(app);
    const tokens = await redeem();
    const { sub } = tokens.claims();
    const told = await client.fetchUserInfo(app, tokens.access_token, sub);
    assert.deepEqual([told.sub, told.name, told.email_verified], [sub, "Jane Doe", true]);
    await assert.rejects(client.fetchUserInfo(app, tokens.access_token, "another"), { code: "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED" });
    await assert.rejects(client.fetchUserInfo(app, "not.a.token", sub), (error) => {
      assert.equal(error.name, "WWWAuthenticateChallengeError");
      assert.equal(error.status, 401);
      assert.equal(error.cause[0].scheme, "bearer");
      assert.equal(error.cause[0].parameters.error, "invalid_token");
      return true;
    });
  });

  test("introspection and revocation", async () => {
    const { redeem } = await signIn(app, { access_type: "offline" });
    const tokens = await redeem();
    const told = await client.tokenIntrospection(app, tokens.access_token);
    assert.deepEqual([told.active, told.username, told.client_id], [true, "jane", "app"]);
    assert.equal(typeof (await call(tokens.access_token)), "object");
    await client.tokenRevocation(app, tokens.refresh_token, { token_type_hint: "refresh_token" });
    assert.equal(await call(tokens.access_token), 401);
    for (const token of [tokens.access_token, tokens.refresh_token, "unknown"]) {
      assert.deepEqual(await client.tokenIntrospection(app, token), { active: false });
    }
    // RFC 7009 section 2.2: a token that is gone is revoked.
    await client.tokenRevocation(app, tokens.refresh_token);
    await assert.rejects(client.refreshTokenGrant(app, tokens.refresh_token), { error: "invalid_grant" });
  });

  test("sign-out leads to the address that is registered", async () => {
    const person = new Person();
    const { redeem } = await signIn(app, { person });
    const tokens = await redeem();
    const url = client.buildEndSessionUrl(app, {
      post_logout_redirect_uri: CALLBACK,
      id_token_hint: tokens.id_token,
      state: "x&y",
    });
    assert.equal((await person.go(url)).href, `${CALLBACK}?state=x%26y`);
    assert.equal(await call(tokens.access_token), 401);
  });

  describe("refuses nothing of ours, and understands what we refuse", () => {
    test("nobody is signed in", async () => {
      const { redeem } = await signIn(app, { prompt: "none" });
      await assert.rejects(redeem(), {
        code: "OAUTH_AUTHORIZATION_RESPONSE_ERROR",
        error: "login_required",
      });
    });

    test("a code is good once", async () => {
      const { redeem } = await signIn(app);
      await redeem();
      await assert.rejects(redeem(), { code: "OAUTH_RESPONSE_BODY_ERROR", status: 400, error: "invalid_grant" });
    });

    test("a wrong verifier", async () => {
      const { answer, checks, redeem } = await signIn(app);
      const wrong = { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() };
      await assert.rejects(client.authorizationCodeGrant(app, answer, wrong), { error: "invalid_grant" });
      await redeem();
    });

    test("a wrong secret", async () => {
      // RFC 6749 section 5.2: 401 with a challenge for those who sent a header, else 400.
      const wrong = "wrong-secret-0123456";
      const asked = async (authentication) =>
        client.clientCredentialsGrant(await find("app", undefined, authentication), { scope: "tracker" });
      await assert.rejects(asked(client.ClientSecretBasic(wrong)), (error) => {
        assert.deepEqual([error.name, error.status], ["WWWAuthenticateChallengeError", 401]);
        assert.equal(error.cause[0].scheme, "basic");
        return true;
      });
      await assert.rejects(asked(client.ClientSecretPost(wrong)), {
        name: "ResponseBodyError",
        status: 400,
        error: "invalid_client",
      });
    });

    test("another issuer's answer, and another's state", async () => {
      const { answer, checks } = await signIn(app);
      const mixed = new URL(answer);
      mixed.searchParams.set("iss", `${GATEWAY}/other`);
      await assert.rejects(client.authorizationCodeGrant(app, mixed, checks), { code: "OAUTH_INVALID_RESPONSE" });
      const other = { ...checks, expectedState: "another" };
      await assert.rejects(client.authorizationCodeGrant(app, answer, other), { code: "OAUTH_INVALID_RESPONSE" });
    });

    test("an id_token is no access token", async () => {
      const { redeem } = await signIn(app);
      const { id_token: text, claims } = await redeem();
      assert.equal(typeof claims, "function");
      assert.equal(await call(text), 401);
      const answer = await fetch(`${OAUTH}/userinfo`, { headers: { authorization: `Bearer ${text}` } });
      assert.equal(answer.status, 401);
    });
  });
});
