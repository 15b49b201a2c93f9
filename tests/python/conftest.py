"""A gateway as its users run it: the built program in a folder of its own, with an upstream that records what it receives.

The program is target/release/hubgate or target/debug/hubgate, whichever is newer, or what HUBGATE_BINARY names.
"""

import contextlib
import dataclasses
import http.client
import http.server
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRETS = {
    "robot": "robot-secret-0123456789",
    "tracker": "tracker-secret-0123456789",
    "untrusted": "untrusted-secret-012345",
    "app": "app-secret-0123456789",
}
PASSWORD = "correct horse battery"
CONFIGURATION = """
public_url = "https://localhost:{https}"
data_dir = "data"

[listen]
https = ["127.0.0.1:{https}"]
management = "127.0.0.1:{management}"
workers = {workers}
{listen}

[limits]
rejections_per_source = "off"
drain_timeout = "{drain}"
{limits}

[[service]]
id = "robot"
name = "Night Robot"
secret = "{robot}"
trusted = true

[[service]]
id = "tracker"
name = "Issue Tracker"
secret = {{ env = "TRACKER_SECRET" }}

[[service]]
id = "untrusted"
name = "Untrusted"
secret = {{ file = "untrusted.secret" }}
trusted = false

[[service]]
id = "app"
name = "The App"
secret = "{app}"
consent_required = false
home_url = "https://app.example/"
redirect_uris = ["https://app.example/cb", "http://localhost/cb"]

[[service]]
id = "asking"
name = "Asking"
secret = "{app}"
consent_required = true
redirect_uris = ["https://app.example/cb"]

[[service]]
id = "phone"
name = "Phone"
public = true
consent_required = false
redirect_uris = ["http://127.0.0.1/cb"]

[[user]]
login = "jane"
name = "Jane Doe"
email = "jane@example.org"
password = "{password}"
groups = ["developers"]

[[user]]
login = "bob"
name = "Bob"
password = "{password}"

[[user]]
login = "root"
name = "Root"
password = "{password}"
administrator = true

[[upstream]]
service = "tracker"
path = "/tracker"
to = ["http://127.0.0.1:{upstream}"]

  [[upstream.rule]]
  path = "/tracker/static/**"
  access = "public"

[[upstream]]
service = "robot"
path = "/robot"
to = ["http://127.0.0.1:{upstream}"]
credential = "pass"
"""


def binary() -> pathlib.Path:
    if named := os.environ.get("HUBGATE_BINARY"):
        return pathlib.Path(named).resolve()
    built = [path for kind in ("debug", "release") if (path := ROOT / "target" / kind / "hubgate").exists()]
    if not built:
        pytest.exit("there is no target/debug/hubgate: run `cargo build` first", returncode=2)
    return max(built, key=lambda path: path.stat().st_mtime)


PORTS = (10_000 + number % 22_000 for number in itertools.count(os.getpid() * 8))


def free_ports(count: int) -> list[int]:
    """Ports that are free, below those that systems choose by themselves: no connection and no other server takes one before it is used."""
    found: list[int] = []
    while len(found) < count:
        port = next(PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found


@dataclasses.dataclass
class Received:
    """A request as the upstream received it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


class Upstream:
    """Answers every request with 200 and remembers it."""

    def __init__(self) -> None:
        received: list[Received] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                received.append(Received(self.command, self.path, self.headers.items(), body))
                answer = b"answered by the upstream"
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self._received = received
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self) -> list[Received]:
        """What was received since the last call."""
        taken = list(self._received)
        self._received.clear()
        return taken

    def one(self) -> Received:
        taken = self.take()
        assert len(taken) == 1, taken
        return taken[0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Gateway:
    """A running gateway."""

    def __init__(
        self,
        folder: pathlib.Path,
        upstream: Upstream,
        limits: str = "",
        more: str = "",
        drain: str = "5s",
        listen: str = "",
        workers: int = 1,
    ) -> None:
        self.folder = folder
        self.upstream = upstream
        https, management = free_ports(2)
        self.url = f"https://localhost:{https}"
        self.issuer = f"{self.url}/hub"
        self.oauth_url = f"{self.issuer}/api/rest/oauth2"
        self.authorization_url = f"{self.oauth_url}/auth"
        self.token_url = f"{self.oauth_url}/token"
        self.keys_url = f"{self.oauth_url}/keys"
        self.certificate = folder / "data" / "tls" / "certificate.pem"
        self.management = management
        text = CONFIGURATION.format(
            https=https,
            management=management,
            upstream=upstream.port,
            robot=SECRETS["robot"],
            app=SECRETS["app"],
            password=PASSWORD,
            limits=limits,
            drain=drain,
            listen=listen,
            workers=workers,
        ) + more
        (folder / "gateway.toml").write_text(text)
        (folder / "untrusted.secret").write_text(SECRETS["untrusted"] + "\n")
        self._output = (folder / "output").open("wb")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HUBGATE_")}
        self.process = subprocess.Popen(
            self.command(),
            cwd=folder,
            env=environment | {"TRACKER_SECRET": SECRETS["tracker"]},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self._wait()

    def command(self) -> list:
        return [binary(), "serve", "--config", "gateway.toml"]

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def get_management(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.management, timeout=15)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def _wait(self) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.output()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get_management("/readyz")[0] == 200:
                    return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the gateway was not ready after 30 s:\n{self.output()}")

    def stop(self) -> int:
        """Asks it to end and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self._output.close()
        return self.process.returncode


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    upstream = Upstream()
    try:
        running = Gateway(tmp_path_factory.mktemp("gateway"), upstream)
        yield running
        assert running.stop() == 0, running.output()
    finally:
        upstream.close()


@pytest.fixture
def upstream(gateway):
    """The upstream, with what earlier tests sent forgotten."""
    gateway.upstream.take()
    return gateway.upstream


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """Clients are told what to trust and whom to ask by the tests alone, not by the machine that these run on."""
    for name in list(os.environ):
        if name.upper() in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
