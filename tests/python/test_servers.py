"""In front of servers as Debian ships them (nginx, Apache, HAProxy, Caddy, Node) and behind curl, over HTTP/1.1 and HTTP/2 on both sides.

Each server has the files of one folder and hands `…/hash` and `…/events` on to Node; HAProxy, which has no files, hands on everything.
"""

import asyncio
import dataclasses
import hashlib
import json
import pathlib
import random
import re
import ssl
import subprocess
import time

import peers
import pytest
from conftest import Gateway, Upstream, free_ports
from test_client_credentials import token
from test_websocket import Talker
from websockets.asyncio.client import connect

UP, DOWN = 5 * 1024 * 1024, 20 * 1024 * 1024
TEXT = "squeeze me " * 1000


@dataclasses.dataclass
class Paths:
    """What the servers share."""

    files: pathlib.Path
    node: int
    talker: int


def node(folder, port, second, paths):
    return ["node", pathlib.Path(__file__).with_name("server.mjs"), port, second, paths.files]


def nginx(folder, port, second, paths):
    server = f"""
        root {paths.files};
        gzip on; gzip_types text/plain; gzip_min_length 1;
        client_max_body_size 64m;
        location ~ /(hash|events)$ {{
            proxy_pass http://127.0.0.1:{paths.node}; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off;
            proxy_request_buffering off;
        }}
        location ~ /talk$ {{
            proxy_pass http://127.0.0.1:{paths.talker}; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
        }}
"""
    return peers.nginx(folder, server, f"listen 127.0.0.1:{port}; listen 127.0.0.1:{second} http2;")


def apache(folder, port, second, paths):
    modules = {
        "mpm_event": "mpm_event", "authz_core": "authz_core", "mime": "mime", "deflate": "deflate", "filter": "filter", "dir": "dir",
        "proxy": "proxy", "proxy_http": "proxy_http", "proxy_wstunnel": "proxy_wstunnel", "http2": "http2",
    }  # fmt: skip
    where = next(path for path in (peers.PEERS / "usr/lib/apache2/modules", pathlib.Path("/usr/lib/apache2/modules")) if path.is_dir())
    loaded = "\n".join(f"LoadModule {name}_module {where}/mod_{file}.so" for name, file in modules.items())
    (folder / "mime.types").write_text("text/html html\ntext/plain txt\n")
    (folder / "apache.conf").write_text(f"""\
{loaded}
ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
TypesConfig {folder}/mime.types
Listen 127.0.0.1:{port}
Listen 127.0.0.1:{second}
Protocols h2c http/1.1
H2Direct on
DocumentRoot {paths.files}
FileETag MTime Size
AddOutputFilterByType DEFLATE text/plain
ProxyPassMatch "/(.*)/(hash|events)$" "http://127.0.0.1:{paths.node}/$1/$2" flushpackets=on
ProxyPassMatch "/(.*)/talk$" "ws://127.0.0.1:{paths.talker}/talk"
<Directory />
    Require all granted
    Options FollowSymLinks
</Directory>
""")
    return ["apache2", "-DFOREGROUND", "-f", folder / "apache.conf"]


def haproxy(folder, port, second, paths):
    (folder / "haproxy.cfg").write_text(f"""\
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
    compression algo gzip
    compression type text/plain application/json
frontend front
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{second} proto h2
    use_backend talk if {{ path_end /talk }}
    default_backend node
backend node
    server node 127.0.0.1:{paths.node}
backend talk
    server talk 127.0.0.1:{paths.talker}
""")
    return ["haproxy", "-db", "-f", folder / "haproxy.cfg"]


def caddy(folder, port, second, paths):
    site = f"""
    bind 127.0.0.1
    root * {paths.files}
    encode gzip
    @node path */hash */events
    @talk path */talk
    reverse_proxy @node 127.0.0.1:{paths.node} {{
        flush_interval -1
    }}
    reverse_proxy @talk 127.0.0.1:{paths.talker}
    file_server
"""
    (folder / "Caddyfile").write_text(f"""\
{{
    admin off
    auto_https off
    storage file_system {folder}/storage
    servers {{
        protocols h1 h2c
    }}
}}
http://:{port} {{{site}}}
http://:{second} {{{site}}}
""")
    return ["caddy", "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]


SERVERS = {"nginx": nginx, "apache": apache, "haproxy": haproxy, "caddy": caddy, "node": node}
PROGRAMS = {"apache": "apache2"}


class House:
    """The gateway in front of all that are there."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.running: dict[str, peers.Server] = {}
        self.ports: dict[tuple[str, str], int] = {}
        files = folder / "files"
        (files / "common").mkdir(parents=True)
        self.large = random.Random(1).randbytes(DOWN)
        (files / "common" / "large.bin").write_bytes(self.large)
        (files / "common" / "page.html").write_text("<h1>hello</h1>")
        (files / "common" / "text.txt").write_text(TEXT)
        (folder / "upload").write_bytes(self.large[:UP])
        self.talker, self.upstream = Talker(), Upstream()
        paths = Paths(files, 0, self.talker.port)
        routes = ""
        # Node first: the others hand things on to it.
        for name in ["node", *(name for name in SERVERS if name != "node")]:
            if not peers.program(PROGRAMS.get(name, name)):
                continue
            (second,) = free_ports(1)
            server = peers.Server(folder / name, lambda where, port, name=name, second=second: SERVERS[name](where, port, second, paths))
            self.running[name] = server
            if name == "node":
                paths.node = server.port
            for kind, scheme, port in (("1", "http", server.port), ("2", "h2c", second)):
                (files / f"{name}{kind}").symlink_to("common")
                routes += f'\n[[upstream]]\nservice = "tracker"\npath = "/{name}{kind}"\nto = ["{scheme}://127.0.0.1:{port}"]\n'
                self.ports[name, kind] = port
        self.gateway = Gateway(folder / "gateway", self.upstream, more=routes)
        self.token = token(self.gateway)

    def close(self) -> None:
        for each in (self.gateway, self.upstream, self.talker, *self.running.values()):
            (each.stop if isinstance(each, Gateway) else each.close)()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    (folder / "gateway").mkdir()
    made = House(folder)
    yield made
    made.close()


class Front:
    """One server behind the gateway, asked over one protocol."""

    def __init__(self, house: House, name: str, kind: str) -> None:
        if name not in house.running:
            pytest.skip(f"{name} is not there")
        self.house, self.name, self.kind = house, name, kind

    def url(self, path: str) -> str:
        return f"{self.house.gateway.url}/{self.name}{self.kind}/{path}"

    def curl(self, path: str, *arguments: str, bearer: str | None = None, stdin=subprocess.DEVNULL) -> tuple[int, dict[str, str], bytes]:
        """(status, fields, body); the body's own framing has been checked by curl."""
        heads = self.house.folder / "heads"
        command = [
            "curl", "--silent", "--show-error", "--cacert", str(self.house.gateway.certificate), "--http1.1" if self.kind == "1" else "--http2",
            "--dump-header", str(heads), "--header", f"Authorization: Bearer {bearer or self.house.token}", *arguments, self.url(path),
        ]  # fmt: skip
        done = subprocess.run(command, stdin=stdin, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        last = [head for head in heads.read_bytes().decode("latin-1").split("\r\n\r\n") if head][-1]
        line, *fields = last.split("\r\n")
        assert line.startswith("HTTP/1.1 " if self.kind == "1" else "HTTP/2 "), line
        return int(line.split()[1]), {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}, done.stdout


@pytest.fixture(params=[f"{name}-{kind}" for name in SERVERS for kind in ("1", "2")])
def front(request, house):
    """HTTP/1.1 or HTTP/2 on both sides of the gateway."""
    return Front(house, *request.param.split("-"))


def test_files_whole_in_part_and_not_again(front):
    status, fields, body = front.curl("page.html")
    assert (status, body) == (200, b"<h1>hello</h1>")
    status, head, body = front.curl("page.html", "--head")
    assert (status, body.split(b"\r\n\r\n")[-1]) == (200, b"")
    assert head.get("content-length") in ("14", None) and head.get("etag") == fields["etag"], (head, fields)
    status, again, body = front.curl("page.html", "--header", f"If-None-Match: {fields['etag']}")
    assert (status, body) == (304, b"")

    status, fields, body = front.curl("large.bin", "--range", "1000-1999")
    assert (status, body, fields["content-range"]) == (206, front.house.large[1000:2000], f"bytes 1000-1999/{DOWN}")
    status, _, _ = front.curl("large.bin", "--header", f"Range: bytes={DOWN}-{DOWN + 9}")
    assert status == 416


def test_twenty_mebibytes_come_down(front):
    status, fields, body = front.curl("large.bin")
    assert (status, fields["content-length"]) == (200, str(DOWN))
    assert hashlib.sha256(body).digest() == hashlib.sha256(front.house.large).digest()


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_five_mebibytes_of_unknown_length_go_up(front, expect):
    with (front.house.folder / "upload").open("rb") as upload:
        status, _, body = front.curl("hash", "--upload-file", "-", "--header", expect, stdin=upload)
    assert status == 200, body
    told = json.loads(body)
    assert (told["method"], told["length"], told["sha256"]) == ("PUT", UP, hashlib.sha256(front.house.large[:UP]).hexdigest())


def test_no_page_of_a_servers_own_is_replaced(front):
    status, fields, body = front.curl("missing.html")
    assert status == 404
    assert b"404" in body or body == b"" and front.name == "caddy"
    assert "application/problem" not in fields.get("content-type", "")
    # What the gate refuses does not reach it.
    status, fields, body = front.curl("page.html", bearer="nonsense")
    assert (status, json.loads(body)["error"]) == (401, "invalid_token")


def test_compressed_answers_stay_as_they_are(front):
    status, fields, body = front.curl("text.txt", "--compressed")
    assert (status, body.decode()) == (200, TEXT)
    assert fields["content-encoding"] == "gzip"


def test_identity_arrives_once(front):
    status, _, body = front.curl("hash", "--header", "X-Forwarded-Client: forged", "--header", "X_Forwarded_Client: forged")
    if status == 400:
        return
    told = json.loads(body)["headers"]
    assert told["x-forwarded-client"] == "robot"
    assert "forged" not in json.dumps(told)
    assert told["authorization"] != f"Bearer {front.house.token}", "the upstream's token is its own"


def connections_to(port: int) -> int:
    """How many connections to this port there are or were, closed ones of the last minute included."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    remote = [line.split()[2] for line in lines]
    return sum(each.endswith(f":{port:04X}") for each in remote)


def test_connections_are_kept(front):
    """Thirty requests of one client need one connection of its own, and hardly more to the server."""
    before = connections_to(front.house.ports[front.name, front.kind])
    urls = [front.url(f"page.html?{number}") for number in range(30)]
    command = [
        "curl", "--silent", "--show-error", "--cacert", str(front.house.gateway.certificate), "--http1.1" if front.kind == "1" else "--http2",
        "--header", f"Authorization: Bearer {front.house.token}", "--write-out", "\n%{http_code} %{num_connects}\n", *urls,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = re.findall(r"^([0-9]{3}) ([0-9]+)$", done.stdout, re.MULTILINE)
    assert [status for status, _ in told] == ["200"] * 30, done.stderr
    assert sum(int(count) for _, count in told) == 1
    assert connections_to(front.house.ports[front.name, front.kind]) - before <= 3


def test_events_come_one_by_one(front):
    """The first is there long before the answer's end, which never comes."""
    command = [
        "curl", "--silent", "--no-buffer", "--max-time", "10", "--cacert", str(front.house.gateway.certificate),
        "--http1.1" if front.kind == "1" else "--http2", "--header", f"Authorization: Bearer {front.house.token}", front.url("events"),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        began = time.monotonic()
        arrived = []
        for line in curl.stdout:
            if line.startswith(b"data:"):
                arrived.append((line.strip(), time.monotonic() - began))
            if len(arrived) == 4:
                break
        curl.kill()
    assert [line for line, _ in arrived] == [b"data: event %d" % number for number in range(4)]
    assert arrived[0][1] < 5
    assert 0.3 < arrived[3][1] - arrived[0][1] < 5, "one every fifth of a second, none held back"


@pytest.mark.parametrize("name", [name for name in SERVERS if name != "node"])
def test_websockets_through_another_proxy(house, name):
    front = Front(house, name, "1")

    async def talk() -> None:
        context = ssl.create_default_context(cafile=house.gateway.certificate)
        url = front.url("talk").replace("https", "wss")
        async with connect(url, ssl=context, additional_headers={"Authorization": f"Bearer {house.token}"}, proxy=None, subprotocols=["chat"]) as socket:
            for message in ["hello", bytes(range(256)) * 1000]:
                await socket.send(message)
                assert await asyncio.wait_for(socket.recv(), 10) == message

    asyncio.run(talk())


# --- other people's load ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_h2load_gets_every_answer(house, protocol):
    front = Front(house, "node", "1")
    done = peers.run(
        "h2load", "-n", 3000, "-c", 16, "-m", 8, f"--npn-list={protocol}", "-H", f"authorization: Bearer {house.token}", front.url("page.html"), timeout=120
    )
    assert "3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout + done.stderr
    assert "status codes: 3000 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout, done.stdout
    assert f"Application protocol: {protocol}" in done.stdout


def test_wrk_gets_every_answer(house):
    front = Front(house, "node", "1")
    done = peers.run("wrk", "-t", 1, "-c", 16, "-d", "2s", "-H", f"Authorization: Bearer {house.token}", front.url("page.html"), timeout=60)
    requests = re.search(r"(\d+) requests in", done.stdout)
    assert done.returncode == 0 and requests and int(requests[1]) > 100, done.stdout + done.stderr
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
