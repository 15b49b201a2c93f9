// The same requests to the gateway and to oidc-provider, certified by the OpenID Foundation as an OpenID provider: where a
// standard leaves one answer, both give it. What is not in the tables is where they differ by right: oidc-provider calls a
// request without any client authentication invalid_request, Hub's protocol calls it invalid_client, and both may; it gives a
// client credentials token for less than an unknown scope, which RFC 6749 section 3.3 allows; and it has a code of its own for
// an unknown response_mode.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";

import { Provider } from "oidc-provider";

import { SECRET } from "./gateway.mjs";
import { CALLBACK, OAUTH } from "./person.mjs";

// Its own sign-in pages are never reached, and its development key signs nothing here.
async function peer() {
  const server = http.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "app",
        client_secret: SECRET,
        redirect_uris: [CALLBACK],
        grant_types: ["authorization_code", "refresh_token", "client_credentials", "implicit"],
        response_types: ["code", "id_token", "code id_token"],
      },
      {
        client_id: "phone",
        token_endpoint_auth_method: "none",
        redirect_uris: ["http://127.0.0.1/cb"],
        application_type: "native",
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
    interactions: { url: () => "/interaction" },
    pkce: { required: (_, client) => client.clientId === "phone" },
    cookies: { keys: ["test"] },
  });
  server.on("request", provider.callback());
  return { issuer, stop: () => new Promise((resolve) => server.close(resolve)) };
}

const basic = (id, secret) => `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
const good = basic("app", SECRET);
const form = "application/x-www-form-urlencoded";

describe("beside oidc-provider", () => {
  let other;
  let theirs;
  before(async () => {
    other = await peer();
    theirs = { auth: `${other.issuer}/auth`, token: `${other.issuer}/token`, introspect: `${other.issuer}/token/introspection`, revoke: `${other.issuer}/token/revocation` };
  });
  after(() => other.stop());
  const ours = { auth: `${OAUTH}/auth`, token: `${OAUTH}/token`, introspect: `${OAUTH}/introspect`, revoke: `${OAUTH}/revoke` };

  async function post(url, authorization, body, type = form) {
    const headers = { "content-type": type, ...(authorization && { authorization }) };
    const answer = await fetch(url, { method: "POST", headers, body });
    const text = await answer.text();
    return { status: answer.status, error: text.startsWith("{") ? JSON.parse(text).error : undefined };
  }

  for (const [name, authorization, body, error, status] of [
    ["no grant type", good, "scope=app", "invalid_request", 400],
    ["an unknown grant type", good, "grant_type=magic", "unsupported_grant_type", 400],
    ["implicit as a grant type", good, "grant_type=implicit", "unsupported_grant_type", 400],
    ["a grant type twice", good, "grant_type=client_credentials&grant_type=client_credentials", "invalid_request", 400],
    ["an unknown client", basic("nobody", SECRET), "grant_type=client_credentials", "invalid_client", 401],
    ["a wrong secret", basic("app", `${SECRET}x`), "grant_type=client_credentials", "invalid_client", 401],
    ["two ways to authenticate", good, `grant_type=client_credentials&client_secret=${SECRET}`, "invalid_request", 400],
    ["credentials that are none", "Basic !", "grant_type=client_credentials", undefined, undefined],
    ["no code", good, `grant_type=authorization_code&redirect_uri=${CALLBACK}`, "invalid_request", 400],
    ["an unknown code", good, `grant_type=authorization_code&code=x&redirect_uri=${CALLBACK}`, "invalid_grant", 400],
    ["no refresh token", good, "grant_type=refresh_token", "invalid_request", 400],
    ["an unknown refresh token", good, "grant_type=refresh_token&refresh_token=x", "invalid_grant", 400],
  ]) {
    test(`token endpoint: ${name}`, async () => {
      const [mine, yours] = await Promise.all([ours, theirs].map((at) => post(at.token, authorization, body)));
      if (error === undefined) {
        // Both refuse; RFC 6749 section 5.2 lets either code stand for a header that cannot be read.
        assert.ok(mine.status >= 400 && yours.status >= 400, JSON.stringify({ mine, yours }));
        assert.ok(["invalid_request", "invalid_client"].includes(mine.error), JSON.stringify(mine));
        return;
      }
      assert.deepEqual(yours, { status, error }, "oidc-provider");
      assert.deepEqual(mine, { status, error }, "the gateway");
    });
  }

  test("token endpoint: a body of another type", async () => {
    for (const at of [ours, theirs]) {
      const answer = await post(at.token, good, '{"grant_type":"client_credentials"}', "application/json");
      assert.deepEqual(answer, { status: 400, error: "invalid_request" });
    }
  });

  test("introspection and revocation: unknown tokens, no token, unknown clients", async () => {
    for (const at of [ours, theirs]) {
      const unknown = await fetch(at.introspect, { method: "POST", headers: { "content-type": form, authorization: good }, body: "token=x" });
      assert.deepEqual([unknown.status, await unknown.json()], [200, { active: false }]);
      assert.equal((await post(at.revoke, good, "token=x")).status, 200);
      for (const endpoint of [at.introspect, at.revoke]) {
        assert.deepEqual(await post(endpoint, good, "token_type_hint=access_token"), { status: 400, error: "invalid_request" });
        assert.deepEqual(await post(endpoint, basic("nobody", SECRET), "token=x"), { status: 401, error: "invalid_client" });
      }
    }
  });

  const request = { client_id: "app", redirect_uri: CALLBACK, response_type: "code", scope: "openid", state: "s" };
  async function authorize(at, parameters) {
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined));
    const answer = await fetch(`${at.auth}?${query}`, { redirect: "manual" });
    return { status: answer.status, location: answer.headers.get("location") };
  }

  for (const [name, change] of [
    ["an unknown client", { client_id: "nobody" }],
    ["no client", { client_id: undefined }],
    ["an address that is not registered", { redirect_uri: "https://evil.example/cb" }],
    ["an address with a slash more", { redirect_uri: `${CALLBACK}/` }],
  ]) {
    test(`authorization endpoint: ${name} gets a page`, async () => {
      for (const at of [ours, theirs]) {
        const { status, location } = await authorize(at, { ...request, ...change });
        assert.deepEqual([status, location], [400, null]);
      }
    });
  }

  for (const [name, change, error] of [
    ["no response type", { response_type: undefined }, "invalid_request"],
    ["an unknown response type", { response_type: "magic" }, "unsupported_response_type"],
    ["an id_token in a query", { response_type: "id_token", nonce: "n", response_mode: "query" }, "invalid_request"],
    ["an id_token without a nonce", { response_type: "id_token" }, "invalid_request"],
    ["nobody signed in, and no page", { prompt: "none" }, "login_required"],
    ["no page and a page", { prompt: "none login" }, "invalid_request"],
    ["a challenge method that is none", { code_challenge: "c".repeat(43), code_challenge_method: "none" }, "invalid_request"],
    ["a challenge that is malformed", { code_challenge: "c", code_challenge_method: "S256" }, "invalid_request"],
    ["a public client without a challenge", { client_id: "phone", redirect_uri: "http://127.0.0.1/cb" }, "invalid_request"],
    ["a request object", { request: "x" }, "request_not_supported"],
    ["the address of a request object", { request_uri: "https://a.example/x" }, "request_uri_not_supported"],
    ["an age that is no number", { max_age: "soon" }, "invalid_request"],
  ]) {
    test(`authorization endpoint: ${name} is told to the client`, async () => {
      for (const [whose, at] of [["oidc-provider", theirs], ["the gateway", ours]]) {
        const parameters = { ...request, ...change };
        const { status, location } = await authorize(at, parameters);
        assert.ok([302, 303].includes(status) && location?.startsWith(parameters.redirect_uri), `${whose}: ${status} ${location}`);
        const address = new URL(location);
        const told = new URLSearchParams(address.hash ? address.hash.slice(1) : address.search);
        assert.equal(told.get("error"), error, whose);
        assert.equal(told.get("state"), "s", whose);
      }
    });
  }
});
