"""Runs of peers/tokenload against one issuer, and the CPU time that the issuer spent on them."""

import dataclasses
import json
import os
import subprocess
import sys
import time

from .issuers import PASSWORD, REDIRECT, USER, form
from .load import SETTLE_SECONDS, get
from .process import Failed, core_busy_seconds, cpu_seconds, family

# Many callers for what is quick; few for what argon2 keeps waiting.
CONNECTIONS, LOGIN_CONNECTIONS = 32, 8


@dataclasses.dataclass
class Run:
    """What was measured."""

    cpu_us: float
    rate: float
    p50_ms: float
    p99_ms: float
    others_share: float


class Load:
    """One process of the load generator: connected and warm when this returns."""

    def __init__(self, bench, issuer, cores, bodies="none", authorization=None, lines=(), **settings):
        if lines:
            file = bench.work / f"bodies-{issuer.name}"
            file.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
            file.chmod(0o600)
            bodies += f":{file}"
        settings |= {"address": f"127.0.0.1:{issuer.port}", "bodies": bodies,
                     "authorization": authorization or issuer.basic()}
        if not issuer.plain:
            settings["certificate"] = bench.certificate
        argv = [str(bench.peers["tokenload"]), *(f"{key}={value}" for key, value in settings.items())]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cores))
        self.line()

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the load ended: {self.process.communicate()[1].strip()[-600:]}")
        return line

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        return json.loads(self.line())

    def end(self):
        """Its connections close only now."""
        self.process.communicate()
        if self.process.returncode != 0:
            raise Failed(f"the load ended with {self.process.returncode}")


def client_credentials(issuer, _bench, _count):
    return {"bodies": "same", "expect": "access_token", "connections": CONNECTIONS,
            "lines": [form(grant_type="client_credentials", scope="bench")]}


def refresh(issuer, bench, _count):
    """One chain for each connection."""
    bodies = exchanges(issuer, bench, CONNECTIONS)
    tokens = [pair["refresh_token"] for pair in issuer.redeem(bench, *bodies)]
    return {"bodies": "chain", "expect": "access_token", "connections": CONNECTIONS,
            "lines": [f"grant_type=refresh_token&refresh_token={token}" for token in tokens]}


def exchanges(issuer, bench, count):
    return [form(grant_type="authorization_code", redirect_uri=REDIRECT, code=code) for code in issuer.codes(bench, count)]


def code_exchange(issuer, bench, count):
    return {"bodies": "each", "expect": "access_token", "connections": CONNECTIONS,
            "lines": exchanges(issuer, bench, count)}


def introspection(issuer, bench, _count):
    [answer] = issuer.redeem(bench, form(grant_type="client_credentials", scope="bench"))
    return {"bodies": "same", "expect": "active", "connections": CONNECTIONS, "path": issuer.introspection_path,
            "lines": [form(token=answer["access_token"])]}


def password(_issuer, _bench, _count):
    return {"bodies": "same", "expect": "access_token", "connections": LOGIN_CONNECTIONS, "lines": [LOGIN]}


LOGIN = form(grant_type="password", username=USER, password=PASSWORD, scope="bench")
OPERATIONS = {
    "client credentials": client_credentials, "refresh": refresh, "code exchange": code_exchange,
    "introspection": introspection, "password": password,
}


def measure(issuer, bench, operation, requests):
    """A fifth of the requests to warm up, then the run."""
    warm = max(requests // 5, 1)
    settings = {"path": issuer.token_path, "warm": warm, "requests": requests,
                **OPERATIONS[operation](issuer, bench, warm + requests)}
    load = Load(bench, issuer, {bench.load_core}, **settings)
    if bench.before_others:
        favour(load.process.pid, BEFORE_OTHERS)
    try:
        time.sleep(SETTLE_SECONDS)
        pids = family(issuer.process.pid)
        busy, began = core_busy_seconds(bench.proxy_core), time.monotonic()
        cpu = sum(map(cpu_seconds, pids))
        load.go()
        result = load.result()
        # What it does after its answers belongs to them.
        time.sleep(SETTLE_SECONDS)
        if family(issuer.process.pid) != pids:
            raise Failed("a process of it ended or began during the run, its CPU time would be lost")
        cpu, took = sum(map(cpu_seconds, pids)) - cpu, time.monotonic() - began
        others = max(core_busy_seconds(bench.proxy_core) - busy - cpu, 0) / took
    finally:
        load.end()
    if result["busy"]:
        raise Failed(f"{result['busy']} answers were 503")
    return Run(cpu * 1e6 / requests, requests / result["seconds"], result["p50_us"] / 1e3, result["p99_us"] / 1e3, others)


def argon2(bench, count):
    """CPU µs of one hash, on the issuer's core and nothing else."""
    done = subprocess.run([str(bench.peers["tokenload"]), "argon2", str(count)], capture_output=True, text=True,
                          check=False, preexec_fn=lambda: os.sched_setaffinity(0, {bench.proxy_core}))
    if done.returncode != 0:
        raise Failed(f"argon2: {done.stderr.strip()[-300:]}")
    return float(done.stdout)


# Nice values of sessions: load and upstream before the gateway, and where it is asked for both before all others.
BEFORE_GATEWAY, BEFORE_OTHERS = -20, -15


def favour(pid, nice):
    """Lets a process's session go before others (root only).

    Linux divides a core between sessions first and looks at the priorities of threads only inside of each (sched(7),
    autogroup). Without this the load would wait for the threads of lowest priority whose effect is to be seen, which a
    load on another machine does not do.
    """
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(nice))
    except OSError:
        print("without root the latencies include what the load itself waits for a core", file=sys.stderr)


@dataclasses.dataclass
class Latency:
    """Of proxied requests at a fixed rate, with so many logins beside them."""

    p50_ms: float
    p99_ms: float
    rate: float
    logins: float
    logins_busy: int


def latency(issuer, bench, rate, seconds, logins):
    """Gateway, upstream and load share the cores: what a login costs a proxied request is what it takes of them."""
    cores = {bench.proxy_core, bench.load_core}
    [answer] = issuer.redeem(bench, form(grant_type="client_credentials", scope="bench"))
    bearer = f"Bearer {answer['access_token']}"
    if get(issuer.port, "/bench/100", bench.certificate)[0] != 401:
        raise Failed("a request without a token was not refused")
    beside = None
    if logins:
        # They begin earlier and end later than what is measured.
        beside = Load(bench, issuer, cores, bodies="same", lines=[LOGIN], expect="access_token", path=issuer.token_path,
                      connections=128, warm=0, requests=logins * (seconds + 4), rate=logins)
    try:
        load = Load(bench, issuer, cores, authorization=bearer, expect="bytes:100", path="/bench/100",
                    connections=CONNECTIONS, warm=rate, requests=rate * seconds, rate=rate)
        favour(load.process.pid, BEFORE_GATEWAY)
        if beside:
            beside.go()
            time.sleep(1)
        load.go()
        found = load.result()
        load.end()
        told = None
        if beside:
            if beside.process.poll() is not None:
                raise Failed("the logins ended before the requests")
            told = beside.result()
    finally:
        if beside:
            beside.end()
    if found["busy"]:
        raise Failed(f"{found['busy']} proxied requests were answered 503")
    return Latency(found["p50_us"] / 1e3, found["p99_us"] / 1e3, rate * seconds / found["seconds"],
                   told["good"] / told["seconds"] if told else 0.0, told["busy"] if told else 0)
