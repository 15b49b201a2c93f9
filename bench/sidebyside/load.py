"""One run of h2load against one row, its answers checked, and the CPU time that the row spent on it."""

import dataclasses
import http.client
import os
import re
import ssl
import subprocess
import time

from .process import Failed, core_busy_seconds, cpu_seconds, family, user_system_seconds

# One cipher for all: else libraries that order them differently would not be compared but AES key sizes.
CIPHER = "TLS_AES_128_GCM_SHA256"
SHAPES = {"h1": ("http/1.1", 64, 1), "h2": ("h2", 16, 8)}
TITLES = {"h1": "HTTP/1.1, 64 connections", "h2": "HTTP/2, 16 connections × 8 streams"}
# Connections that closed are accounted before the clock is read.
SETTLE_SECONDS = 0.05


@dataclasses.dataclass
class Run:
    """What was measured."""

    cpu_us: float
    user_us: float
    system_us: float
    requests_per_second: float
    others_share: float


def scaled(requests, size):
    """Fewer requests for large bodies: a run should move bytes for about as long."""
    return max(min(requests, 1000), requests * 16384 // (16384 + size))


def h2load(port, protocol, size, requests, token, core, timeout):
    alpn, connections, streams = SHAPES[protocol]
    argv = ["h2load", "-t1", f"-n{requests}", f"-c{min(connections, requests)}", f"-m{streams}",
            f"--npn-list={alpn}", f"--tls13-ciphers={CIPHER}"]
    if token:
        argv += ["-H", f"authorization: Bearer {token}"]
    argv.append(f"https://127.0.0.1:{port}/bench/{size}")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False,
                          start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    if done.returncode != 0:
        raise Failed(f"h2load ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def checked(output, protocol, size, requests):
    """Requests per second, if every answer was the whole right one."""
    def find(pattern):
        found = re.search(pattern, output)
        if not found:
            raise Failed(f"h2load's output lacks {pattern!r}:\n{output.strip()[-600:]}")
        return found.groups()

    counts = find(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, "
                  r"(\d+) failed, (\d+) errored, (\d+) timeout")
    statuses = find(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
    if [int(n) for n in counts] != [requests] * 3 + [0] * 3 or [int(n) for n in statuses] != [requests, 0, 0, 0]:
        raise Failed(f"not all of {requests} requests were answered with 2xx: {counts}, statuses {statuses}")
    received = int(find(r"traffic: .* \((\d+)\) data")[0])
    if received != requests * size:
        raise Failed(f"{received} bytes of bodies arrived, not {requests} × {size}")
    if find(r"TLS Protocol: (\S+)")[0] != "TLSv1.3" or find(r"Cipher: (\S+)")[0] != CIPHER:
        raise Failed("the connection was not TLS 1.3 with " + CIPHER)
    if find(r"Application protocol: (\S+)")[0] != SHAPES[protocol][0]:
        raise Failed("the wrong protocol was negotiated")
    return float(find(r"finished in \S+, ([\d.]+) req/s")[0])


def measure(row, bench, protocol, size, requests):
    """A tenth of the requests to warm up, then the run."""
    token = row.token(bench)
    timeout = 60 + requests / 500

    def load(number):
        return checked(h2load(row.port, protocol, size, number, token, bench.load_core, timeout),
                       protocol, size, number)

    load(max(requests // 10, 1))
    time.sleep(SETTLE_SECONDS)
    pids = family(row.process.pid)
    served, busy = bench.served(), core_busy_seconds(bench.proxy_core)
    split = [user_system_seconds(pid) for pid in pids]
    cpu, began = sum(map(cpu_seconds, pids)), time.monotonic()
    rate = load(requests)
    time.sleep(SETTLE_SECONDS)
    if family(row.process.pid) != pids:
        raise Failed("a process of it ended or began during the run, its CPU time would be lost")
    cpu, took = sum(map(cpu_seconds, pids)) - cpu, time.monotonic() - began
    split = [(after[0] - before[0], after[1] - before[1])
             for before, after in zip(split, map(user_system_seconds, pids))]
    others = max(core_busy_seconds(bench.proxy_core) - busy - cpu, 0) / took
    reached = bench.served() - served
    if reached != requests:
        raise Failed(f"{reached} requests reached the upstream, not {requests}")
    per = 1e6 / requests
    return Run(cpu * per, sum(u for u, _ in split) * per, sum(s for _, s in split) * per, rate, others)


def get(port, path, certificate, headers=None, method="GET", body=None):
    """One request over TLS, the certificate verified: (status, body)."""
    context = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{method} {path}: {error}") from error
    finally:
        connection.close()


def probe(row, bench, size):
    """Before a row is measured: it forwards, and, if it checks tokens, it refuses."""
    token = row.token(bench)
    path = f"/bench/{size}"

    def status(bearer):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return get(row.port, path, bench.certificate, headers)

    code, body = status(token)
    if code != 200 or len(body) != size:
        raise Failed(f"a good request was answered with {code} and {len(body)} bytes: {body[:300]!r}")
    if row.checks:
        # The last character but three: the very last of base64url may carry bits that mean nothing.
        forged = token[:-4] + ("A" if token[-4] != "A" else "B") + token[-3:]
        for bearer, what in ((None, "no token"), (forged, "a forged token")):
            code, _ = status(bearer)
            if code not in (401, 403):
                raise Failed(f"{what} was answered with {code}")
