"""The rows: how each proxy is configured and started. Every one runs with one worker on one core."""

import base64
import json
import os
import pwd
import secrets
import shutil
import urllib.parse

from . import load
from .credentials import Jwt, token_map
from .process import Failed, free_port, wait_for_port

ATTEMPTS = 3


class Row:
    """A proxy that can be started; `checks` says in words what it does with a token, or is None."""

    checks = None

    def __init__(self, name):
        self.name = name
        self.port = None
        self.process = None

    def start(self, bench):
        """Another process may take the free port first: then once more with another."""
        directory = bench.work / self.name
        for attempt in range(1, ATTEMPTS + 1):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            directory.chmod(0o755)
            self.port = free_port()
            argv, log = self.command(bench, directory), directory / "output"
            self.process = bench.processes.start(argv, bench.proxy_core, log)
            try:
                wait_for_port(self.process, self.port, log)
                return
            except Failed:
                bench.processes.stop(self.process)
                if attempt == ATTEMPTS or "in use" not in log.read_text(errors="replace"):
                    raise

    def command(self, bench, directory):
        """Writes what the proxy needs into the directory and returns its command line."""
        raise NotImplementedError

    def token(self, _bench):
        return None


class Nginx(Row):
    """Plain, or with an access log."""

    def __init__(self, name, log=False):
        super().__init__(name)
        self.log = log

    def command(self, bench, directory):
        log = f"{directory}/access.log combined buffer=64k flush=1s" if self.log else "off"
        temporary = "\n".join(
            f"    {kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # keepalive_requests: its default closes a connection after 1000, a hidden handshake for HTTP/2.
        (directory / "nginx.conf").write_text(f"""\
user {pwd.getpwuid(os.getuid()).pw_name};
worker_processes 1;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
{temporary}
    access_log {log};
    keepalive_requests 1000000000;
    ssl_certificate {bench.certificate};
    ssl_certificate_key {bench.key};
    ssl_protocols TLSv1.3;
    upstream backend {{
        server 127.0.0.1:{bench.upstream_port};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{self.port} ssl http2;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
""")
        return ["nginx", "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log"), "-g", "daemon off;"]


class Haproxy(Row):
    """Plain; subclasses add rules."""

    def rules(self, _directory):
        return ""

    def command(self, bench, directory):
        (directory / "haproxy.cfg").write_text(f"""\
global
    nbthread 1
    maxconn 4096
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend bench
    bind 127.0.0.1:{self.port} ssl crt {bench.both} alpn h2,http/1.1
{self.rules(directory)}
    default_backend backend
backend backend
    server upstream 127.0.0.1:{bench.upstream_port}
""")
        return ["haproxy", "-db", "-f", str(directory / "haproxy.cfg")]


class HaproxyJwt(Haproxy):
    """The signature alone; a gateway must also look at exp and aud, which would cost it more."""

    def __init__(self, algorithm):
        super().__init__(f"haproxy-{algorithm.lower()}")
        self.algorithm = algorithm
        self.checks = f"{algorithm} signature"
        self.jwt = None

    def rules(self, directory):
        self.jwt = Jwt(self.algorithm, directory)
        key = self.jwt.secret if self.algorithm == "HS256" else self.jwt.public
        return f"""\
    http-request set-var(txn.bearer) http_auth_bearer
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_header_query('$.alg') -m str {self.algorithm} }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify("{self.algorithm}","{key}") -m int 1 }}"""

    def token(self, _bench):
        return self.jwt.token


class HaproxyMap(Haproxy):
    """The closest rival: a look-up of the token's hash in a local map."""

    checks = "map of SHA-256"

    def rules(self, directory):
        self.opaque = token_map(directory / "tokens.map")
        return f"""\
    http-request set-var(txn.client) http_auth_bearer,sha2(256),hex,map_str({directory}/tokens.map)
    http-request deny deny_status 401 unless {{ var(txn.client) -m found }}"""

    def token(self, _bench):
        return self.opaque


class Floor(Row):
    """Minimal hyper and rustls, see peers/floor."""

    def command(self, bench, _directory):
        return [str(bench.peers["floor"]), f"127.0.0.1:{self.port}", f"127.0.0.1:{bench.upstream_port}",
                str(bench.certificate), str(bench.key)]


class Hubgate(Row):
    """The gateway with all that its default configuration has."""

    checks = "token, services in scope"

    def __init__(self, name, binary=None):
        super().__init__(name)
        self.binary = binary
        self.secret = None

    def command(self, bench, directory):
        binary = self.binary or bench.hubgate()
        data = directory / "data"
        data.mkdir(mode=0o700)
        self.secret = secrets.token_urlsafe(32)
        (directory / "secret").write_text(self.secret)
        (directory / "secret").chmod(0o600)
        (directory / "gateway.toml").write_text(f"""\
public_url = "https://127.0.0.1:{self.port}"
data_dir = "{data}"

[listen]
https = ["127.0.0.1:{self.port}"]
management = "127.0.0.1:{free_port()}"
workers = 1

[tls]
certificate = "{bench.certificate}"
private_key = "{bench.key}"

[store]
url = "sqlite:{data}/hubgate.db"

[[service]]
id = "bench"
name = "bench"
secret = {{ file = "{directory}/secret" }}
trusted = true

[[upstream]]
service = "bench"
path = "/bench"
to = ["http://127.0.0.1:{bench.upstream_port}"]
""")
        return [str(binary), "serve", "--config", str(directory / "gateway.toml")]

    def token(self, bench):
        """A token of client credentials, new for each run: it is warm after the warm-up."""
        basic = base64.b64encode(f"bench:{self.secret}".encode()).decode()
        status, body = load.get(
            self.port, "/hub/api/rest/oauth2/token", bench.certificate, method="POST",
            headers={"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"},
            body=urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "bench"}),
        )
        if status != 200:
            raise Failed(f"the token endpoint answered {status}: {body[:300]!r}")
        return json.loads(body)["access_token"]


def all_rows():
    """In the order of the table."""
    rows = [
        Nginx("nginx"), Nginx("nginx+log", log=True), Haproxy("haproxy"), HaproxyMap("haproxy-map"),
        HaproxyJwt("HS256"), HaproxyJwt("RS256"), HaproxyJwt("ES256"), Floor("floor"), Hubgate("hubgate"),
    ]
    return {row.name: row for row in rows}


GROUPS = {"haproxy-jwt": ["haproxy-hs256", "haproxy-rs256", "haproxy-es256"]}
