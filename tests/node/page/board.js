// A web application as many stand behind Hub: JetBrains' own module signs people in with the implicit flow.

import { Auth } from "@jetbrains/ring-ui-built/components/auth/auth-core";

const { gateway } = document.documentElement.dataset;

// ring-ui asks Hub's REST interface who somebody is. OpenID Connect's userinfo says the same.
class Hub extends Auth {
  async getUser(accessToken) {
    const answer = await fetch(`${gateway}/hub/api/rest/oauth2/userinfo`, {
      headers: { Authorization: `Bearer ${accessToken}` },
    });
    if (!answer.ok) {
      throw Object.assign(new Error("userinfo"), { status: answer.status, authRedirect: answer.status === 401 });
    }
    const { sub, name, preferred_username: login } = await answer.json();
    return { id: sub, name, login, guest: false };
  }
}

const auth = new Hub({
  serverUri: `${gateway}/hub`,
  clientId: "page",
  redirectUri: `${location.origin}/`,
  scope: ["tracker", "openid"],
  reloadOnUserChange: false,
  // No REST interface, no health check of it.
  enableBackendStatusCheck: false,
  rpInitiatedLogout: new URLSearchParams(location.search).has("logout"),
});

window.auth = auth;
// What the application shows: the name of whoever is signed in, and what its backend received.
window.show = async () => {
  const token = await auth.requestToken();
  const user = await auth.requestUser();
  const answer = await fetch(`${gateway}/tracker/api`, { headers: { Authorization: `Bearer ${token}` } });
  const received = answer.ok ? (await answer.json()).headers["x-forwarded-preferred-username"] : answer.status;
  document.querySelector("#user").textContent = user.name;
  document.querySelector("#backend").textContent = String(received);
};

auth.init().then(window.show, (error) => {
  document.querySelector("#error").textContent = String(error);
});
