"""HAProxy in front, which carries the bytes of TLS and says by the PROXY protocol whose they are."""

import pathlib
import re
import subprocess
import time

import peers
import pytest
import requests
from conftest import SECRETS, Gateway, Upstream, free_ports
from requests.adapters import HTTPAdapter

LISTEN = 'proxy_protocol = true\ntrusted_proxies = ["127.0.0.1"]'
HAPROXY = """
global
  maxconn 100
defaults
  mode tcp
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend version1
  bind 127.0.0.1:{v1}
  default_backend version1
backend version1
  server gateway 127.0.0.1:{gateway} send-proxy check check-send-proxy inter 200ms fall 100
frontend version2
  bind 127.0.0.1:{v2}
  default_backend version2
backend version2
  server gateway 127.0.0.1:{gateway} send-proxy-v2 proxy-v2-options crc32c,unique-id check check-send-proxy inter 200ms fall 100
frontend silent
  bind 127.0.0.1:{silent}
  default_backend silent
backend silent
  server gateway 127.0.0.1:{gateway}
"""


class From(HTTPAdapter):
    """Connects from this address of the machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments, **keywords) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **keywords)


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("haproxy")
    program = peers.program("haproxy")
    if program is None:
        pytest.skip("there is no haproxy: scripts/test unpacks it into .cache/peers")
    upstream = Upstream()
    gateway = Gateway(folder, upstream, listen=LISTEN)
    v1, v2, silent = free_ports(3)
    ports = {"v1": v1, "v2": v2, "silent": silent}
    port = gateway.url.rsplit(":", 1)[1]
    (folder / "haproxy.cfg").write_text(HAPROXY.format(gateway=port, **ports))
    command = [program, "-f", "haproxy.cfg"]
    haproxy = subprocess.Popen(command, cwd=folder, env=peers.environment(), stdin=subprocess.DEVNULL)
    try:
        yield gateway, ports
        assert haproxy.poll() is None
    finally:
        haproxy.terminate()
        haproxy.wait(10)
        gateway.stop()
        upstream.close()


def get(port: int, path: str, certificate: pathlib.Path, address: str = "127.0.0.1", **keywords) -> requests.Response:
    with requests.Session() as session:
        session.mount("https://", From(address))
        url = f"https://localhost:{port}{path}"
        end = time.monotonic() + 30
        while True:
            try:
                return session.get(url, verify=certificate, timeout=30, **keywords)
            except requests.ConnectionError:
                # HAProxy may not listen yet.
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_client_of_haproxy_is_the_client(carried, version):
    gateway, ports = carried
    for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        gateway.upstream.take()
        forged = {"X-Forwarded-For": "198.51.100.1"}
        answer = get(ports[version], "/tracker/static/x", gateway.certificate, address, headers=forged)
        assert answer.status_code == 200, answer.text
        told = gateway.upstream.one().header("x-forwarded-for")
        # From the address of a trusted proxy it is such a one that speaks, carried or not.
        assert told == ("198.51.100.1, 127.0.0.1" if address == "127.0.0.1" else address)


def test_a_token_is_obtained_through_haproxy(carried):
    gateway, ports = carried
    form = {"grant_type": "client_credentials", "scope": "tracker"}
    answer = requests.post(
        f"https://localhost:{ports['v2']}/hub/api/rest/oauth2/token",
        data=form,
        auth=("robot", SECRETS["robot"]),
        verify=gateway.certificate,
        timeout=30,
    )
    assert answer.status_code == 200, answer.text


def test_who_sends_no_header_is_not_served(carried):
    gateway, ports = carried
    refused = lambda: int(re.search(r'connections_refused_total{cause="proxy_header"} (\d+)', metrics(gateway))[1])
    # HAProxy's own checks, which have said that they are its own and no client's, are none of these.
    get(ports["v2"], "/tracker/static/x", gateway.certificate)
    time.sleep(1)
    assert refused() == 0
    direct = int(gateway.url.rsplit(":", 1)[1])
    for count, port in enumerate((ports["silent"], direct), start=1):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"https://localhost:{port}/tracker/static/x", verify=gateway.certificate, timeout=30)
        assert refused() == count


def metrics(gateway: Gateway) -> str:
    return gateway.get_management("/metrics")[1]
