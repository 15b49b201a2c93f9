// oauth4webapi, each message by hand: what it accepts is what the RFCs say, nothing more.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import * as oauth from "oauth4webapi";

import { SECRET } from "./gateway.mjs";
import { CALLBACK, GATEWAY, HUB, Person } from "./person.mjs";

describe("oauth4webapi", () => {
  const app = { client_id: "app" };
  const secret = oauth.ClientSecretBasic(SECRET);
  let server;

  before(async () => {
    const issuer = new URL(HUB);
    server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
  });

  async function granted(scope) {
    const verifier = oauth.generateRandomCodeVerifier();
    const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: "app",
      redirect_uri: CALLBACK,
      response_type: "code",
      scope,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
    });
    const parameters = oauth.validateAuthResponse(server, app, await new Person().go(url), state);
    const answer = await oauth.authorizationCodeGrantRequest(server, app, secret, parameters, CALLBACK, verifier);
    const tokens = await oauth.processAuthorizationCodeResponse(server, app, answer, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    await oauth.validateApplicationLevelSignature(server, answer);
    return tokens;
  }

  test("the RFC 8414 address has the same document", async () => {
    const issuer = new URL(HUB);
    const answer = await oauth.discoveryRequest(issuer, { algorithm: "oauth2" });
    assert.equal(answer.url, `${GATEWAY}/.well-known/oauth-authorization-server/hub`);
    assert.deepEqual(await oauth.processDiscoveryResponse(issuer, answer), server);
  });

  test("code, refresh, introspection, userinfo, revocation", async () => {
    const tokens = await granted("openid email offline_access tracker");
    const { sub } = oauth.getValidatedIdTokenClaims(tokens);

    const answer = await oauth.refreshTokenGrantRequest(server, app, secret, tokens.refresh_token);
    const again = await oauth.processRefreshTokenResponse(server, app, answer);
    await oauth.validateApplicationLevelSignature(server, answer);
    assert.notEqual(again.refresh_token, tokens.refresh_token);

    const userinfo = await oauth.userInfoRequest(server, app, again.access_token);
    assert.equal((await oauth.processUserInfoResponse(server, app, sub, userinfo)).email, "jane@example.org");

    const introspect = async (token) =>
      oauth.processIntrospectionResponse(server, app, await oauth.introspectionRequest(server, app, secret, token));
    assert.equal((await introspect(again.access_token)).sub, sub);
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, app, secret, again.access_token));
    assert.deepEqual(await introspect(again.access_token), { active: false });
  });

  test("access tokens are those of RFC 9068", async () => {
    const tokens = await granted("openid tracker");
    const request = new Request(`${GATEWAY}/tracker/`, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    });
    const claims = await oauth.validateJwtAccessToken(server, request, "tracker");
    assert.deepEqual([claims.client_id, claims.scope], ["app", "openid tracker"]);
    await assert.rejects(oauth.validateJwtAccessToken(server, request.clone(), "another"), {
      code: oauth.JWT_CLAIM_COMPARISON,
    });
  });

  test("client credentials, and a challenge for a wrong secret", async () => {
    const ask = async (secret) =>
      oauth.processClientCredentialsResponse(
        server,
        app,
        await oauth.clientCredentialsGrantRequest(server, app, oauth.ClientSecretBasic(secret), { scope: "tracker" }),
      );
    assert.equal((await ask(SECRET)).scope, "tracker");
    await assert.rejects(ask("wrong-secret-0123456"), (error) => {
      assert.equal(error.code, oauth.WWW_AUTHENTICATE_CHALLENGE);
      assert.equal(error.status, 401);
      assert.equal(error.cause[0].scheme, "basic");
      return true;
    });
  });
});
