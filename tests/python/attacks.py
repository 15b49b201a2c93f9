"""The tables of attacks (threats A1 to A3) against any proxy: the same bytes, and an upstream that records what comes of them.

The tests in Rust leave their tables in target/tmp/attacks; here they are sent to hubgate, nginx and HAProxy. `python tests/python/attacks.py`
writes what each makes of them as it stands in docs/attacks.md.

A case comes out in one of three ways:

    same      as the table wants it from hubgate
    other     differently, and nobody is the worse for it: refused in other words, or repaired and then forwarded as one clear request
    through   what the table stops went on: a path that a server may read as a protected one, two framings, a forged identity
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import pathlib
import re
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import urllib.parse

import hpack
import peers
from conftest import ROOT, Gateway
from conftest import Upstream as Nobody

TABLES = ROOT / "target" / "tmp" / "attacks"
CANARY = b"GET /public/canary HTTP/1.1\r\nHost: localhost\r\n\r\n"
SAME, OTHER, THROUGH = "same", "other", "through"
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def tables() -> dict[str, list[dict]]:
    files = sorted(TABLES.glob("*.jsonl"))
    assert files, "no tables in target/tmp/attacks: run the Rust tests first, they leave them there"
    return {file.stem: [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line] for file in files}


# --- the upstream -----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Seen:
    """A request as it came."""

    head: bytes
    connection: int
    body: bytes = b""
    complete: bool = False
    broken: str | None = None

    @property
    def target(self) -> str:
        return (self.head.split(b"\r\n")[0].split(b" ") + [b""])[1].decode("latin-1")

    def fields(self) -> list[tuple[str, str]]:
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        return [(name.lower(), value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]

    def violation(self) -> str | None:
        """What is wrong with it by the rules for every request that a proxy sends."""
        if self.broken:
            return self.broken
        line, *fields = self.head[:-4].split(b"\r\n")
        parts = line.split(b" ")
        if len(parts) != 3 or not TOKEN.fullmatch(parts[0]) or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            return f"request line {line!r}"
        names = []
        for field in fields:
            name, colon, value = field.partition(b":")
            if not colon or not TOKEN.fullmatch(name):
                return f"field {field!r}"
            # What RFC 9110, 5.5 calls dangerous; other control characters it lets pass with a warning.
            if any(byte in value for byte in b"\r\n\0"):
                return f"value {field!r}"
            names.append(name.lower())
        if names.count(b"host") > 1:
            return "more than one Host"
        if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
            return "more than one framing"
        return None


class Recorder:
    """Describes each request to its sender, or answers as it is told."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.scripted: tuple[bytes, str] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self) -> list[Seen]:
        taken, self.seen = self.seen, []
        return taken

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self._count += 1
                threading.Thread(target=self._serve, args=(peer, self._count), daemon=True).start()

    def _serve(self, peer: socket.socket, number: int) -> None:
        peer.settimeout(60)
        reader = peer.makefile("rb")
        with contextlib.suppress(OSError), peer:
            while self._exchange(peer, reader, number):
                pass

    def _exchange(self, peer, reader, number) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline(1 << 20)
            if not line:
                if head:
                    self.seen.append(Seen(head, number, broken="bytes that are no request"))
                return False
            head += line
        seen = Seen(head, number)
        self.seen.append(seen)
        fields = seen.fields()
        lengths = [value for name, value in fields if name == "content-length"]
        codings = [value.lower() for name, value in fields if name == "transfer-encoding"]
        if codings:
            seen.complete = self._chunks(reader, seen)
        elif lengths:
            if not re.fullmatch("[0-9]{1,19}", lengths[0]) or int(lengths[0]) >= 2**63:
                seen.broken = f"length {lengths[0]!r}"
                return False
            left = int(lengths[0])
            while left and (piece := reader.read1(min(left, 65536))):
                seen.body += piece
                left -= len(piece)
            seen.complete = not left
        else:
            seen.complete = True
        if not seen.complete:
            return False
        if self.scripted and "innocent" not in seen.target:
            answer, end = self.scripted
            peer.sendall(answer)
            if end == "reset":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return end == "open"
        body = json.dumps({"target": seen.target, "body": seen.body.decode("latin-1")}).encode()
        if head.startswith(b"HEAD"):
            body = b""
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    def _chunks(self, reader, seen) -> bool:
        while True:
            line = reader.readline(1 << 20)
            if not line.endswith(b"\n"):
                return False
            if not re.fullmatch(rb"[0-9A-Fa-f]+\r\n", line):
                seen.broken = f"chunk size {line[:40]!r}"
                return False
            size = int(line, 16)
            if size == 0:
                while (line := reader.readline(1 << 20)) not in (b"\r\n", b""):
                    pass
                return line == b"\r\n"
            seen.body += reader.read(size)
            if (end := reader.read(2)) != b"\r\n":
                seen.broken = "a chunk without its end" if end else None
                return False


# --- the client -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Answer:
    status: int
    fields: list[tuple[str, str]]
    body: bytes
    complete: bool
    head: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)


class Line:
    """One connection that sends bytes as they are given."""

    def __init__(self, proxy) -> None:
        self._socket = proxy.connect("http/1.1")
        self._buffer = b""
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def _fill(self, patience: float) -> bool:
        if self.closed:
            return False
        self._socket.settimeout(patience)
        try:
            piece = self._socket.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            piece = b""
        self.closed = not piece
        self._buffer += piece
        return bool(piece)

    def ends(self, patience: float) -> bool:
        """Whether the connection ends without another word."""
        while self._fill(patience):
            pass
        return self.closed and not self._buffer

    def answer(self, method: str = "GET", patience: float = 3.0) -> Answer | None:
        while True:
            while b"\r\n\r\n" not in self._buffer:
                if not self._fill(patience):
                    return None
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            if not re.match(r"HTTP/1\.[01] [0-9]{3}", line):
                return Answer(0, [], self._buffer, False, head)
            status = int(line[9:12])
            if status >= 200 or status == 101:
                break
        fields = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
        answer = Answer(status, fields, b"", True, head)
        if method == "HEAD" or status in (204, 304):
            return answer
        if answer.header("transfer-encoding"):
            answer.complete = self._chunked(answer, patience)
        elif (length := answer.header("content-length")) is not None:
            while len(self._buffer) < int(length) and self._fill(patience):
                pass
            answer.body, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
            answer.complete = len(answer.body) == int(length)
        else:
            while self._fill(patience):
                pass
            answer.body, self._buffer, answer.complete = self._buffer, b"", self.closed
        return answer

    def _chunked(self, answer: Answer, patience: float) -> bool:
        while True:
            while b"\r\n" not in self._buffer:
                if not self._fill(patience):
                    return False
            line, _, rest = self._buffer.partition(b"\r\n")
            if not re.fullmatch(rb"[0-9A-Fa-f]+ *", line):
                return False
            size = int(line, 16)
            while len(rest) < size + 2:
                if not self._fill(patience):
                    return False
                rest = self._buffer.partition(b"\r\n")[2]
            answer.body += rest[:size]
            self._buffer = rest[size + 2 :] if size else rest
            if size == 0:
                trailer = None
                while trailer != b"":
                    while b"\r\n" not in self._buffer:
                        if not self._fill(patience):
                            return False
                    trailer, _, self._buffer = self._buffer.partition(b"\r\n")
                return True


def over_http2(proxy, fields: list[list[str]]) -> tuple[int | None, bool]:
    """(status, whether the stream or the connection was refused) of a request with exactly these fields."""
    block = b"".join(literal(name.encode("latin-1")) + literal(value.encode("latin-1"))[1:] for name, value in fields)
    with proxy.connect("h2") as peer:
        peer.settimeout(3)
        hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"\0\1\0\0\0\0")
        with contextlib.suppress(OSError):
            peer.sendall(hello + frame(1, 5, 1, block))
        decoder, reader = hpack.Decoder(), peer.makefile("rb")
        with contextlib.suppress(OSError):
            while len(head := reader.read(9)) == 9:
                length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
                payload, stream = reader.read(length), int.from_bytes(head[5:]) & 0x7FFFFFFF
                if kind == 4 and not flags & 1:
                    peer.sendall(frame(4, 1, 0, b""))
                elif kind == 1 and stream == 1:
                    if flags & 8:
                        payload = payload[1 : len(payload) - payload[0]]
                    status = int(dict(decoder.decode(payload))[":status"])
                    if status >= 200:
                        return status, False
                elif kind == 3 and stream == 1 or kind == 7 and int.from_bytes(payload[4:8]):
                    return None, True
        return None, True


def literal(text: bytes) -> bytes:
    """A string of a header block behind the mark of a literal field with a new name (RFC 7541, 6.2.2)."""
    assert len(text) < 127 + 128
    length = bytes([len(text)]) if len(text) < 127 else bytes([127, len(text) - 127])
    return b"\0" + length + text


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


# --- the proxies ------------------------------------------------------------------------------------------------


class Proxy:
    """Something in front of a recorder, with `/public` open, `/api` and `/admin` closed and nothing else there."""

    prefix = "/public"
    credentials: dict[str, str] = {}
    at_once = 16
    # How long it may say nothing before it has nothing to say. Peers wait for what never comes in many cases.
    patience = 0.8

    def __init__(self, name: str) -> None:
        self.name = name
        self.upstream = Recorder()

    def connect(self, alpn: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[alpn]), 5)

    def set_headers(self, spoken: list[str]) -> list[str]:
        """Which of the names it speaks to its upstream."""
        return spoken

    def close(self) -> None:
        self.server.close()
        self.upstream.close()


# Those that the table of forged names has; both peers are told to set each of them, as they would for a backend that believes them.
SPOKEN = [
    "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Client",
    "X-Forwarded-Scope", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id",
]  # fmt: skip


class Nginx(Proxy):
    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__("nginx")
        (second,) = peers.free_ports(1)

        def write(folder, port):
            self.ports = {"http/1.1": port, "h2": second}
            told = "\n".join(f"        proxy_set_header {name} told;" for name in SPOKEN)
            forward = f"proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Host $host;\n{told}\n        proxy_set_header Connection '';"
            server = f"""
        location = /public {{ {forward} }}
        location /public/ {{ {forward} }}
        location = /api {{ return 401; }}
        location /api/ {{ return 401; }}
        location = /admin {{ return 401; }}
        location /admin/ {{ return 401; }}
        location / {{ return 404; }}
    }}
    upstream backend {{
        server 127.0.0.1:{self.upstream.port};
        keepalive 8;
"""
            return peers.nginx(folder, server, f"listen 127.0.0.1:{port}; listen 127.0.0.1:{second} http2;")

        self.server = peers.Server(folder, write)


class Haproxy(Proxy):
    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__("HAProxy")
        (second,) = peers.free_ports(1)

        def write(folder, port):
            self.ports = {"http/1.1": port, "h2": second}
            told = "\n".join(f"    http-request set-header {name} told" for name in SPOKEN)
            (folder / "haproxy.cfg").write_text(f"""\
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    http-reuse always
frontend control
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{second} proto h2
    acl public path /public
    acl public path_beg /public/
    acl closed path /api /admin
    acl closed path_beg /api/ /admin/
    http-request return status 401 if closed
    http-request return status 404 unless public
{told}
    default_backend control
backend control
    server recorder 127.0.0.1:{self.upstream.port}
""")
            return ["haproxy", "-db", "-f", folder / "haproxy.cfg"]

        self.server = peers.Server(folder, write)


ROUTES = """
[[upstream]]
service = "tracker"
path = "/public"
to = ["http://127.0.0.1:{port}"]

  [[upstream.rule]]
  path = "/public/**"
  access = "public"

[[upstream]]
service = "app"
path = "/api"
to = ["http://127.0.0.1:{port}"]

[[upstream]]
service = "untrusted"
path = "/admin"
to = ["http://127.0.0.1:{port}"]
"""


class Hubgate(Proxy):
    """Where identity is spoken: on a closed route, with a token."""

    prefix = "/api"
    # A debug build makes keys and a database at each start.
    at_once = 2
    patience = 5.0

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__("hubgate")
        folder.mkdir(parents=True)
        self._nobody = Nobody()
        self.server = Gateway(folder, self._nobody, more=ROUTES.format(port=self.upstream.port))
        from test_client_credentials import token

        self.credentials = {"Authorization": f"Bearer {token(self.server, 'app')}"}

    def connect(self, alpn: str) -> socket.socket:
        context = ssl.create_default_context(cafile=self.server.certificate)
        context.set_alpn_protocols([alpn])
        port = int(self.server.url.rsplit(":", 1)[1])
        return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname="localhost")

    def set_headers(self, spoken):
        """A service acts for itself: it has no user."""
        return ["X-Forwarded-Client", "X-Forwarded-Scope", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id"]

    def close(self) -> None:
        self.server.stop()
        self._nobody.close()
        self.upstream.close()


PROXIES = {"hubgate": Hubgate, "nginx": Nginx, "haproxy": Haproxy}


# --- judging ----------------------------------------------------------------------------------------------------


def wanted(case: dict) -> tuple[str, str]:
    """`Forwarded("hello")` as ("Forwarded", "hello")."""
    name, _, rest = case["want"].partition("(")
    return name, json.loads(rest[:-1]) if rest else ""


def lenient(target: str) -> str:
    """The path as the most obliging of servers might read it."""
    path = target.split("?")[0].split("#")[0]
    for _ in range(3):
        path = urllib.parse.unquote(path, encoding="latin-1")
    path = re.sub(";[^/]*", "", path.replace("\\", "/").replace("À®", ".").replace("À¯", "/"))
    parts: list[str] = []
    for part in path.split("\0")[0].split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def is_public(target: str) -> bool:
    return re.fullmatch("/public(/.*)?", lenient(target), re.DOTALL) is not None


def path_case(proxy: Proxy, case: dict) -> str:
    want, target = wanted(case)
    with Line(proxy) as line:
        line.send(b"GET " + case["target"].encode("latin-1") + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = line.answer()
    seen = proxy.upstream.take()
    status = answer.status if answer else None
    if seen:
        good = want in ("Forwarded", "BadOrForwarded") and status == 200
        if good and [each.target for each in seen] == [target]:
            return SAME
        return OTHER if all(each.violation() is None and is_public(each.target) for each in seen) else THROUGH
    right = {
        "Bad": [400], "BadOrForwarded": [400], "BadOrNoRoute": [400, 404], "BadOrUnauthorized": [400, 401],
        "Unauthorized": [401], "NoRoute": [404],
    }  # fmt: skip
    return SAME if status in right.get(want, []) else OTHER


def framing_case(proxy: Proxy, case: dict) -> str:
    want, body = wanted(case)
    data = case["bytes"].encode("latin-1")
    with Line(proxy) as line:
        line.send(data + CANARY)
        first = line.answer("POST", patience=proxy.patience)
        second = line.answer(patience=0.5) if first else None
        ended = line.ends(0.3) if not second else False
    seen = proxy.upstream.take()
    clear = all(each.violation() is None for each in seen)
    ours = [each for each in seen if each.complete]
    served = [each.target for each in ours]
    body_seen = ours[0].body.decode("latin-1") if ours else ""
    status = first.status if first else None
    if want in ("Forwarded", "RefusedOrForwarded") and clear and served in (["/public/attack"], ["/public/attack", "/public/canary"]) and body_seen == body:
        return SAME
    refused = status is None or status >= 400
    if want != "Forwarded" and refused and clear:
        canary_only = served == ["/public/canary"] and want == "Rejected" and second is not None
        nothing = not ours if want == "Cut" else not seen
        if (nothing and (ended or want == "Rejected")) or canary_only:
            return SAME
    # One clear request of those that were sent, whatever its body; the canary is one of them, and no part of a body.
    harmless = clear and served in ([], ["/public/attack"], ["/public/canary"], ["/public/attack", "/public/canary"])
    return OTHER if harmless and b"canary" not in b"".join(each.body for each in ours) else THROUGH


def fields_case(proxy: Proxy, case: dict) -> str:
    status, refused = over_http2(proxy, case["fields"])
    seen = proxy.upstream.take()
    if not seen:
        return SAME if refused or status is not None and 400 <= status < 500 else OTHER
    authority = [value for name, value in case["fields"] if name == ":authority"]
    clear = all(each.violation() is None and is_public(each.target) for each in seen)
    forged = any("forged" in value for each in seen for name, value in each.fields() if name.startswith("x-forwarded"))
    # The authority is the host, whatever `host` says (RFC 9113, 8.3.1).
    overruled = any(name == "host" and authority and value not in authority for each in seen for name, value in each.fields())
    return OTHER if clear and not forged and not overruled else THROUGH


def answer_case(proxy: Proxy, case: dict, method: str = "GET") -> str:
    want, body = wanted(case)
    proxy.upstream.scripted = case["reply"].encode("latin-1"), case["end"]
    try:
        with Line(proxy) as line:
            line.send(f"{method} /public/attack HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            first = line.answer(method, patience=proxy.patience)
            used = {each.connection for each in proxy.upstream.take()}
            line.send(b"GET /public/innocent HTTP/1.1\r\nHost: localhost\r\n\r\n")
            following = line.answer(patience=proxy.patience)
    finally:
        proxy.upstream.scripted = None
    again = {each.connection for each in proxy.upstream.take()} & used
    if following and (following.status != 200 or b"/public/innocent" not in following.body):
        return THROUGH
    if first and (b"\r" in first.head.replace(b"\r\n", b"") or b"\0" in first.head or first.head.count(b"\n") != first.head.count(b"\r\n")):
        return THROUGH
    bad = first is not None and first.status == 502
    whole = first is not None and first.complete and first.status < 400
    if want == "BadGateway":
        # An answer that was repaired is another answer; one that is not what was sent is no answer.
        return SAME if bad else OTHER if first is None or not first.complete or first.body in (b"ok", b"ok!") else THROUGH
    if want == "Broken":
        if bad or not whole:
            return SAME
        # What was cut must not be shown as whole; what has its last chunk was only read with indulgence.
        return OTHER if case["end"] == "open" and "\n0\r\n" in case["reply"] else THROUGH
    right = whole and first.body.decode("latin-1") == body
    if want == "Whole":
        return SAME if right else OTHER
    return SAME if (bad or right) and not again else THROUGH if whole and not right else OTHER


def told(seen: Seen, name: str) -> list[str]:
    """The values of all fields that some server takes for this one."""
    fold = lambda text: re.sub("[_.]", "-", text.lower())
    return [value for key, value in seen.fields() if fold(key) == fold(name)]


def identity_case(proxy: Proxy, case: dict) -> str:
    target = f"{proxy.prefix}/attack"
    lines = [f"GET {target} HTTP/1.1", "Host: localhost"] + [f"{name}: {value}" for name, value in proxy.credentials.items()]
    if "forged" in case:
        lines.append(f"{case['forged']}: forged")
    lines += [f"Connection: {option}" for option in case.get("options", [])]
    with Line(proxy) as line:
        line.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        answer = line.answer()
    seen = proxy.upstream.take()
    if not seen:
        return SAME if answer and answer.status == 400 else OTHER
    for name in proxy.set_headers(case["spoken"]):
        values = told(seen[0], name)
        if len(values) != 1 or "forged" in values[0]:
            return THROUGH
    believed = any("forged" in value for name in case["spoken"] for value in told(seen[0], name))
    anywhere = b"forged" in seen[0].head.lower().replace(b"x-forged", b"")
    return THROUGH if believed else OTHER if anywhere else SAME


def judged(proxy: Proxy, case: dict) -> str:
    if "target" in case:
        return path_case(proxy, case)
    if "bytes" in case:
        return framing_case(proxy, case)
    if "fields" in case:
        return fields_case(proxy, case)
    if "reply" in case:
        # HEAD has a table of the same form.
        return answer_case(proxy, case, case.get("method", "GET"))
    return identity_case(proxy, case)


def label(case: dict) -> str:
    if "target" in case:
        return f"{case['name']} {case['target']}"
    return case["name"] if isinstance(case["name"], str) else ", ".join(case["name"])


Results = dict[str, list[tuple[dict, str]]]


def whole_table(proxy: Proxy, table: str, cases: list[dict]) -> list[tuple[dict, str]]:
    """Every case in turn; an innocent request after them is answered."""
    results = [(case, judged(proxy, case)) for case in cases]
    with Line(proxy) as line:
        line.send(b"GET /public/innocent HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = line.answer()
        assert answer and answer.status == 200 and b"/public/innocent" in answer.body, f"{proxy.name} after {table}: {answer}"
    proxy.upstream.take()
    return results


def control(kind: type[Proxy], folder: pathlib.Path) -> Results:
    """All tables, each in front of a proxy of its own: what goes unanswered takes time, and they need not wait for each other."""

    def run(item: tuple[str, list[dict]]) -> list[tuple[dict, str]]:
        proxy = kind(folder / item[0])
        try:
            return whole_table(proxy, *item)
        finally:
            proxy.close()

    with concurrent.futures.ThreadPoolExecutor(kind.at_once) as pool:
        return dict(zip(tables(), pool.map(run, tables().items()), strict=True))


def report() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, kind in PROXIES.items():
            began = time.monotonic()
            found[name] = control(kind, pathlib.Path(folder) / name)
            print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    print("| table | cases | " + " | ".join(f"{name}: same / other / through" for name in found) + " |")
    print("| --- | ---: |" + " --- |" * len(found))
    for table, cases in next(iter(found.values())).items():
        counts = [[verdict for _, verdict in results[table]] for results in found.values()]
        columns = [" / ".join(str(each.count(kind)) for kind in (SAME, OTHER, THROUGH)) for each in counts]
        print(f"| `{table}` | {len(cases)} | {' | '.join(columns)} |")
    for verdict in (THROUGH, OTHER):
        for name, results in found.items():
            print(f"\n{verdict}, {name}:")
            for table, cases in results.items():
                named = [label(case) for case, how in cases if how == verdict]
                if named:
                    print(f"- `{table}`: " + "; ".join(f"`{each!r}`" for each in named))


if __name__ == "__main__":
    report()
