// A web application as many stand behind Hub: JetBrains' own module signs people in with the implicit flow.

import { Auth } from "@jetbrains/ring-ui-built/components/auth/auth-core";

const { gateway } = document.documentElement.dataset;

const asked = new URLSearchParams(location.search);
const auth = new Auth({
  serverUri: `${gateway}/hub`,
  clientId: "page",
  redirectUri: `${location.origin}/`,
  scope: window.askedScope ?? ["tracker", "openid"],
  reloadOnUserChange: false,
  rpInitiatedLogout: asked.has("logout"),
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

// Somebody else has signed in, here or in another tab.
auth.addListener("userChange", () => window.show());
auth.init().then(window.show, (error) => {
  document.querySelector("#error").textContent = String(error);
});
