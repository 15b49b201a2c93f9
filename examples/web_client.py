#!/usr/bin/env python3
"""A web application: authorization code with PKCE, refresh, and sign-out, in the standard library alone.

With `hubgate demo` running in another terminal, and the secret and certificate of `demo-app` that it printed:

    python3 examples/web_client.py --secret SECRET --ca CERTIFICATE

Then open http://127.0.0.1:5050/ and sign in as the person that the demonstration names. The secret may also come from
HUBGATE_CLIENT_SECRET, so that it does not show in the process list.

The browser gets no token: it holds a cookie that names a session of this program, and the tokens stay here. State,
verifier and nonce are made anew for each sign-in and are bound to that browser (RFC 9700 section 2.1).
"""

import argparse
import base64
import hashlib
import html
import json
import os
import secrets
import ssl
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

SESSIONS: dict[str, dict] = {}  # what each browser's cookie stands for; a real application lets them end


class Hub:
    """The gateway as this application sees it."""

    def __init__(self, chosen: argparse.Namespace):
        self.id, self.secret, self.scope = chosen.id, chosen.secret, chosen.scope
        self.gateway, self.api = chosen.gateway.rstrip("/"), chosen.path
        self.here = f"http://127.0.0.1:{chosen.port}"
        self.callback = f"{self.here}/callback"
        self.tls = ssl.create_default_context(cafile=chosen.ca)
        # The server says itself where everything is (RFC 8414).
        status, self.metadata = self.fetch(Request(f"{self.gateway}/hub/.well-known/openid-configuration"))
        if status != 200:
            raise SystemExit(f"no metadata: {status} {self.metadata}")

    def fetch(self, request: Request) -> tuple[int, dict]:
        try:
            with urlopen(request, timeout=10, context=self.tls) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)
        except URLError as error:
            raise SystemExit(f"no answer: {error.reason}") from error

    def token(self, **form: str) -> tuple[int, dict]:
        """Asks the token endpoint; the answer's access token knows when it ends."""
        basic = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
        request = Request(self.metadata["token_endpoint"], urlencode(form).encode(), {"Authorization": f"Basic {basic}"})
        status, answer = self.fetch(request)
        if status == 200:
            answer["ends"] = time.monotonic() + answer["expires_in"]
        return status, answer

    def call(self, tokens: dict) -> tuple[int, dict]:
        """Calls the tracker; first obtains a new token where the old one is about to end."""
        if tokens["ends"] < time.monotonic() + 10:
            self.refresh(tokens)
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        return self.fetch(Request(self.gateway + self.api, headers=bearer))

    def refresh(self, tokens: dict) -> None:
        status, answer = self.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        if status == 200:
            tokens.update(answer)


def challenge(verifier: str) -> str:
    """RFC 7636 section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Application(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("session")
        session = SESSIONS.get(cookie.value) if cookie else None
        page = {"/": self.home, "/sign-in": self.sign_in, "/callback": self.callback, "/refresh": self.refresh, "/sign-out": self.sign_out}
        page.get(address.path, self.nothing)(session, query)

    def home(self, session: dict | None, _query: dict) -> None:
        if not session or "tokens" not in session:
            return self.show(200, '<p>Nobody is signed in.</p><p><a href="/sign-in">Sign in</a></p>')
        status, answer = self.hub.call(session["tokens"])
        shown = html.escape(json.dumps(answer, indent=2))
        links = '<a href="/">Call again</a> · <a href="/refresh">Refresh</a> · <a href="/sign-out">Sign out</a>'
        self.show(200, f"<p>The tracker answers {status}:</p><pre>{shown}</pre><p>{links}</p>")

    def sign_in(self, _session: dict | None, _query: dict) -> None:
        name, state, verifier = secrets.token_urlsafe(), secrets.token_urlsafe(), secrets.token_urlsafe(48)
        SESSIONS[name] = {"state": state, "verifier": verifier}
        request = {
            "response_type": "code",
            "client_id": self.hub.id,
            "redirect_uri": self.hub.callback,
            "scope": self.hub.scope,
            "access_type": "offline",
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        self.go(f"{self.hub.metadata['authorization_endpoint']}?{urlencode(request)}", name)

    def callback(self, session: dict | None, query: dict) -> None:
        if not session or not secrets.compare_digest(query.get("state", "").encode(), session.pop("state", "-").encode()):
            return self.show(400, "<p>This answer belongs to no request of this browser.</p>")
        if query.get("iss") != self.hub.metadata["issuer"]:  # RFC 9207
            return self.show(400, "<p>This answer is from somebody else.</p>")
        if "error" in query:
            return self.show(200, f"<p>Not signed in: {html.escape(query.get('error_description', query['error']))}</p>")
        status, answer = self.hub.token(
            grant_type="authorization_code",
            code=query["code"],
            redirect_uri=self.hub.callback,
            code_verifier=session.pop("verifier"),
        )
        if status != 200:
            return self.show(502, f"<p>No token: {html.escape(answer['error_description'])}</p>")
        session["tokens"] = answer
        self.go("/")

    def refresh(self, session: dict | None, _query: dict) -> None:
        if session and "tokens" in session:
            self.hub.refresh(session["tokens"])
        self.go("/")

    def sign_out(self, session: dict | None, _query: dict) -> None:
        if session:
            session.clear()
        leave = {"client_id": self.hub.id, "post_logout_redirect_uri": f"{self.hub.here}/"}
        self.go(f"{self.hub.metadata['end_session_endpoint']}?{urlencode(leave)}")

    def nothing(self, _session: dict | None, _query: dict) -> None:
        self.show(404, "<p>There is nothing here.</p>")

    def go(self, where: str, session: str | None = None) -> None:
        self.send_response(303)
        self.send_header("Location", where)
        if session:
            self.send_header("Set-Cookie", f"session={session}; Path=/; HttpOnly; SameSite=Lax")
        self.end_headers()

    def show(self, status: int, body: str) -> None:
        text = f"<!doctype html><html lang=en><meta charset=utf-8><title>A web client</title><h1>A web client</h1>{body}"
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_request(self, code="-", size="-") -> None:
        print(self.command, urlsplit(self.path).path, int(code))  # without the query, which may hold a code


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A web application that people sign in to through the gateway.")
    parser.add_argument("--gateway", default="https://localhost:8443", help="the gateway's address")
    parser.add_argument("--id", default="demo-app", help="the service id of this client")
    parser.add_argument("--secret", default=os.environ.get("HUBGATE_CLIENT_SECRET"), help="its secret")
    parser.add_argument("--ca", help="a PEM file with the certificate to trust (the system's)")
    parser.add_argument("--scope", default="youtrack", help="the service to be called")
    parser.add_argument("--path", default="/youtrack/api/users/me", help="what to call there")
    parser.add_argument("--port", type=int, default=5050, help="where this application listens")
    chosen = parser.parse_args()
    if not chosen.secret:
        parser.error("give --secret, or set HUBGATE_CLIENT_SECRET")
    return chosen


if __name__ == "__main__":
    chosen = options()
    Application.hub = Hub(chosen)
    print(f"open {Application.hub.here}/   (Ctrl-C ends it)", flush=True)
    try:
        ThreadingHTTPServer(("127.0.0.1", chosen.port), Application).serve_forever()
    except KeyboardInterrupt:
        pass
