"""systemd's own tools: a socket that systemd-socket-activate opens and hands over, and the units that the documentation shows."""

import re
import socket
import ssl
import subprocess
import time
import urllib.parse

import pytest
from conftest import ROOT, Gateway, Upstream, binary
from peers import environment, program

ACTIVATE = program("systemd-socket-activate")
ANALYZE = program("systemd-analyze")

HEADER = b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 443\r\n"
BEHIND_PROXY = 'proxy_protocol = true\ntrusted_proxies = ["127.0.0.1"]'


class Activated(Gateway):
    """A gateway whose socket is opened by systemd-socket-activate, which starts it when somebody connects."""

    header = b""

    def command(self) -> list:
        self.port = urllib.parse.urlsplit(self.url).port
        # Nothing of the environment goes on but what is named.
        ours = [ACTIVATE, f"--listen=127.0.0.1:{self.port}", "--fdname=https", "--setenv=TRACKER_SECRET"]
        return [*ours, *super().command()]

    def _wait(self) -> None:
        # It is this first connection for which it is started, and it waits in the queue until then.
        self.first = self.ask("/tracker/static/first")
        super()._wait()

    def ask(self, path: str) -> bytes:
        end = time.monotonic() + 30
        while True:
            try:
                plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < end, self.output()
                time.sleep(0.05)
        plain.sendall(self.header)
        # The first one connects before there is a certificate that it could know.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := secure.recv(65536):
                answer += piece
        return answer


class ActivatedBehindProxy(Activated):
    header = HEADER


@pytest.mark.skipif(not ACTIVATE, reason="systemd-socket-activate is not there")
@pytest.mark.parametrize(
    ("kind", "listen", "source"),
    [(Activated, "", "127.0.0.1"), (ActivatedBehindProxy, BEHIND_PROXY, "203.0.113.9")],
    ids=["plain", "behind a proxy"],
)
def test_a_socket_of_systemd_is_served(tmp_path, kind, listen, source):
    upstream = Upstream()
    try:
        gateway = kind(tmp_path, upstream, listen=listen)
        try:
            assert gateway.first.startswith(b"HTTP/1.1 200 "), gateway.first
            assert gateway.first.endswith(b"answered by the upstream")
            seen = upstream.one()
            assert (seen.target, seen.header("x-forwarded-for")) == ("/tracker/static/first", source)
            assert gateway.ask("/tracker/x").startswith(b"HTTP/1.1 401 ")
            assert upstream.take() == []
        finally:
            code = gateway.stop()
        assert code == 0, gateway.output()
    finally:
        upstream.close()


@pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not there")
def test_the_units_that_the_documentation_shows_are_valid(tmp_path):
    text = (ROOT / "docs/operation.md").read_text()
    units = dict(re.findall(r"```ini\n# /etc/systemd/system/([\w.@-]+)\n(.*?)```", text, re.DOTALL))
    assert set(units) == {"hubgate.socket", "hubgate.service"}
    for name, unit in units.items():
        (tmp_path / name).write_text(unit.replace("/usr/bin/hubgate ", f"{binary()} "))

    def verify() -> str:
        files = [tmp_path / name for name in units]
        command = [ANALYZE, "verify", "--man=no", *files]
        ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=60)
        # What it says of other units of this machine is not ours.
        return "\n".join(line for line in (ran.stdout + ran.stderr).splitlines() if "hubgate" in line)

    assert verify() == ""
    # It is this file that it looks at.
    service = tmp_path / "hubgate.service"
    service.write_text(service.read_text().replace("Type=", "Type=nonsense-"))
    assert "nonsense" in verify()
