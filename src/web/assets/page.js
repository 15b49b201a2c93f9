// Everything works without this file. It tells the page that opened or frames the login page how things stand, and sends
// a form on that nobody needs to look at.
(() => {
  const on = document.querySelector("form[data-submit]");
  if (on) {
    on.submit();
    return;
  }
  const main = document.querySelector("main[data-tell]");
  const other = window.parent !== window ? window.parent : window.opener;
  if (!main || !other) {
    return;
  }
  // Only pages of the service that asks: others would learn that nobody is signed in here.
  const tell = (message) => {
    for (const origin of main.dataset.tell.split(" ")) {
      other.postMessage(message, origin);
    }
  };
  tell("HUB_AUTH_PAGE_OPENED");
  const { height, width } = main.getBoundingClientRect();
  tell({ message: "HUB_AUTH_PAGE_LOGIN_DIMENSIONS", height: Math.ceil(height), width: Math.ceil(width) });
  document.querySelector("form").addEventListener("submit", () => tell("HUB_AUTH_PAGE_LOGIN_STARTED"));
})();
