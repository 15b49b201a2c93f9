// Everything works without this file. It tells the page that opened or frames the login page how things stand, sends on a
// form that nobody needs to look at, and makes small things easier: showing a password, copying, searching as one types.
(() => {
  const all = (selector, each) => document.querySelectorAll(selector).forEach(each);
  const on = document.querySelector("form[data-submit]");
  if (on) {
    on.submit();
    return;
  }

  // A form is sent once, however often its button is pressed; the server takes the second one for the first anyway.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") {
      return;
    }
    if (form.dataset.sent) {
      event.preventDefault();
    }
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => all("form[data-sent]", (form) => delete form.dataset.sent));

  all("[data-peek]", (button) => {
    const field = document.getElementById(button.dataset.peek);
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = field.type === "text";
      field.type = shown ? "password" : "text";
      button.setAttribute("aria-pressed", String(!shown));
      field.focus();
    });
  });

  all("[data-caps]", (hint) => {
    const field = document.getElementById(hint.dataset.caps);
    const look = (event) => {
      hint.hidden = !event.getModifierState?.("CapsLock");
    };
    field.addEventListener("keydown", look);
    field.addEventListener("keyup", look);
    field.addEventListener("blur", () => {
      hint.hidden = true;
    });
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) {
      return;
    }
    const field = document.getElementById(button.dataset.copy);
    const text = field.value ?? field.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      field.select?.();
      document.execCommand("copy");
    }
    const before = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => {
      button.textContent = before;
    }, 2000);
  });
  all("[data-copy]", (button) => {
    button.hidden = false;
  });

  // The answer to a search is the same page; its list takes the place of the one that is shown.
  all("form[data-live]", (form) => {
    let waiting, asked;
    const look = async () => {
      asked?.abort();
      asked = new AbortController();
      const query = new URLSearchParams(new FormData(form));
      const url = `${form.action.split("?")[0]}?${query}`;
      try {
        const answer = await fetch(url, { signal: asked.signal, headers: { Accept: "text/html" } });
        if (!answer.ok || answer.redirected) {
          return;
        }
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const list = page.querySelector(form.dataset.live);
        if (list) {
          document.querySelector(form.dataset.live).replaceWith(list);
          history.replaceState(null, "", url);
        }
      } catch (error) {
        if (error.name !== "AbortError") {
          throw error;
        }
      }
    };
    form.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(look, 150);
    });
  });

  // On a phone the menu is one row that is moved sideways.
  document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // "Try again in 30 seconds" counts down; the words are the server's.
  all("[data-wait]", (notice) => {
    let left = Number(notice.dataset.wait);
    const timer = setInterval(() => {
      left -= 1;
      if (left <= 0) {
        clearInterval(timer);
        notice.hidden = true;
      } else if (left < 90) {
        notice.textContent = notice.textContent.replace(/\d+/, String(left));
      }
    }, 1000);
  });

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
