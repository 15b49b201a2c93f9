// A person as a login script plays one: fetch, a cookie jar, our forms.

import assert from "node:assert/strict";

import { PASSWORD } from "./gateway.mjs";

export const GATEWAY = process.env.GATEWAY_URL;
export const HUB = `${GATEWAY}/hub`;
export const OAUTH = `${HUB}/api/rest/oauth2`;
export const CALLBACK = "https://app.example/cb";

export class Person {
  #cookie;

  constructor(login = "jane", password = PASSWORD) {
    Object.assign(this, { login, password });
  }

  async #send(url, form) {
    const answer = await fetch(url, {
      method: form ? "POST" : "GET",
      body: form && new URLSearchParams(form),
      headers: this.#cookie ? { cookie: this.#cookie } : {},
      redirect: "manual",
    });
    for (const set of answer.headers.getSetCookie()) {
      this.#cookie = set.split(";")[0];
    }
    return answer;
  }

  // Goes with a client's request to where it leaves the gateway; returns that address.
  async go(address) {
    let url = new URL(address);
    for (let step = 0; step < 8; step += 1) {
      let answer = await this.#send(url);
      if (answer.status === 200 && url.pathname === "/hub/auth/login") {
        const form = { username: this.login, password: this.password };
        answer = await this.#send(`${OAUTH}/interactive/login${url.search}`, form);
        assert.equal(answer.status, 303);
      }
      if (answer.status === 200 && url.pathname === "/hub/auth/consent") {
        const [, ticket] = (await answer.text()).match(/name="ticket" value="([^"]+)"/);
        answer = await this.#send(url, { ticket, decision: "allow" });
        assert.equal(answer.status, 303);
      }
      assert.ok([302, 303].includes(answer.status), `${answer.status} at ${url}: ${await answer.text()}`);
      url = new URL(answer.headers.get("location"), url);
      if (url.origin !== GATEWAY) {
        return url;
      }
    }
    throw new Error(`goes round in circles at ${url}`);
  }
}

// What the tracker received, or the status of the refusal.
export async function call(token) {
  const answer = await fetch(`${GATEWAY}/tracker/api`, { headers: { authorization: `Bearer ${token}` } });
  return answer.status === 200 ? (await answer.json()).headers : answer.status;
}
