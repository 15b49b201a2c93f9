"""Slow clients: slowhttptest in its four modes at once, and ten thousand who say nothing. Who is slow is let go at the limits, memory stays bounded, and nobody
else notices."""

import concurrent.futures
import os
import pathlib
import re
import resource
import socket
import ssl
import threading
import time
import urllib.request

import peers
from conftest import Gateway, Upstream

# The tool ends when it has no connection left; the time is for machines that are busy.
CONNECTIONS, SECONDS = 200, 60
LIMITS = """
handshake_timeout = "4s"
header_timeout = "4s"
body_timeout = "4s"
write_timeout = "4s"
idle_timeout = "4s"
"""
LARGE = bytes(range(256)) * 8192
ROUTES = """
[[upstream]]
service = "tracker"
path = "/large"
to = ["http://127.0.0.1:{port}"]

  [[upstream.rule]]
  path = "/large/**"
  access = "public"
"""
MODES = {
    "headers": ["-H", "-i", 1, "-x", 24],
    "body": ["-B", "-i", 1, "-s", 8192],
    "range": ["-R", "-a", 10, "-b", 3000],
    "read": ["-X", "-w", 256, "-y", 512, "-n", 1, "-z", 32, "-k", 3],
}


def nginx(folder: pathlib.Path, port: int) -> list[str]:
    """A server that is not in the way itself."""
    (folder / "large").mkdir(exist_ok=True)
    (folder / "large" / "x").write_bytes(LARGE)
    (folder / "large" / "probe").write_text("small")
    return peers.nginx(folder, f"root {folder}; error_page 405 =200 $uri;", f"listen 127.0.0.1:{port};")


def resident(pid: int) -> int:
    """MiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) // 1024


def open_connections(port: int) -> int:
    """Established ones that the gateway has."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def test_slow_clients_harm_nobody(tmp_path):
    upstream, large = Upstream(), peers.Server(tmp_path / "nginx", nginx)
    gateway = Gateway(tmp_path, upstream, limits=LIMITS, more=ROUTES.format(port=large.port))
    context = ssl.create_default_context(cafile=gateway.certificate)
    url, port = f"{gateway.url}/large/", int(gateway.url.rsplit(":", 1)[1])
    taken: list[float] = []
    most = [0, 0]
    over = threading.Event()

    def probe() -> None:
        while not over.is_set():
            began = time.monotonic()
            with urllib.request.urlopen(f"{url}probe", timeout=10, context=context) as answer:
                assert answer.read() == b"small"
            taken.append(time.monotonic() - began)
            most[:] = [max(most[0], open_connections(port)), max(most[1], resident(gateway.process.pid))]
            time.sleep(0.05)

    def attack(mode: list) -> str:
        # The tool never sleeps; without `nice` it would take the cores from those whom it attacks.
        done = peers.run("slowhttptest", *mode, "-c", CONNECTIONS, "-r", 100, "-l", SECONDS, "-p", 5, "-u", f"{url}x", timeout=120,
                         preexec_fn=lambda: os.nice(19))  # fmt: skip
        return done.stdout + done.stderr

    try:
        before = resident(gateway.process.pid)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            probing = pool.submit(probe)
            try:
                told = dict(zip(MODES, pool.map(attack, MODES.values()), strict=True))
            finally:
                over.set()
            probing.result()
        taken.sort()
        print(f"probe: median {taken[len(taken) // 2] * 1000:.1f} ms, worst {taken[-1] * 1000:.1f} ms of {len(taken)}; "
              f"{most[0]} connections and {most[1]} MiB at most, {before} MiB before")  # fmt: skip
        # Those who never come to an end are let go before the tool gives up by itself. How slowly somebody may read is a
        # question of the rate (tests/it/pace.rs).
        for mode in ("headers", "body", "range"):
            assert "No open connections left" in told[mode], f"{mode}:\n{told[mode][-2000:]}"
        assert len(taken) > 50
        assert taken[len(taken) // 2] < 0.5 and taken[-1] < 5, f"median {taken[len(taken) // 2]:.3f} s, worst {taken[-1]:.3f} s"
        # The tool has what others leave it of the cores, and so has not all of its connections at once.
        assert most[0] > CONNECTIONS // 2, f"the attack never had more than {most[0]} connections: it was none"
        assert most[1] - before < 64, f"{before} MiB before, {most[1]} MiB at most"
        end = time.monotonic() + 15
        while open_connections(port) > 5:
            assert time.monotonic() < end, f"{open_connections(port)} connections stay open"
            time.sleep(0.2)
        assert gateway.stop() == 0, gateway.output()
    finally:
        gateway.stop()
        upstream.close()
        large.close()


def test_ten_thousand_who_say_nothing_leave_room_for_others(tmp_path):
    """As many as the limits take by default, and all of one source, which the others share."""
    many = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > many + 200, f"a machine that allows {hard} files"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    upstream, silent = Upstream(), []
    # They are not let go while the others ask.
    gateway = Gateway(tmp_path, upstream, limits='handshake_timeout = "5m"')
    port = int(gateway.url.rsplit(":", 1)[1])
    context = ssl.create_default_context(cafile=gateway.certificate)
    count = lambda: int(re.search(r"^hubgate_connections (\d+)", gateway.get_management("/metrics")[1], re.MULTILINE)[1])
    try:
        for _ in range(many):
            silent.append(socket.create_connection(("127.0.0.1", port), timeout=60))
        end = time.monotonic() + 60
        while count() < many:
            assert time.monotonic() < end, f"{count()} of {many} were accepted"
            time.sleep(0.1)
        for _ in range(20):
            with urllib.request.urlopen(f"{gateway.url}/hub/api/rest/oauth2/keys", timeout=30, context=context) as answer:
                assert answer.status == 200
        # None of them had to go for that.
        assert count() >= many
        for one in silent:
            one.close()
        while count() > 5:
            assert time.monotonic() < end + 60, f"{count()} connections stay open"
            time.sleep(0.1)
        assert gateway.stop() == 0, gateway.output()
    finally:
        for one in silent:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        gateway.stop()
        upstream.close()
