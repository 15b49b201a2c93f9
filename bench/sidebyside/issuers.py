"""The rows of bench/tokens: hubgate and oidc-provider, and how a browser gets codes from each."""

import base64
import http.client
import json
import secrets
import shutil
import ssl
import subprocess
import sys
import urllib.parse

from .process import Failed, free_port
from .rows import Row

CLIENT = "bench"
USER, PASSWORD = "jane", "correct horse battery"
REDIRECT = "https://127.0.0.1/callback"


def form(**pairs):
    return urllib.parse.urlencode(pairs)


class Browser:
    """One connection that stays open, and a cookie jar."""

    def __init__(self, issuer, bench):
        self.origin = issuer.origin()
        if issuer.plain:
            self.connection = http.client.HTTPConnection("127.0.0.1", issuer.port, timeout=30)
        else:
            context = ssl.create_default_context(cafile=str(bench.certificate))
            self.connection = http.client.HTTPSConnection("127.0.0.1", issuer.port, timeout=30, context=context)
        self.cookies = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send(self, method, target, body=None, headers=None):
        """(status, Location or None, body)"""
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            self.connection.request(method, target.removeprefix(self.origin), body=body, headers=headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{method} {target}: {error}") from error
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer.status, answer.getheader("Location"), text

    def follow(self, method, target, body=None, headers=None):
        """Redirects of the issuer are followed up to the one to the client, whose parameters are returned."""
        for _ in range(6):
            status, location, text = self.send(method, target, body, headers)
            if status not in (302, 303) or not location:
                raise Failed(f"{method} {target} was answered {status}: {text[:300]!r}")
            if location.startswith(REDIRECT):
                return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
            method, target, body, headers = "GET", location, None, None
        raise Failed("too many redirects")


class Issuer(Row):
    """What both have: a client with a secret, and three endpoints."""

    plain = False
    token_path = introspection_path = authorization_path = None
    more = {}

    def __init__(self, name):
        super().__init__(name)
        self.secret = secrets.token_urlsafe(32)

    def origin(self):
        return f"{'http' if self.plain else 'https'}://127.0.0.1:{self.port}"

    def basic(self, secret=None):
        return "Basic " + base64.b64encode(f"{CLIENT}:{secret or self.secret}".encode()).decode()

    def query(self):
        return form(response_type="code", client_id=CLIENT, redirect_uri=REDIRECT, scope="bench", state="s", **self.more)

    def sign_in(self, browser):
        """The whole way of somebody who is not signed in; the first code."""
        return browser.follow("GET", f"{self.authorization_path}?{self.query()}")

    def codes(self, bench, count):
        """That many authorization codes of one person in one session."""
        found = []
        with Browser(self, bench) as browser:
            parameters = self.sign_in(browser)
            while "code" in parameters and parameters.get("state") == "s":
                found.append(parameters["code"])
                if len(found) == count:
                    return found
                parameters = browser.follow("GET", f"{self.authorization_path}?{self.query()}")
        raise Failed(f"no code but {parameters}")

    def redeem(self, bench, *bodies):
        """The token endpoint's answers."""
        with Browser(self, bench) as client:
            answers = [client.send("POST", self.token_path, body, {"Authorization": self.basic()}) for body in bodies]
        for status, _, text in answers:
            if status != 200:
                raise Failed(f"the token endpoint answered {status}: {text[:300]!r}")
        return [json.loads(text) for _, _, text in answers]

    def probe(self, bench):
        """Before it is measured: it refuses a wrong secret, a spent code and an unknown refresh token; what it did not issue is not active."""
        [code] = self.codes(bench, 1)
        spend = form(grant_type="authorization_code", code=code, redirect_uri=REDIRECT)
        [pair] = self.redeem(bench, spend)
        if not pair.get("refresh_token") or not pair.get("access_token"):
            raise Failed(f"no pair of tokens but {sorted(pair)}")
        with Browser(self, bench) as client:
            right, wrong = {"Authorization": self.basic()}, {"Authorization": self.basic("wrong" + self.secret[5:])}
            for status, path, body, headers in (
                (401, self.token_path, form(grant_type="client_credentials"), wrong),
                (400, self.token_path, spend, right),
                (400, self.token_path, form(grant_type="refresh_token", refresh_token="unknown"), right),
            ):
                got, _, text = client.send("POST", path, body, headers)
                if got != status:
                    raise Failed(f"a request that must be refused with {status} was answered {got}: {text[:300]!r}")
            _, _, text = client.send("POST", self.introspection_path, form(token="unknown"), right)
            if json.loads(text).get("active") is not False:
                raise Failed(f"an unknown token is active: {text[:300]!r}")


class Hubgate(Issuer):
    """The gateway with all that its default configuration has, and SQLite on the disk."""

    checks = "JWT (ES256)"
    kept = "SQLite, synced"
    token_path = "/hub/api/rest/oauth2/token"
    introspection_path = "/hub/api/rest/oauth2/introspect"
    authorization_path = "/hub/api/rest/oauth2/auth"
    more = {"access_type": "offline"}

    def __init__(self, name, binary=None, workers=1):
        super().__init__(name)
        self.binary = binary
        self.workers = workers

    def introspects(self):
        return True

    def sign_in(self, browser):
        return browser.follow("POST", f"/hub/api/rest/oauth2/interactive/login?{self.query()}",
                              form(username=USER, password=PASSWORD),
                              {"Origin": self.origin(), "Sec-Fetch-Site": "same-origin"})

    def command(self, bench, directory):
        data = directory / "data"
        data.mkdir(mode=0o700)
        (directory / "secret").write_text(self.secret)
        (directory / "secret").chmod(0o600)
        (directory / "gateway.toml").write_text(f"""\
public_url = "https://127.0.0.1:{self.port}"
data_dir = "{data}"
admin_password = "{secrets.token_urlsafe(16)}"

[listen]
https = ["127.0.0.1:{self.port}"]
management = "127.0.0.1:{free_port()}"
workers = {self.workers}

[tls]
certificate = "{bench.certificate}"
private_key = "{bench.key}"

[store]
url = "sqlite:{data}/hubgate.db"

[oauth]
# Codes are fetched before the clock runs.
code_ttl = "10m"

[[service]]
id = "{CLIENT}"
name = "{CLIENT}"
secret = {{ file = "{directory}/secret" }}
trusted = true
consent_required = false
redirect_uris = ["{REDIRECT}"]

[[user]]
login = "{USER}"
password = "{PASSWORD}"

[[upstream]]
service = "{CLIENT}"
path = "/bench"
to = ["http://127.0.0.1:{bench.upstream_port}"]
""")
        return [str(self.binary or bench.hubgate()), "serve", "--config", str(directory / "gateway.toml")]


class OidcProvider(Issuer):
    """Node's oidc-provider, see peers/oidc-provider."""

    kept = "memory"
    token_path = "/token"
    introspection_path = "/token/introspection"
    authorization_path = "/auth"

    def __init__(self, name, tokens, plain=False):
        super().__init__(name)
        self.tokens, self.plain = tokens, plain
        self.checks = {"jwt": "JWT (ES256)", "opaque": "opaque"}[tokens] + (", without TLS" if plain else "")

    def introspects(self):
        """It refuses to introspect its JWT access tokens."""
        return self.tokens == "opaque"

    def command(self, bench, directory):
        home = bench.home / "peers" / "oidc-provider"
        installed(home)
        (directory / "secret").write_text(self.secret)
        tls = ["plain"] if self.plain else [str(bench.certificate), str(bench.key)]
        return ["env", "NODE_ENV=production", "node", str(home / "server.mjs"), str(self.port), self.tokens,
                str(directory / "secret"), *tls]


def installed(home):
    """The locked packages."""
    if (home / "node_modules").exists():
        return
    if not shutil.which("npm"):
        raise Failed("it needs node and npm")
    print("installing oidc-provider", file=sys.stderr)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=home, check=False,
                          stdout=sys.stderr)
    if done.returncode != 0:
        raise Failed("npm ci failed")


def all_issuers(binary):
    """In the order of the table."""
    rows = [Hubgate("hubgate", binary), OidcProvider("oidc-jwt", "jwt"), OidcProvider("oidc-opaque", "opaque"),
            OidcProvider("oidc-jwt+plain", "jwt", plain=True)]
    return {row.name: row for row in rows}
